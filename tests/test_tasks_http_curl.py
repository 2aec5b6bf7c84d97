"""The five calls of tastypie-async's README, with curl: submit, state, done, result, cancel."""

import json
import re
import subprocess
from typing import NamedTuple

import pytest

from tests.http_helpers import ended_body, result_address, state_body, until
from tests.plugin import require_program

pytestmark = pytest.mark.django_db(transaction=True)


class Answer(NamedTuple):
    status: int
    location: str | None
    data: object


@pytest.fixture(params=[("embedded", "daphne"), ("redis-prefork", "uvicorn")], ids="-".join)
def curl(request, stacks):
    """Calls curl with a path and options, as a shell does."""
    require_program("curl")
    name, kind = request.param
    stack = stacks.get(name, kind=kind)

    def call(path, *options):
        url = stack.server.http_url.rstrip("/") + path
        command = ["curl", "-sSi", "--noproxy", "*", "--max-time", "20", *options, url]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        body = done.stdout
        while body.startswith("HTTP/"):  # each answer's head, where redirects are followed
            head, _, body = body.partition("\n\n")
        location = re.search(r"^location: (.*)$", head, re.IGNORECASE | re.MULTILINE)
        return Answer(int(head.split()[1]), location and location[1], json.loads(body))

    call.stack = stack
    return call


def test_the_calls_of_tastypie_async(curl):
    # Submits the Celery task and returns a state location.
    begun = curl("/jobs/double/?number=1")
    state = begun.location
    assert begun == Answer(202, state, state_body(state, "PENDING"))
    # When the result is ready it will be notified in the state response.
    until(lambda: curl(state).data["state"] == "SUCCESS")
    done = curl(state)
    assert done == Answer(303, result_address(state), ended_body(state, "SUCCESS"))
    # Get the result.
    assert curl(done.data["result_uri"]) == Answer(200, None, {"result": 2})
    # All of it at once, which is new.
    assert curl("/jobs/double/?number=2", "-L", "-H", "Prefer: wait=20").data == {"result": 4}
    # Query the state to get updates, and cancel.
    body = json.dumps({"task": "tick", "args": [str(curl.stack.gate())]})
    submit = ("-X", "POST", "-H", "Content-Type: application/json", "-d", body)
    state = curl("/jobs/double/", *submit).location
    until(lambda: curl(state).data["state"] == "PROGRESS")
    answer = curl(state)
    progress = state_body(state, "PROGRESS", meta=answer.data["meta"])
    assert answer == Answer(200, None, progress)
    assert curl(state, "-X", "DELETE") == Answer(410, None, state_body(state, "REVOKED"))
