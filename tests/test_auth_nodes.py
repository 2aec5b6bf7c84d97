"""E2 in several processes: what one of them changes reaches the sockets of another at once."""

from collections.abc import Iterator

import pytest

from tests.auth_helpers import (
    APPLICATION,
    GOODBYE,
    LONG,
    NOT_AUTHENTICATED,
    ask,
    change,
    new_person,
)
from tests.client import SocketClient
from tests.live_helpers import subscribe, until
from tests.nodes_helpers import CORE, PUBSUB, Site, make_site
from tests.servers import RedisServer, close_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def sites(django_db_setup) -> Iterator[dict[str, Site]]:
    made: dict[str, Site] = {}
    yield made
    for site in made.values():
        close_all([*site.nodes, *site.stores])


@pytest.fixture(params=[CORE, PUBSUB])
def site(request, sites, transactional_db) -> Site:
    """Two servers that look nobody up, and compare no positions, while a test runs."""
    if request.param not in sites:
        channels_api = {"AUTH_MAX_AGE": LONG, "HEARTBEAT": LONG, "REVALIDATE": None}
        site = make_site((request.param,), False, RedisServer(), channels_api)
        for node in site.nodes:
            node.application = APPLICATION
        sites[request.param] = site
    sites[request.param].start()
    return sites[request.param]


@pytest.mark.parametrize(
    "what", ["log_out", "flush", "cycle", "deactivate", "change_password", "delete"]
)
async def test_a_change_in_one_process_closes_the_sockets_of_another(site, what):
    here, there = site.nodes
    ann, bob = await new_person("ann"), await new_person("bob")
    async with (
        SocketClient(there.url + "ws/", headers=ann.headers) as idle,
        SocketClient(there.url + "ws/", headers=ann.headers) as listening,
        SocketClient(there.url + "ws/", headers=bob.headers) as other,
    ):
        await subscribe(listening, "auth-rows")
        await change(here.url + "ws/", what, ann)
        for client in (idle, listening):
            frames, code = await client.until_closed()
            assert (frames[-1], code) == (GOODBYE, NOT_AUTHENTICATED)
        assert (await ask(other))[0] == 200


async def test_a_permission_that_one_process_takes_away_is_gone_in_another(site):
    here, there = site.nodes
    ann = await new_person()
    async with SocketClient(there.url + "ws/", headers=ann.headers) as client:
        assert (await ask(client))[1]["may"]
        await change(here.url + "ws/", "empty_group", ann)

        async def is_lost() -> bool:
            return not (await ask(client))[1]["may"]

        await until(is_lost)


@pytest.mark.parametrize("site", [PUBSUB], indirect=True)
async def test_what_a_lost_redis_did_not_tell_is_looked_up(site):
    """The log begins anew, so nobody knows what has changed: everybody is looked up.

    At once where the layer needs nothing that was lost; else with the next heartbeat.
    """
    here, there = site.nodes
    ann, bob = await new_person("ann"), await new_person("bob")
    async with (
        SocketClient(there.url + "ws/", headers=bob.headers) as witness,
        SocketClient(there.url + "ws/", headers=ann.headers) as client,
    ):
        await change(here.url + "ws/", "rename", bob)

        async def is_renamed() -> bool:
            return (await ask(witness))[1]["name"] == "new"

        await until(is_renamed)  # so that process is told of changes by now
        await change(here.url + "ws/", "deactivate_silently", ann)
        assert (await ask(client))[0] == 200
        site.admin().flushall()
        # The next change shows that the log is another one.
        await change(here.url + "ws/", "rename", bob)
        frames, code = await client.until_closed()
        assert (frames[-1], code) == (GOODBYE, NOT_AUTHENTICATED)
