"""DRF's throttles, unchanged: who shares a count with whom, and what the wait is."""

import itertools
import re

import pytest

from tests.client import SocketClient
from tests.policies_world import NO_CREDENTIALS, reply

THROTTLED = re.compile(r"Request was throttled\. Expected available in (\d+) seconds\.")
# Addresses for documentation (RFC 5737): each test has its own, so none finds another's counts.
ADDRESSES = (f"198.51.100.{number}" for number in itertools.count(1))
# All of 127.0.0.0/8 is this machine.
LOOPBACKS = (f"127.0.0.{number}" for number in itertools.count(2))


def from_address(address, headers=None):
    """What a proxy says: DRF takes the whole header where NUM_PROXIES is not set."""
    return {**(headers or {}), "X-Forwarded-For": address}


async def statuses(client, stream, *actions):
    return [(await client.request(stream, action))["response_status"] for action in actions]


async def assert_throttled(client, stream, action):
    """429 in DRF's words, with the seconds until an hour after the first request."""
    answer = await client.request(stream, action, request_id=1)
    [error] = answer["errors"]
    seconds = THROTTLED.fullmatch(error)
    assert seconds, error
    assert 0 < int(seconds[1]) <= 3600
    assert answer == reply(action, 429, errors=[error])


async def test_the_request_over_the_rate_is_answered_with_the_wait(server, people):
    """And it changes nothing for the other streams of the socket."""
    headers = from_address(next(ADDRESSES))
    async with SocketClient(f"{server.url}ws/", headers=headers) as client:
        assert await statuses(client, "policy-throttle-anon", "list", "list") == [200, 200]
        await assert_throttled(client, "policy-throttle-anon", "list")
        await assert_throttled(client, "policy-throttle-anon", "create")
        assert await statuses(client, "policy-allow-any", "list") == [200]


async def test_sockets_of_one_address_share_a_count_and_two_addresses_do_not(server, people):
    """C8: not one bucket for everybody who has not logged in."""
    url, one, other = f"{server.url}ws/", next(ADDRESSES), next(ADDRESSES)
    async with (
        SocketClient(url, headers=from_address(one)) as first,
        SocketClient(url, headers=from_address(one)) as second,
        SocketClient(url, headers=from_address(other)) as elsewhere,
    ):
        assert await statuses(first, "policy-throttle-anon", "list") == [200]
        assert await statuses(second, "policy-throttle-anon", "list") == [200]
        await assert_throttled(first, "policy-throttle-anon", "list")
        await assert_throttled(second, "policy-throttle-anon", "list")
        assert await statuses(elsewhere, "policy-throttle-anon", "list") == [200]


async def test_without_a_proxy_the_address_of_the_connection_counts(server, people):
    """Two addresses of this machine, and no header that names them."""
    url, one, other = f"{server.url}ws/", next(LOOPBACKS), next(LOOPBACKS)
    async with (
        SocketClient(url, local_addr=(one, 0)) as first,
        SocketClient(url, local_addr=(other, 0)) as elsewhere,
    ):
        assert await statuses(first, "policy-throttle-anon", "list", "list") == [200, 200]
        await assert_throttled(first, "policy-throttle-anon", "list")
        assert await statuses(elsewhere, "policy-throttle-anon", "list") == [200]
        told = await elsewhere.request("policy-tell", "list")
        assert told["errors"][0]["address"] == other


async def test_a_user_is_counted_wherever_the_sockets_are(app_server, people):
    """And users do not share with each other, even at one address."""
    url, address = f"{app_server().url}ws/", next(ADDRESSES)
    plain, owner = people["plain"].headers, people["owner"].headers
    async with (
        SocketClient(url, headers=from_address(address, plain)) as first,
        SocketClient(url, headers=from_address(next(ADDRESSES), plain)) as second,
        SocketClient(url, headers=from_address(address, owner)) as of_owner,
    ):
        assert await statuses(first, "policy-throttle-user", "list", "create") == [200, 400]
        await assert_throttled(second, "policy-throttle-user", "list")
        assert await statuses(of_owner, "policy-throttle-user", "list") == [200]


async def test_anon_rate_throttle_lets_users_pass(app_server, people):
    """It counts those who have not logged in."""
    headers = from_address(next(ADDRESSES), people["plain"].headers)
    async with SocketClient(f"{app_server().url}ws/", headers=headers) as client:
        assert await statuses(client, "policy-throttle-anon", *["list"] * 4) == [200] * 4


async def test_a_scope_is_of_the_binding_or_of_one_action(app_server, people):
    """`throttle_scope` of the decorator has its own count and rate; None is not counted."""
    headers = from_address(next(ADDRESSES))
    async with SocketClient(f"{app_server().url}ws/", headers=headers) as client:
        assert await statuses(client, "policy-scoped", "list", "create") == [200, 400]
        await assert_throttled(client, "policy-scoped", "list")
        assert await statuses(client, "policy-scoped", "total", "total", "total") == [200] * 3
        await assert_throttled(client, "policy-scoped", "total")
        assert await statuses(client, "policy-scoped", "free", "free") == [200, 200]


async def test_a_refused_request_is_not_counted(app_server, people, rows):
    """Permissions are asked first, and an unknown action is none."""
    headers = from_address(next(ADDRESSES), people["plain"].headers)
    async with SocketClient(f"{app_server().url}ws/", headers=headers) as client:
        stream = "policy-throttled-staff"
        assert await statuses(client, stream, "list", "list", "list", "no_such") == [403] * 3 + [
            400
        ]
    headers = from_address(next(ADDRESSES), people["staff"].headers)
    async with SocketClient(f"{app_server().url}ws/", headers=headers) as client:
        assert await statuses(client, stream, "list", "list") == [200, 200]
        await assert_throttled(client, stream, "subscribe")


class TestDefaultsOfTheProject:
    """What REST_FRAMEWORK says holds for a binding that names no policy."""

    @pytest.fixture
    def url(self, app_server, transactional_db):
        return f"{app_server(env={'DJANGO_SETTINGS_MODULE': 'tests.policies_settings'}).url}ws/"

    @pytest.mark.parametrize("stream", ["policy-defaults", "questions", "questions-viewset"])
    async def test_permissions(self, stream, url):
        """A locked REST API stays locked."""
        async with SocketClient(url) as client:
            answer = await client.request(stream, "list", request_id=1)
        assert answer == reply("list", 401, errors=NO_CREDENTIALS)

    async def test_filters_and_throttles(self, url, people, rows):
        """DRF's own throttle classes, with the project's rates."""
        async with SocketClient(url, headers=people["plain"].headers) as client:
            found = await client.request(
                "policy-defaults", "list", data={"search": "pp"}, request_id=1
            )
            assert found == reply("list", 200, [rows.shown("apple")])
            assert await statuses(client, "policy-defaults", "create", "list") == [400, 200]
            await assert_throttled(client, "policy-defaults", "list")

    async def test_what_a_binding_names_itself_comes_first(self, url, people, rows):
        """AllowAny lets in who is not logged in, and there the project's throttles hold."""
        async with SocketClient(url, headers=from_address(next(ADDRESSES))) as client:
            assert await statuses(client, "policy-search", "list") == [200]
            await assert_throttled(client, "policy-search", "list")

    async def test_num_proxies(self, url, people):
        """Only the address that the nearest proxy saw counts; a client can write the others."""
        proxy = next(ADDRESSES)
        async with (
            SocketClient(url, headers=from_address(f"203.0.113.1, {proxy}")) as first,
            SocketClient(url, headers=from_address(f"203.0.113.2, {proxy}")) as second,
        ):
            assert await statuses(first, "policy-search", "list") == [200]
            await assert_throttled(second, "policy-search", "list")
