"""Viewsets of tasks in routers, in front of other viewsets, and before DRF's own pages."""

import pytest
from django.urls import resolve, reverse
from rest_framework.schemas.generators import EndpointEnumerator
from rest_framework.test import APIClient

from tests.app import http_api
from tests.app.models import Question
from tests.http_helpers import ended_body, result_address, state_body, store

pytestmark = pytest.mark.django_db

HTML = {"Accept": "text/html"}
QUESTION = {"question_text": "Why?", "votes": 0, "published": True, "owner": None}


@pytest.fixture(autouse=True)
def no_worker(settings):
    """The result backend is this process's own, and without DEBUG no worker is started for it."""
    settings.CHANNELS_API = {"EMBEDDED_WORKER": True}


@pytest.fixture
def client():
    return APIClient()


def follow_through(client, path, prefix):
    """A task's life, by the addresses in the answers only."""
    begun = client.post(path, {"n": 1}, format="json")
    address = begun["Location"]
    assert (begun.status_code, begun.data) == (202, state_body(address, "PENDING"))
    assert address.startswith(prefix)
    assert client.get(address).data == begun.data
    store(begun.data, ["a", "b"])
    response = client.get(address)
    assert (response.status_code, response.data) == (303, ended_body(address, "SUCCESS"))
    response = client.get(response["Location"])
    assert (response.status_code, response.data) == (200, ["a", "b"])
    assert client.delete(address).status_code == 400
    return address


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/http/ten/", "/http/ten/state/"),
        ("/http/ten/7/", "/http/ten/state/"),
        ("/http/bare/ten", "/http/bare/ten/state/"),
        ("/http/bare/ten/7", "/http/bare/ten/state/"),
        ("/http/one/ten/", "/http/one/ten/state/"),
        ("/http/two/ten/", "/http/two/ten/state/"),
        ("/http/polls/3/en/ten/", "/http/polls/3/en/ten/state/"),
        ("/http/polls/3/en/ten/7/", "/http/polls/3/en/ten/state/"),
        ("/http/polls/3/en/again/", "/http/polls/3/en/again/state/"),
        ("/http/ten.json", "/http/ten/state/"),
        ("/http/ten/7.json", "/http/ten/state/"),
        ("/http/two/ten.json", "/http/two/ten/state/"),
    ],
)
def test_each_router_leads_from_the_task_to_its_result(client, path, prefix):
    address = follow_through(client, path, prefix)
    assert address.endswith("/") != path.startswith("/http/bare")


def test_a_router_without_regular_expressions_has_odd_addresses_that_work(client):
    """DRF writes an action's path for one kind of router or for the other; ours is for regexes."""
    begun = client.post("/http/by-path/ten/7/")
    assert begun.status_code == 202
    assert begun["Location"] == begun.data["resource_uri"]
    assert client.get(begun["Location"]).data == begun.data
    store(begun.data, 5)
    response = client.get(begun["Location"])
    assert response.status_code == 303
    assert client.get(response["Location"]).data == {"result": 5}


def test_format_suffixes_are_taken(client):
    begun = client.post("/http/ten.json")
    address = begun["Location"].rstrip("/")
    assert client.get(f"{address}.json").data == begun.data
    store(begun.data, 5)
    response = client.get(f"{result_address(address)}.json")
    assert (response["Content-Type"], response.content) == ("application/json", b'{"result":5}')


def test_a_hook_is_given_the_arguments_of_the_route(client):
    response = client.get("/http/writtenonce/7/")
    assert (response.status_code, response.data) == (200, "by hand")
    begun = client.get("/http/polls/3/en/ten/7/")
    assert resolve(begun["Location"]).kwargs.keys() == {"poll", "lang", "task_id"}


def test_routes_have_the_names_that_routers_give():
    assert reverse("http-ten-list") == "/http/ten/"
    assert reverse("http-ten-state", kwargs={"task_id": "ID"}) == "/http/ten/state/ID/"
    assert reverse("one:ten-result", kwargs={"task_id": "ID"}) == "/http/one/ten/result/ID/"
    assert reverse("bare-ten-state", kwargs={"task_id": "ID"}) == "/http/bare/ten/state/ID"


def test_a_route_written_by_hand_has_no_other_verbs(client):
    assert client.get("/http/by-hand/").status_code == 202
    response = client.put("/http/by-hand/")
    assert (response.status_code, response["Allow"]) == (405, "GET, POST, HEAD, OPTIONS")


def test_other_verbs_stay_those_of_the_viewset_behind(client):
    row = {"id": Question.objects.create(question_text="Why?").pk, **QUESTION}
    path = f"/http/questions/{row['id']}/"
    assert client.post("/http/questions/", QUESTION, format="json").status_code == 202
    assert Question.objects.count() == 1
    assert (client.get("/http/questions/").data, client.get(path).data) == ([row], row)
    response = client.patch(path, {"votes": 1}, format="json")
    assert (response.status_code, response.data) == (200, {**row, "votes": 1})
    response = client.put(path, {**QUESTION, "votes": 2}, format="json")
    assert (response.status_code, response.data) == (200, {**row, "votes": 2})
    assert client.put("/http/questions/", {}, format="json").status_code == 501
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_a_mixin_of_the_project_hides_nothing(client):
    row = {"id": Question.objects.create(question_text="Why?").pk, **QUESTION}
    assert client.get("/http/projectquestions/").data == [row]
    assert client.post("/http/projectquestions/", QUESTION, format="json").status_code == 201
    begun = client.get(f"/http/projectquestions/{row['id']}/")
    assert begun.status_code == 202
    store(begun.data, 1)
    assert client.get(result_address(begun["Location"])).data == {"ours": 1}
    assert client.put("/http/projectquestions/").status_code == 501


def test_a_method_written_after_the_hook_wins_for_good(client):
    response = client.get("/http/writtenonce/1/")
    assert (response.status_code, response.data) == (200, "by hand")


VIEWSETS = ["ten", "tenplain", "nothing", "nothinggeneric", "shown", "found", "questions"]


@pytest.mark.parametrize("name", VIEWSETS)
def test_options_are_answered_on_each_route(client, name):
    address = f"/http/{name}/state/ID/"
    for path in (f"/http/{name}/", f"/http/{name}/7/", address, result_address(address)):
        response = client.options(path)
        assert response.status_code == 200, path
        assert response.data["renders"] == ["application/json", "text/html"]
    fields = {"shown": {"name", "letter"}, "questions": {"id", *QUESTION}}
    actions = client.options(f"/http/{name}/").data["actions"]
    assert actions.keys() == {"POST"} or name in ("tenplain", "nothing")
    assert actions["POST"].keys() == fields.get(name, actions["POST"].keys())


@pytest.mark.parametrize("name", VIEWSETS)
def test_the_browsable_api_shows_each_route(client, name):
    for path in (f"/http/{name}/", f"/http/{name}/7/"):
        response = client.get(path, headers=HTML)
        assert response.status_code in (200, 202, 404, 501), path
        assert b"<!DOCTYPE html>" in response.content
    if not name.startswith("nothing"):
        begun = client.post(f"/http/{name}/", {"value": 1}, format="json")
        address = begun["Location"]
        response = client.get(address, headers=HTML)
        assert (response.status_code, response.data) == (200, begun.data)
        assert b"<!DOCTYPE html>" in response.content
        rows = [{"name": "anne"}, {"name": "bert"}, {"name": "cleo"}]
        for result in (rows if name in ("shown", "found") else [1, 2], {"a": 1}, None):
            store(begun.data, None, "STARTED")
            store(begun.data, result if name != "questions" else {"a": 1})
            response = client.get(result_address(address), headers=HTML)
            assert response.status_code == 200
            assert b"<!DOCTYPE html>" in response.content
        response = client.delete(address, headers=HTML)
        assert (response.status_code, b"has finished" in response.content) == (400, True)


def test_the_root_of_the_router_lists_the_viewsets(client):
    found = client.get("/http/").data
    assert found["ten"] == "http://testserver/http/ten/"
    assert found["questions"] == "http://testserver/http/questions/"


def test_generators_of_documentation_find_what_they_look_for():
    found = {
        (path, method): (view.cls, view.actions[method.lower()], view.initkwargs["basename"])
        for path, method, view in EndpointEnumerator().get_api_endpoints()
        if path.startswith("/http/ten/")
    }
    of_lists = {"GET": "list", "POST": "create"}
    of_rows = {"GET": "retrieve", "PUT": "update", "PATCH": "partial_update", "DELETE": "destroy"}
    more = {"PUT": "put_list", "PATCH": "patch_list", "DELETE": "delete_list"}
    tasks = {"GET": "async_state", "DELETE": "async_state"}
    routes = {
        "/http/ten/": {**of_lists, **more},
        "/http/ten/{pk}/": {**of_rows, "POST": "post_detail"},
        "/http/ten/state/{task_id}/": tasks,
        "/http/ten/result/{task_id}/": {"GET": "async_result"},
    }
    assert found == {
        (path, method): (http_api.Ten, action, "http-ten")
        for path, actions in routes.items()
        for method, action in actions.items()
    }
    view = resolve("/http/ten/").func
    assert view.csrf_exempt
    assert (view.__name__, view.__doc__) == ("Ten", http_api.Ten.__doc__)


def test_the_methods_of_hooks_can_be_told_apart():
    assert http_api.Ten.list.__doc__ == "Answered by `async_get_list`."
    assert http_api.Ten.put_list.__name__ == "put_list"
