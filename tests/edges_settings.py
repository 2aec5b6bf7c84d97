"""A project with an EXCEPTION_HANDLER of its own, and viewsets whose rows have links."""

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.edges_urls"
REST_FRAMEWORK = {"EXCEPTION_HANDLER": "tests.app.streams.edges.project_handler"}
