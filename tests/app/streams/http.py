"""A viewset of tasks as a stream."""

from tests.app.http_api import Questions

CONSUMERS = {"http-questions": Questions}
