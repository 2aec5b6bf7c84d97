"""Tasks over HTTP while a part that they need is down: 503, with words, and back by itself."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.http_helpers import begin, http, result_address, state_body, until

pytestmark = pytest.mark.django_db(transaction=True)

NO_BROKER = {"detail": "Tasks can't be started at the moment. Try again later."}
NO_RESULTS = {"detail": "The states of tasks can't be read at the moment. Try again later."}


@pytest.fixture
def apart(stacks):
    """Layer, broker and results are a Redis each; what a test stops is there again for the next."""
    return stacks.get("apart-prefork")


def test_without_a_broker_no_task_begins_and_states_are_read(apart):
    with http(apart) as client:
        address = begin(client, "double", 4)
        until(lambda: client.get(address).status_code == 303)
        apart.broker.stop()
        for headers in ({}, {"Prefer": "wait=20"}):
            response = client.post("/jobs/double/", json={"task": "retry"}, headers=headers)
            assert (response.status_code, response.json()) == (503, NO_BROKER)
        assert client.get(address, follow_redirects=True).json() == {"result": 8}
        apart.broker.start()
        until(lambda: client.post("/jobs/double/", json={"task": "retry"}).status_code == 202)


def test_without_results_a_task_is_not_read_and_not_gone(apart):
    gate = apart.gate()
    with http(apart) as client, ThreadPoolExecutor(1) as threads:
        address = begin(client, "double", 4, gate)
        until(lambda: client.get(address).json()["state"] == "STARTED")
        waiting = threads.submit(client.get, address, headers={"Prefer": "wait=20"})
        # Whoever comes now is answered after that one has begun to wait.
        short = client.get(address, headers={"Prefer": "wait=1"})
        assert short.json() == state_body(address, "STARTED")
        apart.results.stop()
        for response in (
            client.get(address),
            client.get(address, headers={"Prefer": "wait=20"}),
            client.delete(address),
            client.get(result_address(address)),
        ):
            assert (response.status_code, response.json()) == (503, NO_RESULTS)
        apart.results.start()
        gate.touch()
        assert waiting.result().status_code == 303
        assert client.get(address, follow_redirects=True).json() == {"result": 8}
