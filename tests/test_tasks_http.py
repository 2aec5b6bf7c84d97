"""Tasks over HTTP, in process: what each request is answered. No worker: the tests end the tasks.

What the result backend holds is Celery's own; `store` does what a worker does at last.
"""

import pytest
from celery.exceptions import TaskRevokedError
from rest_framework.exceptions import PermissionDenied, ValidationError

from tests.app.http_api import HOOKS
from tests.http_helpers import ended_body, result_address, state_body, store

pytestmark = pytest.mark.django_db

NOT_FOUND = b'{"detail":"Not found."}'
ANNE, BERT, CLEO = ({"name": name} for name in ("anne", "bert", "cleo"))


@pytest.fixture(autouse=True)
def no_worker(settings):
    """The result backend is this process's own, and without DEBUG no worker is started for it."""
    settings.CHANNELS_API = {"EMBEDDED_WORKER": True}


def send(client, hook, name):
    verb, kind = hook.split("_")
    path = f"/http/{name}/" if kind == "list" else f"/http/{name}/7/"
    data = {} if verb == "get" else {"data": {"n": 1}, "content_type": "application/json"}
    return getattr(client, verb)(path, **data)


def begin(client, name="bare", value=None):
    response = client.post(f"/http/{name}/", {"value": value}, "application/json")
    assert response.status_code == 202, response.content
    return response


def result_of(client, name, value):
    """The answer with the result of a task that gave this."""
    begun = begin(client, name)
    store(begun.json(), value)
    return client.get(result_address(begun["Location"]))


@pytest.mark.parametrize("name", ["ten", "tenplain"])
@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_begins_a_task(client, hook, name):
    response = send(client, hook, name)
    address = response["Location"]
    assert response.status_code == 202
    assert response.json() == state_body(address, "PENDING")
    assert address.startswith(f"/http/{name}/state/")
    assert response["Retry-After"] == "1"
    assert response["Cache-Control"] == "no-store"
    # The row's key is the hook's, and no part of the addresses.
    polled = client.get(address)
    assert (polled.status_code, polled.json()) == (200, response.json())


@pytest.mark.parametrize("hook", HOOKS)
def test_a_verb_without_a_hook_is_not_implemented(client, hook):
    for name in ("nothing", "nothinggeneric"):
        response = send(client, hook, name)
        assert (response.status_code, response.json()) == (501, {"detail": "Not implemented."})


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_returns_none_can_not_do_it(client, hook):
    response = send(client, hook, "refusing")
    assert (response.status_code, response.json()) == (400, {"detail": "This can't be done."})


def test_a_response_of_a_hook_is_passed_through(client):
    response = client.get("/http/passing/")
    assert (response.status_code, response.json()) == (418, {"short": "and stout"})
    assert response["X-Pot"] == "tea"
    response = client.post("/http/passing/")
    assert (response.status_code, response.content) == (201, b"plain")
    response = client.put("/http/passing/")
    assert (response.status_code, response.json()) == (400, {"year": ["No such year."]})


@pytest.mark.parametrize("verb", ["post", "put", "patch"])
def test_other_verbs_are_not_allowed(client, verb):
    address = begin(client)["Location"]
    response = getattr(client, verb)(address)
    assert (response.status_code, response["Allow"]) == (405, "GET, DELETE, HEAD, OPTIONS")
    response = getattr(client, verb)(result_address(address))
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert client.delete(result_address(address)).status_code == 405


def test_a_state_under_way_shows_its_meta(client):
    begun = begin(client)
    address = begun["Location"]
    store(begun.json(), {"current": 3}, "PROGRESS")
    response = client.get(address)
    expected = state_body(address, "PROGRESS", meta={"current": 3})
    assert (response.status_code, response.json()) == (200, expected)
    assert response["Retry-After"] == "1"
    assert response["Cache-Control"] == "no-store"
    assert "Location" not in response
    # Where a worker is, is nobody's business.
    store(begun.json(), {"pid": 1, "hostname": "h"}, "STARTED")
    assert client.get(address).json() == state_body(address, "STARTED")
    assert client.head(address).status_code == 200


@pytest.mark.parametrize(
    ("state", "result"), [("SUCCESS", 1), ("FAILURE", RuntimeError("secret"))], ids=str
)
def test_a_state_that_is_final_leads_to_the_result(client, state, result):
    begun = begin(client)
    address = begun["Location"]
    store(begun.json(), result, state)
    response = client.get(address)
    assert (response.status_code, response.json()) == (303, ended_body(address, state))
    assert response["Location"] == result_address(address)
    assert "Retry-After" not in response
    assert client.get(address, follow=True).status_code == 200
    # There is nothing left to cancel.
    response = client.delete(address)
    assert (response.status_code, response.json()) == (400, {"detail": "The task has finished."})


def test_a_cancelled_task_is_gone(client):
    address = begin(client)["Location"]
    gone = state_body(address, "REVOKED")
    response = client.delete(address)
    assert (response.status_code, response.json()) == (410, gone)
    assert "Retry-After" not in response
    for where in (address, result_address(address)):
        response = client.get(where)
        assert (response.status_code, response.json()) == (410, gone)
        assert "Location" not in response
    assert client.delete(address).status_code == 400


@pytest.mark.parametrize("state", ["REVOKED", "IGNORED"])
def test_a_task_without_a_result_has_no_result_address(client, state):
    begun = begin(client)
    store(begun.json(), TaskRevokedError("revoked") if state == "REVOKED" else None, state)
    for where in (begun["Location"], result_address(begun["Location"])):
        response = client.get(where)
        assert response.status_code == 410
        assert response.json() == state_body(begun["Location"], state)


def test_a_result_is_not_found_before_it_is_there(client):
    begun = begin(client)
    for state in ("STARTED", "PROGRESS", "RETRY"):
        store(begun.json(), ValueError() if state == "RETRY" else {}, state)
        response = client.get(result_address(begun["Location"]))
        assert (response.status_code, response.content) == (404, NOT_FOUND)


def test_what_is_not_known_is_not_found(client):
    address = begin(client)["Location"]
    signed = address.rstrip("/").rsplit("/", 1)[1]
    elsewhere = address.replace("/bare/", "/shown/")
    changed = address.replace(signed, signed[:-1] + ("A" if signed[-1] != "A" else "B"))
    plain = address.replace(signed, "30049f59-b619-4890-a1eb-d53b245797d1")
    for wrong in (elsewhere, changed, plain):
        for verb in ("get", "delete"):
            response = getattr(client, verb)(wrong)
            assert (response.status_code, response.content) == (404, NOT_FOUND)
        response = client.get(result_address(wrong))
        assert (response.status_code, response.content) == (404, NOT_FOUND)
    assert client.get(address).json() == state_body(address, "PENDING")


def test_a_dict_is_the_body(client):
    for name in ("bare", "shown"):
        response = result_of(client, name, {"result_of": {"a": [1, None]}})
        assert (response.status_code, response.json()) == (200, {"result_of": {"a": [1, None]}})
        assert result_of(client, name, {}).json() == {}


@pytest.mark.parametrize("value", [4, 0, False, None, "", "text", 1.5], ids=repr)
def test_a_scalar_is_put_into_a_dict(client, value):
    response = result_of(client, "shown", value)
    assert (response.status_code, response.json()) == (200, {"result": value})


def test_a_list_goes_through_paginator_and_serializer(client):
    for name in ("shown", "found"):
        begun = begin(client, name)
        store(begun.json(), [ANNE, BERT, CLEO])
        path = result_address(begun["Location"])
        first, second = f"http://testserver{path}", f"http://testserver{path}?page=2"
        anne, bert, cleo = (
            {"name": row["name"], "letter": row["name"][0]} for row in (ANNE, BERT, CLEO)
        )
        page = {"count": 3, "next": second, "previous": None, "results": [anne, bert]}
        assert client.get(begun["Location"], follow=True).json() == page
        page = client.get(path, {"page": 2}).json()
        assert page == {"count": 3, "next": None, "previous": first, "results": [cleo]}
        assert client.get(path, {"page": 3}).status_code == 404


def test_a_list_without_paginator_or_serializer_is_the_body(client):
    for rows in ([ANNE, BERT, CLEO], [1, "two"], []):
        response = result_of(client, "bare", rows)
        assert (response.status_code, response.json()) == (200, rows)


def test_process_result_says_what_is_seen(client):
    assert result_of(client, "processed", [1, 2]).json() == {"processed": [1, 2]}
    response = result_of(client, "processed", "response")
    assert (response.status_code, response.json()) == (203, {"made": "here"})
    assert response["X-Made"] == "here"


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (ValidationError({"year": ["No such year."]}), {"year": ["No such year."]}),
        (ValidationError("No."), "No."),
        (ValidationError(["No.", "Not ever."]), ["No.", "Not ever."]),
        (ValidationError([{"a": ["1"]}, {"b": ["2"]}]), [{"a": ["1"]}, {"b": ["2"]}]),
        (ValidationError([]), []),
        (PermissionDenied("Not you."), "Not you."),
    ],
    ids=repr,
)
def test_a_failure_that_is_meant_for_clients_is_told(client, failure, error):
    begun = begin(client)
    store(begun.json(), failure, "FAILURE")
    response = client.get(result_address(begun["Location"]))
    assert (response.status_code, response.json()) == (200, {"error": error})


def test_any_other_failure_is_told_by_its_error_id(client, settings):
    begun = begin(client)
    task_id = store(begun.json(), RuntimeError("password=secret"), "FAILURE")
    response = client.get(result_address(begun["Location"]))
    told = {"error": "Task failed", "error_id": task_id}
    assert (response.status_code, response.json()) == (200, told)
    settings.DEBUG = True
    settings.CHANNELS_API = {}  # or a worker would be started
    response = client.get(result_address(begun["Location"]))
    assert response.json() == {**told, "exception": "RuntimeError: password=secret"}


def test_a_task_that_was_run_in_place_is_answered_with_its_result(client):
    response = client.get("/http/shown/")
    page = {"count": 1, "next": None, "previous": None}
    expected = {**page, "results": [{"name": "ann", "letter": "a"}]}
    assert (response.status_code, response.json()) == (200, expected)
    response = client.put("/http/shown/")
    assert (response.status_code, response.json()) == (
        200,
        {"error": {"year": ["No such year."]}},
    )


def test_a_wish_to_wait_is_granted(client):
    """The test client is WSGI: the answer is held all the same."""
    address = begin(client)["Location"]
    response = client.get(address, headers={"Prefer": "respond-async, wait=1"})
    assert (response.status_code, response.json()) == (200, state_body(address, "PENDING"))
    assert response["Preference-Applied"] == "wait=1"
    assert response["Retry-After"] == "1"


@pytest.mark.parametrize("prefer", ["wait=0", "wait=-1", "wait=soon", "await=1", "respond-async"])
def test_any_other_wish_is_none(client, prefer):
    response = client.get(begin(client)["Location"], headers={"Prefer": prefer})
    assert response.status_code == 200
    assert "Preference-Applied" not in response
