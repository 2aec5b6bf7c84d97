"""The test project as one whose sockets are known: `manage.py channels_api_types` works there."""

from tests.settings import *  # noqa: F403

ASGI_APPLICATION = "tests.app.asgi.application"
