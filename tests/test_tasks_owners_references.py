"""The signed ids of tasks as plain values: who may read which, and that nothing else is an id."""

import base64
import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.signing import Signer, dumps
from django.test import override_settings
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rest_framework.exceptions import NotFound

from channels_api.background import references
from channels_api.background.references import (
    SALT,
    TaskReference,
    owner_digest,
    owner_of,
    read_reference,
)

OWNER = "user:1"
#: Of somebody, with everything that a reference can hold.
REFERENCE = TaskReference(
    "task", "job", "group", owner_digest(OWNER), "stream:work", ("other",), 1_790_000_000
)
SIGNED = REFERENCE.sign()

texts = st.text(max_size=40)


def references_of(owner):
    return st.builds(
        TaskReference,
        *[texts, texts, texts, st.just(owner_digest(owner)), texts],
        st.lists(texts, max_size=3).map(tuple),
        st.integers(0, 2**40),
    )


def is_refused(signed, owner=OWNER) -> bool:
    try:
        read_reference(signed, owner)
    except NotFound as exc:
        # The same for all reasons: what went wrong is nobody's business.
        return str(exc.detail) == "Not found." and exc.__cause__ is None
    return False


# What was signed here


@given(st.text(min_size=1), st.data())
def test_an_owner_reads_what_was_signed(owner, data):
    reference = data.draw(references_of(owner))
    assert read_reference(reference.sign(), owner) == reference


@given(references_of(""), texts)
def test_whoever_holds_the_id_of_nobody_may_read_it(reference, anybody):
    assert read_reference(reference.sign(), anybody) == reference


@given(references_of(OWNER), texts)
def test_nobody_else_reads_it(reference, anybody):
    assert is_refused(reference.sign(), anybody) == (anybody != OWNER)


@given(st.uuids(), st.uuids(), st.text(max_size=100))
def test_an_id_stands_in_an_url_as_it_is(task_id, job, door):
    signed = TaskReference(str(task_id), job.hex, "", owner_digest(OWNER), f"view:{door}").sign()
    assert signed.isascii()
    assert not set(signed) & set("/.?#%&+ \"'<>\\")


def test_the_owner_is_not_told_by_the_id():
    payload = base64.urlsafe_b64decode(SIGNED.split(":")[0] + "==")
    assert b"task" in payload
    assert OWNER.encode() not in payload


# What was not


@pytest.mark.parametrize("position", range(len(SIGNED)))
def test_an_id_with_a_flipped_bit_is_none(position):
    for bit in range(7):
        flipped = chr(ord(SIGNED[position]) ^ 1 << bit)
        assert is_refused(SIGNED[:position] + flipped + SIGNED[position + 1 :])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text[1:],
        lambda text: text + "=",
        lambda text: text + ":",
        lambda text: " " + text,
        lambda text: text + "\n",
        lambda text: text + "\x00",
        lambda text: "." + text,
        lambda text: text * 2,
        lambda text: text.upper(),
        lambda text: text.rsplit(":", 1)[0],
        lambda text: text.rsplit(":", 1)[0] + ":",
        lambda text: text.rsplit(":", 1)[1],
        lambda text: text.encode(),
    ],
)
def test_an_id_that_was_changed_is_none(change):
    assert is_refused(change(SIGNED))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(anything | st.text(alphabet=st.characters()) | st.text(":.=-_AZaz09"))
@example("\ud800:\ud800")
@example([":"])
@example({":": 1})
@example("::")
@example(":" * 60_000)
@example("A" * 1_000_000 + ":x")
@hypothesis_settings(max_examples=300)
def test_no_value_raises_anything_but_not_found(value):
    assert is_refused(value)


@given(st.text(), st.text(alphabet="ABCabc019-_", max_size=43))
def test_no_text_with_a_signature_raises_anything_but_not_found(payload, signature):
    assert is_refused(f"{payload}:{signature}")


ROW = ["task", "", "", "", "", [], 0]


@pytest.mark.parametrize(
    "signed",
    [
        Signer(salt="another").sign_object(ROW),
        Signer().sign_object(ROW),
        Signer(salt=SALT, key="another").sign_object(ROW),
        Signer(salt=SALT, sep="/").sign_object(ROW),
        Signer(salt=SALT, algorithm="sha512").sign_object(ROW),
        dumps(ROW, salt=SALT),
        # Signed by the right hand, and no reference: as of another version.
        *(
            Signer(salt=SALT).sign_object(value)
            for value in [ROW[:-1], [*ROW, 1], [], {}, "text", 1, None]
        ),
        Signer(salt=SALT).sign("no base64"),
        Signer(salt=SALT).sign("é"),
        Signer(salt=SALT).sign("bm8gSlNPTg"),
        Signer(salt=SALT).sign(""),
    ],
    ids=itertools.count(),
)
def test_what_is_signed_otherwise_is_no_id(signed):
    assert is_refused(signed, "")


def test_the_row_of_the_test_before_would_be_an_id():
    assert read_reference(Signer(salt=SALT).sign_object(ROW), "") == TaskReference(
        "task", created=0
    )


# Keys that change


def test_ids_outlive_the_key_that_they_were_made_with():
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["older", "only for tests"]):
        read = read_reference(SIGNED, OWNER)
        assert read == replace(REFERENCE, owner=owner_digest(OWNER))
        assert is_refused(SIGNED, "user:2")
        assert is_refused(SIGNED, "")
        renewed = read.sign()
    # The id in each reply is one of today's key, so a client has it when the old key goes.
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[]):
        assert read_reference(renewed, OWNER) == read
        assert is_refused(renewed, "user:2")
        assert is_refused(SIGNED)


def test_nobodys_ids_stay_nobodys_when_the_key_changes():
    reference = replace(REFERENCE, owner="")
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["only for tests"]):
        assert read_reference(reference.sign(), OWNER) == reference


# Who somebody is


def session(key):
    return SimpleNamespace(session_key=key)


COOKIE = {"sessionid": "k" * 32}


@pytest.mark.parametrize(
    ("user", "its_session", "cookies", "owner"),
    [
        (User(pk=7), None, {}, "user:7"),
        (User(pk=7), session("k" * 32), COOKIE, "user:7"),
        (AnonymousUser(), session("k" * 32), COOKIE, "session:" + "k" * 32),
        (None, session("k" * 32), COOKIE, "session:" + "k" * 32),
        # Made by the server while the client waits: the client has no cookie of it.
        (AnonymousUser(), session("n" * 32), {}, ""),
        (AnonymousUser(), session("n" * 32), COOKIE, ""),
        # The client's is not there any more.
        (AnonymousUser(), session(None), COOKIE, ""),
        (AnonymousUser(), None, COOKIE, ""),
        (AnonymousUser(), session(None), {}, ""),
        (AnonymousUser(), session(""), {"sessionid": ""}, ""),
        (AnonymousUser(), None, {}, ""),
    ],
)
def test_who_is_an_owner(user, its_session, cookies, owner):
    assert owner_of(user, its_session, cookies) == owner


def test_the_cookie_may_have_another_name(settings):
    settings.SESSION_COOKIE_NAME = "other"
    assert owner_of(None, session("k"), {"other": "k"}) == "session:k"
    assert owner_of(None, session("k"), {"sessionid": "k"}) == ""


def test_a_user_is_no_session_of_the_same_name():
    assert owner_digest("user:1") != owner_digest("session:1")
    assert is_refused(replace(REFERENCE, owner=owner_digest("user:1")).sign(), "session:1")


def test_an_age_is_that_of_the_reference(monkeypatch):
    monkeypatch.setattr(references.time, "time", lambda: 1_790_000_060.5)
    assert REFERENCE.age == 60.5
    assert TaskReference("task").created == 1_790_000_060
    assert read_reference(REFERENCE.sign(), OWNER).age == 60.5
