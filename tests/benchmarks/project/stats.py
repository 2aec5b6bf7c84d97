"""`GET /stats/`, which every server of the benchmarks answers: how many queries it has made."""

import itertools
import json

from django.db.backends.signals import connection_created

_queries = itertools.count()
_counted = 0


def _count(execute, sql, params, many, context):
    global _counted
    # One call of C code: threads can't come between reading and adding.
    _counted = next(_queries) + 1
    return execute(sql, params, many, context)


def _watch(connection, **kwargs):
    connection.execute_wrappers.append(_count)


connection_created.connect(_watch, dispatch_uid="bench")


async def stats(scope, receive, send):
    """The ASGI application of that address."""
    body = json.dumps({"queries": _counted}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
