"""Django's settings for every server of the benchmarks; the environment says which.

BENCH_DIRECTORY       where the SQLite file stands
BENCH_DB              `sqlite` or `postgres`; the latter with BENCH_DB_HOST, _PORT and _USER
BENCH_LAYER           `memory`, `redis` or `pubsub`; the latter two with BENCH_REDIS_URL
BENCH_PEER            the name of the server: its prefix in Redis, and whether it has this library
BENCH_CONN_MAX_AGE    seconds, 600 unless it is said
BENCH_POOL            `1`: on PostgreSQL psycopg's pool, in place of connections that persist
BENCH_CHANNELS_API    JSON, beside FRAME_RATE
"""

import json
import os
from pathlib import Path

PEER = os.environ.get("BENCH_PEER", "")

SECRET_KEY = "only for benchmarks"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "tests.benchmarks.project.drf"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rest_framework",
    "channels",
    "tests.benchmarks.project",
]
if PEER == "ours":
    INSTALLED_APPS.append("channels_api")
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
}

# The one thing that a site would not say: a load generator is a flood.
CHANNELS_API = {"FRAME_RATE": None, **json.loads(os.environ.get("BENCH_CHANNELS_API", "{}"))}


def sqlite() -> dict:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(os.environ["BENCH_DIRECTORY"]) / "bench.sqlite3",
        "OPTIONS": {
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 10,
        },
    }


# What Django's manual says for ASGI.
POOL = {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"min_size": 2, "max_size": 8}}}


def postgres() -> dict:
    pooled = os.environ.get("BENCH_POOL") == "1"
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "HOST": os.environ["BENCH_DB_HOST"],
        "PORT": os.environ["BENCH_DB_PORT"],
        "USER": os.environ["BENCH_DB_USER"],
        **(POOL if pooled else {}),
    }


make_database = {"sqlite": sqlite, "postgres": postgres}[os.environ.get("BENCH_DB", "sqlite")]
AGE = int(os.environ.get("BENCH_CONN_MAX_AGE", "600"))
DATABASES = {"default": {"CONN_MAX_AGE": AGE, **make_database()}}

LAYERS = {
    "memory": "channels.layers.InMemoryChannelLayer",
    "redis": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}
LAYER = os.environ.get("BENCH_LAYER", "memory")
CHANNEL_LAYERS: dict = {"default": {"BACKEND": LAYERS[LAYER]}}
if LAYER != "memory":
    # redis-py 8 has a read timeout of 5 s and 100 connections, too little for a layer.
    host = {
        "address": os.environ["BENCH_REDIS_URL"],
        "socket_timeout": None,
        "max_connections": 100_000,
    }
    CHANNEL_LAYERS["default"]["CONFIG"] = {"hosts": [host], "prefix": f"bench-{PEER}"}
    # What belongs to a layer that several processes share.
    CHANNELS_API["LOG"] = os.environ["BENCH_REDIS_URL"]
