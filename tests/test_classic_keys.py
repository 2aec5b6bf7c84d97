"""What is a primary key: one value, written in one way; anything else names no row."""

import datetime
import uuid

import pytest
from django.contrib.sessions.models import Session
from django.db import models
from rest_framework.exceptions import NotFound

from channels_api.lookups import canonical_pk, wire_pk
from tests.app.models import Document, Question, Tag
from tests.classic_client import NOT_FOUND, ask, ask_and_hear, failure, success
from tests.client import SocketClient

UUID = uuid.UUID("12345678-9abc-def0-8000-00000000000f")

#: What databases, Django or Python's int() take for 1.
ALIASES_OF_1 = [
    True,
    1.0,
    1.9,
    "1.0",
    "1e0",
    "+1",
    "01",
    "0_1",
    "0x1",
    "1_",
    " 1 ",
    "1 ",
    "\t1",
    "1\n",
    "1\x00",
    "\x001",
    "\uff11",  # full-width
    "\u0661",  # Arabic
    "1\u200b",
    "true",
    [1],
    ["1"],
    {"pk": 1},
    {"id": 1},
    {"in": [1]},
]
NO_INTEGER = [
    *ALIASES_OF_1,
    "",
    False,
    0,
    "-0",
    -1,
    "-1",
    2,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    str(2**63),
    str(2**64 + 1),
    "9" * 4000,
    1e308,
    "NaN",
    "None",
    "pk",
    [],
    {},
    "1 OR 1=1",
    "1;--",
]
NO_UUID = [
    *ALIASES_OF_1,
    "",
    0,
    1,
    UUID.int % 2**63,
    str(UUID.int),
    f"{{{UUID}}}",
    f"urn:uuid:{UUID}",
    f" {UUID}",
    f"{UUID}\n",
    f"{UUID}\x00",
    f"{UUID}0",
    str(UUID)[:-1],
    str(UUID).replace("-", "\u2010"),
    str(UUID).replace("1", "\uff11"),
    [str(UUID)],
    str(uuid.UUID(int=7)),
]
NO_TEXT = [
    1,
    True,
    1.0,
    0,
    False,
    "",
    "01",
    " 1",
    "1 ",
    "1\x00",
    "\x00",
    "\uff11",
    ["1"],
    {"pk": "1"},
    "x" * 51,
    "x" * 5000,
    # The other way to write an accent; the rows have the first.
    "e\u0301",
    "\xc9",
    "%",
    "_",
]
TEXTS = ["1", "\xe9", "a/b?c=d&e#f", "\N{SNOWMAN}\U0001f600", "'; --", "\\", '"', "x" * 50]


@pytest.fixture
def rows(transactional_db) -> None:
    """One row of each model whose key has aliases, and those whose key is the client's choice."""
    # In bulk there are no signals: no subscriber hears of these late.
    Question.objects.bulk_create([Question(pk=1, question_text="one")])
    Document.objects.bulk_create([Document(pk=UUID, title="one")])
    Tag.objects.bulk_create(Tag(name=name) for name in TEXTS)


TABLES = [
    pytest.param("classic", NO_INTEGER, id="int"),
    pytest.param("questions-viewset", NO_INTEGER, id="int-viewset"),
    pytest.param("classic-no-model", NO_INTEGER, id="int-without-a-model"),
    pytest.param("classic-documents", NO_UUID, id="uuid"),
    pytest.param("classic-tags", NO_TEXT, id="text"),
]


@pytest.mark.parametrize(("stream", "pks"), TABLES)
async def test_what_is_no_key_names_no_row(server, rows, stream, pks):
    for action in ["retrieve", "delete", "patch", "subscribe"]:
        # A socket for each action: fewer frames than one may send at once.
        async with SocketClient(server.url + "ws/") as client:
            replies = {
                repr(pk): await ask(client, stream, action, pk=pk, data={"action": "*"})
                for pk in pks
            }
        assert replies == {repr(pk): failure(action, 404, NOT_FOUND) for pk in pks}

    assert await Question.objects.filter(pk=1).aexists()
    assert await Document.objects.aexists()
    assert await Tag.objects.acount() == len(TEXTS)


@pytest.mark.parametrize(("stream", "pks"), TABLES)
async def test_what_is_no_key_is_none_inside_the_data_either(server, rows, stream, pks):
    pks = [pk for pk in pks if not isinstance(pk, dict)]  # the data is a query: no objects in it
    async with SocketClient(server.url + "ws/") as client:
        replies = {repr(pk): await ask(client, stream, "retrieve", data={"pk": pk}) for pk in pks}

    assert replies == {repr(pk): failure("retrieve", 404, NOT_FOUND) for pk in pks}


async def test_the_keys_of_rows(server, rows):
    """An int may be written as text; a UUID in either case and without its dashes."""
    hexadecimal = [str(UUID), str(UUID).upper(), UUID.hex]
    async with SocketClient(server.url + "ws/") as client:
        for pk in [1, "1"]:
            reply = await ask(client, "classic", "plain_detail", pk=pk)
            assert reply == success("plain_detail", "one")
        for pk in hexadecimal:
            reply = await ask(client, "classic-documents", "retrieve", pk=pk)
            assert reply == success("retrieve", {"id": str(UUID), "title": "one"})
        for pk in TEXTS:
            reply = await ask(client, "classic-tags", "retrieve", pk=pk)
            assert reply == success("retrieve", {"name": pk})


async def test_events_name_the_key_as_rows_do(server, rows):
    """However the subscriber wrote it."""
    async with SocketClient(server.url + "ws/") as client:
        data = {"action": "*"}
        await ask(client, "classic", "subscribe", pk="1", data=data)
        await ask(client, "classic-documents", "subscribe", pk=UUID.hex.upper(), data=data)
        await ask(client, "classic-tags", "subscribe", pk=TEXTS[2], data=data)
        events = []
        for stream, pk in [
            ("classic", 1),
            ("classic-documents", str(UUID)),
            ("classic-tags", TEXTS[2]),
        ]:
            _, heard = await ask_and_hear(client, stream, "delete", pk=pk)
            events += [frame["payload"] for frame in heard]

    deleted = {"action": "delete", "data": None}
    assert events == [
        {**deleted, "pk": 1, "model": "app.question"},
        {**deleted, "pk": str(UUID), "model": "app.document"},
        {**deleted, "pk": TEXTS[2], "model": "app.tag"},
    ]


async def test_a_lookup_field_of_its_own(server):
    question = await Question.objects.acreate(question_text="What?")
    await Question.objects.acreate(pk=question.pk + 1, question_text=str(question.pk))
    stream = "classic-text-lookup"
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, stream, "plain_detail", pk="What?")
        assert reply == success("plain_detail", "What?")
        # Never the primary key of another row.
        reply = await ask(client, stream, "plain_detail", pk=str(question.pk))
        assert reply == success("plain_detail", str(question.pk))
        for pk in ["what?", question.pk, "What?\x00", True]:
            reply = await ask(client, stream, "retrieve", pk=pk)
            assert reply == failure("retrieve", 404, NOT_FOUND)


async def test_a_client_may_not_choose_a_key_that_postgresql_can_not_hold(server):
    async with SocketClient(server.url + "ws/") as client:
        reply = await ask(client, "classic-tags", "create", data={"name": "a\x00b"})
        assert reply == failure("create", 400, {"name": ["Null characters are not allowed."]})
        reply = await ask(client, "classic", "list", data={"page": "\x00", "\x00": "\x00"})
        assert reply == failure("list", 404, "Invalid page.")


# The function behind it, as a plain object.


class Dated(models.Model):
    """A key that is neither a number, nor a UUID, nor text; never in a database."""

    day = models.DateField(primary_key=True)
    small = models.PositiveSmallIntegerField()
    # Not to be looked for when a question or a tag is deleted: there is no table.
    question = models.ForeignKey(Question, on_delete=models.DO_NOTHING, related_name="+")
    tag = models.ForeignKey(Tag, on_delete=models.DO_NOTHING, related_name="+")

    class Meta:
        app_label = "classic_keys"
        managed = False

    def __str__(self) -> str:
        return str(self.day)


def key_or_none(model, value, lookup_field="pk"):
    try:
        return canonical_pk(model, lookup_field, value)
    except NotFound:
        return None


@pytest.mark.parametrize(
    ("model", "lookup_field", "value", "key"),
    [
        (Question, "pk", "-5", -5),
        (Question, "id", "5", 5),
        (Question, "pk", 2**63 - 1, 2**63 - 1),
        (Question, "pk", 2**63, None),
        (Question, "pk", None, None),
        (Question, "no_such_field", "anything", "anything"),
        (Dated, "pk", "2020-02-29", datetime.date(2020, 2, 29)),
        (Dated, "pk", "2019-02-29", None),
        (Dated, "pk", "2020-2-29", None),
        (Dated, "pk", 20200229, None),
        (Dated, "pk", "2020-02-29\x00", None),
        (Dated, "pk", True, None),
        (Dated, "pk", None, None),
        (Dated, "small", 32767, 32767),
        # Of all databases the narrowest column.
        (Dated, "small", -1, None),
        (Dated, "pk", datetime.date(2020, 2, 29), datetime.date(2020, 2, 29)),
        (Dated, "pk", datetime.datetime(2020, 2, 29, tzinfo=datetime.timezone.utc), None),
        (Document, "pk", UUID, UUID),
        (Dated, "question", "7", 7),
        (Dated, "question__pk", "7", 7),
        (Dated, "question__question_text", "7", "7"),
        (Tag, "pk", "1\x00", None),
        (Tag, "pk", "", ""),
        (Dated, "tag", 7, None),
        (Dated, "tag", "7", "7"),
        (Session, "pk", "x" * 41, None),
    ],
)
def test_the_canonical_key(model, lookup_field, value, key):
    found = key_or_none(model, value, lookup_field)
    assert found == key
    assert type(found) is type(key)


@pytest.mark.parametrize("value", [b"1", 1 + 0j, object(), (1,), {1}, UUID.bytes])
@pytest.mark.parametrize("model", [Question, Document, Tag, Dated])
def test_what_no_frame_can_hold_is_no_key(model, value):
    assert key_or_none(model, value) is None


def test_a_key_on_the_wire():
    assert wire_pk(7) == 7
    assert wire_pk("7") == "7"
    assert wire_pk(UUID) == str(UUID)
    assert wire_pk(datetime.date(2020, 2, 29)) == "2020-02-29"
