"""Django's settings for the test process and for the app servers that it starts.

Both read the same environment, so both are on the same database and the same channel layer:

TEST_DB, TEST_LAYER   `sqlite` or `postgres`; `memory` or `redis`; for one app server the layer may
                      be `redis-py-defaults` (with its read timeout), `redis-pubsub`,
                      `redis-readme` or `redis-pubsub-readme` (a host and a port alone, as
                      channels_redis' own README has it),
                      `redis-drops` (every second message), `redis-shuffles`, `redis-slow`, `fails`
                      or `hangs` as well
TEST_LAYER_PREFIX     a name for an app server that is to have the Redis layer for itself
TEST_DIRECTORY, TEST_DB_HOST, TEST_DB_PORT, TEST_DB_USER, TEST_REDIS_URL
                      where these are; set by tests/plugin.py
TEST_DB_NAME, TEST_DB_OTHER_NAME
                      what pytest-django called the test databases; set by tests/conftest.py
TEST_CONN_MAX_AGE     seconds, default 0
TEST_CHANNELS_API     JSON: CHANNELS_API, for one app server
TEST_BROKER, TEST_RESULTS
                      URLs of Celery's broker and result backend, default memory://
TEST_DEBUG            `1`: DEBUG, for one app server
"""

import json
import os
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

SECRET_KEY = "only for tests"
# PyJWT warns of shorter keys.
SIMPLE_JWT = {"SIGNING_KEY": "only for tests " * 3}
DEBUG = os.environ.get("TEST_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tests.app.urls"
STATIC_URL = "static/"
# A strong hash costs a third of a second for each user that a test makes.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework.authtoken",
    "channels",
    "channels_api",
    "tests.app",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

if "TEST_CHANNELS_API" in os.environ:
    CHANNELS_API = json.loads(os.environ["TEST_CHANNELS_API"])


def sqlite(name: str) -> dict:
    """A file, not `:memory:`: the threads and the app servers have to see the rows as well."""
    path = str(Path(os.environ.get("TEST_DIRECTORY", tempfile.gettempdir())) / f"{name}.sqlite3")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "TEST": {"NAME": path},
        "OPTIONS": {
            # Readers don't wait for the writer.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
            # Writers wait for each other. A transaction that began by reading can't: it would fail
            # at once with "database is locked".
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }


def postgres(name: str) -> dict:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "TEST": {"NAME": name},
        "HOST": os.environ.get("TEST_DB_HOST", ""),
        "PORT": os.environ.get("TEST_DB_PORT", ""),
        "USER": os.environ.get("TEST_DB_USER", ""),
        "OPTIONS": {
            # Where a transaction was left open, an error that says so is better than a suite that
            # stands still.
            "options": "-c lock_timeout=20s -c idle_in_transaction_session_timeout=60s",
        },
    }


def database(name: str) -> dict:
    make = {"sqlite": sqlite, "postgres": postgres}[os.environ.get("TEST_DB", "sqlite")]
    return {**make(name), "CONN_MAX_AGE": int(os.environ.get("TEST_CONN_MAX_AGE", "0"))}


DATABASES = {"default": database("channels_api"), "other": database("channels_api_other")}
for alias, variable in {"default": "TEST_DB_NAME", "other": "TEST_DB_OTHER_NAME"}.items():
    DATABASES[alias]["NAME"] = os.environ.get(variable, DATABASES[alias]["NAME"])


def redis_layer() -> dict:
    # redis-py 8 gives sockets a read timeout of 5 s; a layer's connection may wait longer for work.
    host = {"address": os.environ["TEST_REDIS_URL"], "socket_timeout": None}
    config = {"hosts": [host], "prefix": os.environ.get("TEST_LAYER_PREFIX", "asgi")}
    return {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": config}


if os.environ.get("TEST_LAYER", "memory") == "redis":
    CHANNEL_LAYERS = {"default": redis_layer()}
elif os.environ.get("TEST_LAYER") == "redis-py-defaults":
    CHANNEL_LAYERS = {
        "default": {**redis_layer(), "CONFIG": {"hosts": [os.environ["TEST_REDIS_URL"]]}}
    }
elif os.environ.get("TEST_LAYER") == "redis-pubsub":
    CHANNEL_LAYERS = {
        "default": {
            **redis_layer(),
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        }
    }
elif os.environ.get("TEST_LAYER") in ("redis-readme", "redis-pubsub-readme"):
    name = {
        "redis-readme": "core.RedisChannelLayer",
        "redis-pubsub-readme": "pubsub.RedisPubSubChannelLayer",
    }[os.environ["TEST_LAYER"]]
    where = urlsplit(os.environ["TEST_REDIS_URL"])
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": f"channels_redis.{name}",
            "CONFIG": {"hosts": [(where.hostname, where.port)]},
        }
    }
elif os.environ.get("TEST_LAYER") in ("redis-drops", "redis-shuffles", "redis-slow"):
    name = {
        "redis-drops": "DroppingLayer",
        "redis-shuffles": "ShufflingLayer",
        "redis-slow": "SlowLayer",
    }[os.environ["TEST_LAYER"]]
    CHANNEL_LAYERS = {"default": {**redis_layer(), "BACKEND": f"tests.faults_layers.{name}"}}
elif os.environ.get("TEST_LAYER") in ("fails", "hangs"):
    mode = {"mode": os.environ["TEST_LAYER"]}
    CHANNEL_LAYERS = {"default": {"BACKEND": "tests.live_layers.TroubledLayer", "CONFIG": mode}}
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

CELERY_BROKER_URL = os.environ.get("TEST_BROKER", "memory://")
CELERY_RESULT_BACKEND = os.environ.get("TEST_RESULTS", "cache+memory://")
# A store that was restarted is written to again, instead of failing the task.
CELERY_RESULT_BACKEND_ALWAYS_RETRY = True
