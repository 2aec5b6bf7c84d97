"""Whatever guards a viewset guards the states and results of its tasks; and transactions."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connections
from django.test import Client
from rest_framework.test import APIClient

from tests.app.models import Question
from tests.http_helpers import result_address, state_body, store, until

pytestmark = pytest.mark.django_db

NO_CREDENTIALS = {"detail": "Authentication credentials were not provided."}
FORBIDDEN = {"detail": "You do not have permission to perform this action."}
NOT_FOUND = {"detail": "Not found."}


@pytest.fixture(autouse=True)
def no_worker(settings):
    """The result backend is this process's own, and without DEBUG no worker is started for it."""
    settings.CHANNELS_API = {"EMBEDDED_WORKER": True}


@pytest.fixture
def anne():
    return User.objects.create_user("anne", password="only for tests", is_staff=True)


def browser_of(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    browser.cookies["csrftoken"] = "c" * 32
    browser.defaults["HTTP_X_CSRFTOKEN"] = "c" * 32
    return browser


def begin(client, name):
    response = client.post(f"/http/{name}/", {"value": 1}, "application/json")
    assert response.status_code == 202, response.content
    return response


def each_door(client, address):
    """What a client is answered where a task's state, end and result are."""
    doors = (client.get(address), client.delete(address), client.get(result_address(address)))
    return [(response.status_code, response.json()) for response in doors]


def test_nobody_sees_a_task_without_logging_in(anne):
    address = begin(browser_of(anne), "locked")["Location"]
    assert each_door(Client(), address) == [(403, NO_CREDENTIALS)] * 3


def test_a_permission_that_is_lost_is_lost_for_the_tasks_as_well(anne):
    browser = browser_of(anne)
    begun = begin(browser, "staffonly")
    address = begun["Location"]
    User.objects.update(is_staff=False)
    assert each_door(browser, address) == [(403, FORBIDDEN)] * 3
    User.objects.update(is_staff=True)
    store(begun.json(), 4)
    assert browser.get(result_address(address)).json() == {"result": 4}


def test_a_user_is_the_same_by_session_and_by_password(anne):
    begun = begin(browser_of(anne), "locked")
    other = APIClient()
    other.credentials(HTTP_AUTHORIZATION="Basic YW5uZTpvbmx5IGZvciB0ZXN0cw==")
    assert other.get(begun["Location"]).data == begun.json()
    User.objects.create_user("bert")
    bert = browser_of(User.objects.get(username="bert"))
    assert each_door(bert, begun["Location"]) == [(404, NOT_FOUND)] * 3


def test_a_session_needs_a_csrf_token_to_begin_and_to_cancel(anne):
    browser = browser_of(anne)
    address = begin(browser, "locked")["Location"]
    del browser.defaults["HTTP_X_CSRFTOKEN"]
    refused = browser.post("/http/locked/", {"value": 1}, "application/json")
    assert refused.json() == {"detail": "CSRF Failed: CSRF token missing."}
    refused = browser.delete(address)
    assert (refused.status_code, refused.json()["detail"][:11]) == (403, "CSRF Failed")
    # Reading needs none, and the task is there as it was.
    assert browser.get(address).json() == state_body(address, "PENDING")


def test_throttles_count_the_looks_at_a_task():
    cache.clear()
    client = Client()
    address = begin(client, "throttled")["Location"]
    assert client.get(address).status_code == 200
    assert client.get(result_address(address)).status_code == 404
    for response in (
        client.get(address, headers={"Prefer": "wait=30"}),
        client.get(result_address(address)),
        client.delete(address),
        client.post("/http/throttled/", {"value": 1}, "application/json"),
    ):
        assert response.status_code == 429
        assert response.json()["detail"].startswith("Request was throttled.")
    cache.clear()
    assert client.get(address).json() == state_body(address, "PENDING")


@pytest.fixture
def atomic_requests(monkeypatch, transactional_db):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)


@pytest.mark.parametrize(("name", "written"), [("writing", 0), ("writingfreely", 1)])
def test_a_hook_that_fails_has_changed_nothing(client, atomic_requests, name, written):
    """But where the viewset wants no transaction, as Django has it."""
    response = client.post(f"/http/{name}/", {"fail": True}, "application/json")
    assert (response.status_code, response.json()) == (400, ["No."])
    assert Question.objects.count() == written


def test_what_a_hook_wrote_is_there_while_the_answer_is_held(atomic_requests):
    def wait():
        try:
            headers = {"Prefer": "wait=1"}
            return Client().post("/http/writing/", {}, "application/json", headers=headers)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(wait)
        until(Question.objects.count)
        assert not waiting.done()
        response = waiting.result()
    assert (response.status_code, response["Preference-Applied"]) == (202, "wait=1")
