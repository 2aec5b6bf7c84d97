"""The demo on the embedded default: one process, SQLite, an in-memory channel layer.

For a look at the library on your own machine, and for nothing else: DEBUG is on, the secret key
is public and so are the passwords of the accounts.
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = True
# With DEBUG on, an empty list means this machine only: localhost and its addresses.
ALLOWED_HOSTS: list[str] = []
SECRET_KEY = "django-insecure-the-demo-keeps-no-secrets"

INSTALLED_APPS = [
    # First, so that its `runserver`, which serves WebSockets, takes the place of Django's.
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "channels_api",
    "polls",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "proj.urls"
ASGI_APPLICATION = "proj.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DEMO_DATABASE", BASE_DIR / "db.sqlite3"),
        "OPTIONS": {
            # Readers don't wait for the writer.
            "init_command": "PRAGMA journal_mode=WAL;",
            # Writers wait for each other, up to `timeout` seconds. A transaction that began by
            # reading could not wait: SQLite refuses it at once ("database is locked").
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Enough for one process. Several processes need a layer that they share, such as Redis.
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# A Celery worker inside the server process. A site of yours has workers of its own, a broker and
# a result backend, for example Redis for both: CELERY_BROKER_URL = "redis://...".
CHANNELS_API = {"EMBEDDED_WORKER": True}
CELERY_BROKER_URL = "memory://"
CELERY_RESULT_BACKEND = "cache+memory://"

# As on a site with several processes: any ASGI server, a worker (`celery -A proj worker`), and
# DEMO_REDIS_URL=redis://127.0.0.1:6379/0 for both.
if redis_url := os.environ.get("DEMO_REDIS_URL"):
    redis_host = {"address": redis_url, "socket_timeout": None}
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [redis_host]},
        }
    }
    CHANNELS_API = {"LOG": redis_url}
    CELERY_BROKER_URL = CELERY_RESULT_BACKEND = redis_url

# Both doors, HTTP and the socket, ask the same classes. Everybody may do everything, so that the
# demo can be tried without an account: a site of yours says something stricter here.
REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"]}

STATIC_URL = "static/"
LOGIN_URL = "rest_framework:login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
USE_TZ = True
TIME_ZONE = "UTC"
