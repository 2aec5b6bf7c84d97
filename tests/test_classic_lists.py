"""List pages: never the whole table, never a row twice."""

from tests.app.models import Question, Tag
from tests.classic_client import NOT_FOUND, ask, failure, question_row, success
from tests.client import SocketClient

INVALID_PAGE = "Invalid page."


async def make_questions(count: int) -> list[dict]:
    """The rows of so many questions, by primary key."""
    await Question.objects.abulk_create(
        Question(question_text=f"Question {number}") for number in range(count)
    )
    return [question_row(question) async for question in Question.objects.order_by("pk")]


async def test_the_first_page_has_25_rows(server):
    rows = await make_questions(26)
    async with SocketClient(server.url + "ws/") as client:
        assert await ask(client, "classic", "list") == success("list", rows[:25])
        for data in [None, {}, {"page": 1}, {"page": "1"}, {"page": None}, {"page": [1]}]:
            assert await ask(client, "classic", "list", data=data) == success("list", rows[:25])


async def test_the_second_page_has_the_rest(server):
    rows = await make_questions(26)
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "list", data={"page": 2})

    assert reply == success("list", rows[25:])


async def test_an_empty_table_has_an_empty_first_page(server):
    async with SocketClient(server.url + "ws/") as client:
        assert await ask(client, "classic", "list") == success("list", [])
        reply = await ask(client, "classic", "list", data={"page": 2})
        assert reply == failure("list", 404, INVALID_PAGE)


INVALID_PAGES = [
    3,
    0,
    -1,
    "x",
    "",
    1.5,
    "1.0",
    True,
    " 1",
    "1e0",
    "\uff11",
    2**62,
    "9" * 40,
    "1\x00",
]


async def test_an_invalid_page(server):
    await make_questions(26)
    async with SocketClient(server.url + "ws/") as client:
        for page in INVALID_PAGES:
            reply = await ask(client, "classic", "list", data={"page": page})
            assert reply == failure("list", 404, INVALID_PAGE)


async def test_data_of_a_list_is_an_object(server):
    async with SocketClient(server.url + "ws/") as client:
        for data in ["x", 5, [1], True]:
            reply = await ask(client, "classic", "list", data=data)
            assert reply == failure("list", 400, "data must be an object.")


async def test_a_page_that_is_an_object(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "list", data={"page": {"number": 1}})

    message = "A filter must be a string, a number, true, false or null."
    assert reply == failure("list", 400, {"page": [message]})


async def test_ten_thousand_rows_are_400_pages(server):
    rows = await make_questions(10_000)
    async with SocketClient(server.url + "ws/") as client:
        assert await ask(client, "classic", "list") == success("list", rows[:25])
        reply = await ask(client, "classic", "list", data={"page": 400})
        assert reply == success("list", rows[-25:])
        reply = await ask(client, "classic", "list", data={"page": 401})
        assert reply == failure("list", 404, INVALID_PAGE)


async def test_pages_stay_stable_while_rows_are_updated(server):
    """PostgreSQL gives rows without an order in the order in which they were last written."""
    rows = await make_questions(30)
    async with SocketClient(server.url + "ws/") as client:
        first = await ask(client, "classic", "list")
        for row in rows[:3]:
            await ask(client, "classic", "patch", pk=row["id"], data={"votes": 0})
        second = await ask(client, "classic", "list", data={"page": 2})

    assert [*first["data"], *second["data"]] == rows


async def test_rows_without_an_order_come_by_primary_key(server):
    """Which is not the order in which they were made, here."""
    for name in ["b", "c", "a"]:
        await Tag.objects.acreate(name=name)
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic-tags", "list")

    assert reply == success("list", [{"name": "a"}, {"name": "b"}, {"name": "c"}])


async def test_the_binding_s_own_order_is_kept(server):
    await make_questions(3)
    votes = {}
    async for question in Question.objects.all():
        question.votes = votes[question.pk] = {0: 5, 1: 9, 2: 7}[question.pk % 3]
        await question.asave()
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic-hooks", "list")

    assert [row["votes"] for row in reply["data"]] == [9, 7, 5]


async def test_a_drf_pagination_class_gives_its_envelope(server):
    rows = await make_questions(3)
    async with SocketClient(server.url + "ws/") as client:
        first = await ask(client, "classic-envelope", "list", data={"page": 1})
        second = await ask(client, "classic-envelope", "list", data={"page": 2})
        third = await ask(client, "classic-envelope", "list", data={"page": 3})

    url = server.http_url + "ws/"
    assert first == success(
        "list",
        {"count": 3, "next": f"{url}?page=2", "previous": None, "results": rows[:2]},
    )
    assert second == success(
        "list", {"count": 3, "next": None, "previous": url, "results": rows[2:]}
    )
    assert third == failure("list", 404, INVALID_PAGE)


async def test_a_row_beyond_the_page_is_still_there(server):
    """A page limits what a list shows, not what exists."""
    rows = await make_questions(26)
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic", "retrieve", pk=rows[25]["id"])
        assert reply == success("retrieve", rows[25])
        reply = await ask(client, "classic", "retrieve", pk=rows[25]["id"] + 1)
        assert reply == failure("retrieve", 404, NOT_FOUND)
