"""The benchmarks still run: each server answers right, and what is measured is what was done."""

import asyncio
import functools
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.benchmarks.connections import open_many
from tests.benchmarks.figures import Case, Figures
from tests.benchmarks.generator import LoadError, LoadGenerator
from tests.benchmarks.peers import PEERS
from tests.benchmarks.report import IN_SHORT, replace_block, rows_in_short, rst_table
from tests.benchmarks.sites import make_site
from tests.benchmarks.targets import Target
from tests.plugin import require_program

QUESTION = "What is the meaning of question number 7?"


@pytest.fixture(scope="module")
def site():
    with make_site(rows=40) as made:
        yield made


@pytest.fixture(scope="module")
def generator():
    with LoadGenerator() as started:
        yield started


@pytest.fixture(scope="module")
def serve(site):
    """A function that gives a running server; the same arguments give the same one again."""
    with ExitStack() as servers:

        @functools.cache
        def get(peer, kind="uvicorn"):
            return servers.enter_context(replace(site, kind=kind).server(peer))

        yield get


async def ask(server, action, **rest):
    """The message that one request on one connection is answered with."""
    (connection,) = await open_many(server.name, server.port, 1)
    answer = asyncio.get_running_loop().create_future()
    connection.on_message = lambda _, message: answer.set_result(message)
    connection.send(5, action, **rest)
    message = await answer
    connection.close()
    return message


@pytest.mark.parametrize(
    ("peer", "kind"),
    [*((peer, "uvicorn") for peer in PEERS if peer != "raw"), ("ours", "daphne")],
)
async def test_each_server_answers_right(serve, peer, kind):
    server = serve(peer, kind)
    retrieved = await ask(server, "retrieve", pk=7)
    assert (retrieved.request_id, retrieved.ok) == (5, True)
    row = retrieved.data
    assert row["id"] == 7
    assert row["question_text"] == QUESTION
    assert row.keys() == {"id", "question_text", "pub_date", "votes"}

    listed = await ask(server, "list")
    assert [row["id"] for row in listed.data] == [*range(1, 26)]

    created = await ask(server, "create", data={"question_text": "Why?", "votes": 3})
    assert created.ok
    assert (created.data["question_text"], created.data["votes"]) == ("Why?", 3)

    patched = await ask(server, "patch", pk=8, data={"votes": created.data["id"]})
    assert patched.data["votes"] == created.data["id"]
    assert (await ask(server, "retrieve", pk=8)).data == patched.data


@pytest.mark.parametrize("peer", ["ours", "drf"])
async def test_a_refusal_is_told_from_an_answer(serve, peer):
    server = serve(peer)
    assert not (await ask(server, "retrieve", pk=10_000)).ok


@pytest.mark.parametrize("peer", ["ours", "dcrf", "floor", "raw"])
def test_all_subscribers_are_told_of_each_write(serve, generator, peer):
    server = serve(peer)
    result = generator.run("fan_out", server, subscribers=5, events=3)
    assert result["lost"] == 0
    assert result["events per second"] > 0
    # Those of the write itself are not counted, and peers send what was written.
    assert result["reads per event"] == (1 if peer == "ours" else 0)


def test_changes_go_through_redis(generator):
    require_program("redis-server")
    with make_site(layer="pubsub", rows=1) as shared:
        for peer in ("ours", "dcrf", "floor"):
            with shared.server(peer) as server:
                assert generator.run("fan_out", server, subscribers=2, events=2)["lost"] == 0


@pytest.mark.parametrize("peer", ["ours", "dcrf"])
def test_users_see_different_rows(site, serve, generator, peer):
    server = serve(peer)
    result = generator.run(
        "fan_out",
        server,
        subscribers=6,
        events=2,
        path="notes/",
        sessions=site.sessions[:3],
    )
    assert result["lost"] == 0
    assert result["reads per event"] == (3 if peer == "ours" else 0)


def test_loads_of_requests(serve, generator):
    server = serve("ours")
    load = {"sockets": 3, "depth": 2, "seconds": 0.2, "warmup": 0.1}
    created = generator.run("request_reply", server, action="create", **load)
    assert created["failed"] == 0
    assert created["answered"] >= created["per second"] * 0.2 > 0
    unknown = generator.run("request_reply", server, action="unknown", **load)
    assert unknown["failed"] == unknown["answered"] > 0
    assert generator.run("naps", server, sockets=3)["failed"] == 0
    assert generator.run("first", server)["failed"] == 0


def test_sockets_are_held(serve, generator):
    server = serve("ours")
    assert generator.run("hold", server, sockets=3)["held"] == 3
    assert generator.run("hold", server, sockets=2)["held"] == 5
    assert generator.run("subscribe", server)["failed"] == 0
    assert generator.run("release", server)["closed"] == 0


def test_what_the_generator_can_not_do_is_an_error(site, generator):
    server = site.server("ours")  # not started
    with pytest.raises(LoadError, match="first at ours"):
        generator.run("first", server)


CASE = Case("a case", "ms")


class TestTargets:
    def figures(self, ours, dcrf):
        made = Figures()
        for peer, values in {"ours": ours, "dcrf": dcrf}.items():
            for number, value in values.items():
                made.add(number, CASE, peer, value)
        return made

    def test_ratios_are_of_one_round(self):
        # The second round was slow for both; the third has one of them only.
        figures = self.figures({1: 30.0, 2: 3.0, 3: 99.0}, {1: 10.0, 2: 1.0})
        assert figures.ratios(CASE, "ours", "dcrf") == [3.0, 3.0]
        assert Target(CASE, 3, against="dcrf").met(figures) is True
        assert Target(CASE, 3.1, against="dcrf").met(figures) is False
        assert Target(CASE, 2.9, at_least=False, against="dcrf").met(figures) is False

    def test_the_median_counts(self):
        figures = self.figures({1: 1.0, 2: 2.0, 3: 100.0}, {})
        assert Target(CASE, 2, at_least=False).met(figures) is True
        assert Target(CASE, 1.9, at_least=False).met(figures) is False
        assert Target(CASE, 1, against="dcrf").met(figures) is None

    def test_nothing_may_be_lost_in_any_round(self):
        assert Target(CASE, 0, at_least=False).met(self.figures({1: 0.0}, {})) is True
        lost_once = self.figures({1: 0.0, 2: 0.0, 3: 1.0}, {})
        assert Target(CASE, 0, at_least=False).met(lost_once) is False


def test_the_readme_has_medians_and_ratios_of_one_round():
    figures = Figures()
    for number, (own, other) in enumerate([(10, 5), (40, 10), (20, 8)], 1):
        figures.add(number, IN_SHORT[0], "ours", own)
        figures.add(number, IN_SHORT[0], "dcrf", other)
    head, first, *others = rows_in_short(figures)
    assert head == (
        "",
        "channels_api",
        "DCRF",
        "DRF over HTTP",
        "times DCRF",
        "times DRF over HTTP",
    )
    assert first == ("retrieve, 50 sockets: requests/s", "20.0", "8.00", "", "2.50", "")
    assert all(row[1:] == ("", "", "", "", "") for row in others)


def test_tables_go_into_a_document(tmp_path):
    document = tmp_path / "page.rst"
    document.write_text("Before\n\n.. x: begin\n\nold\n\n.. x: end\n\nAfter\n")
    replace_block(document, "x", rst_table([("a", "b"), ("1", "")]))
    table = "=  =\na  b\n=  =\n1\n=  =\n"
    assert document.read_text() == f"Before\n\n.. x: begin\n\n{table}\n.. x: end\n\nAfter\n"
    with pytest.raises(ValueError, match="no block y"):
        replace_block(document, "y", "")
