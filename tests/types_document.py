"""A document as `make_schema()` makes them, with all that the types of a client are made of."""

QUESTION = {"$ref": "#/components/schemas/Question"}
QUESTION_INPUT = {"$ref": "#/components/schemas/QuestionInput"}
QUESTION_PATCH = {"$ref": "#/components/schemas/QuestionPatch"}
LINK = {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]}
TEXT = {"type": "string"}
FILTERS = {
    "type": "object",
    "properties": {
        "search": {"type": "string", "description": "Words that rows have to contain."},
        "author__name": {"type": "string"},
    },
}
PAGE = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "results": {"type": "array", "items": QUESTION},
    },
    "required": ["count", "results"],
}
SUBSCRIBE = {
    "type": "object",
    "properties": {"action": {"const": "*"}, "snapshot": {"type": "boolean"}, "filter": FILTERS},
}
READING = {"method": "GET", "standard": True}
WRITING = {"method": "POST", "standard": True}
CUSTOM = {"method": "POST", "standard": False}


def operation(stream, name, *, detail=False, data=None, result=None, socket="ws", about="", **more):
    """An operation that a client calls; anything may be its result unless said."""
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{stream}"},
        "description": about,
        "x-action": {
            "socket": socket,
            "stream": stream,
            "name": name,
            "detail": detail,
            "data": data,
            "result": {} if result is None else result,
            **more,
        },
    }


def stream(name, socket="ws", **fields):
    return {
        "socket": socket,
        "stream": name,
        "description": "",
        "model": None,
        "key": "id",
        "pk": {"type": "integer"},
        "event_pk": {"type": "integer"},
        "row": None,
        "subscribable": False,
        "tasks": False,
        **fields,
    }


def document(operations=(), streams=None, components=None, sockets=("ws",)):
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Polls", "version": "1"},
        "operations": dict(operations),
        "components": {"schemas": components or {}},
        "x-sockets": {name: {"address": f"/{name}/"} for name in sockets},
        "x-streams": streams or {},
    }


def polls():
    """Two sockets; streams that do everything, that are read only, and of tasks."""
    write = {"data": QUESTION_INPUT, "result": QUESTION, **WRITING}
    read = {"detail": True, "result": QUESTION, **READING}
    found = [
        operation("questions", "create", about="Asks a new question.", **write),
        operation("questions", "retrieve", **read),
        operation("questions", "list", data=FILTERS, result=PAGE, **READING),
        operation("questions", "update", **{**write, "detail": True}),
        operation(
            "questions", "patch", detail=True, data=QUESTION_PATCH, result=QUESTION, **WRITING
        ),
        operation("questions", "delete", detail=True, **WRITING),
        operation("questions", "subscribe", detail=True, data=SUBSCRIBE, **READING),
        operation("questions", "unsubscribe", detail=True, data=SUBSCRIBE, **READING),
        operation("questions", "publish", detail=True, result=QUESTION, **CUSTOM),
        operation(
            "questions",
            "report",
            about="Counts the votes */ of a year.\n\nTakes long.",
            data={
                "type": "object",
                "properties": {"year": {"type": "integer"}},
                "required": ["year"],
            },
            **CUSTOM,
        ),
        operation("questions", "by-day", data={}, result={"type": "array", "items": {}}, **CUSTOM),
        operation("live-votes", "retrieve", **{**read, "result": {"type": "integer"}}),
        operation("live-votes", "subscribe", detail=True, data=SUBSCRIBE, **READING),
        operation("links", "subscribe", detail=True, data={}, **READING),
        operation("tasks", "retrieve", detail=True, **READING),
        operation("tasks", "subscribe", detail=True, **READING),
        operation("tasks", "delete", detail=True, **WRITING),
    ]
    operations = {
        f"{each['x-action']['stream']}.{each['x-action']['name']}": each for each in found
    }
    operations["admin.questions.retrieve"] = operation(
        "questions", "retrieve", socket="admin", **{**read, "result": {"type": "string"}}
    )
    streams = {
        "questions": stream(
            "questions", row=QUESTION, subscribable=True, description="What is asked."
        ),
        "live-votes": stream(
            "live-votes",
            key="slug",
            pk={"type": "string"},
            row={"type": "integer"},
            subscribable=True,
        ),
        "links": stream("links", key=None, row=LINK, subscribable=True),
        "tasks": stream("tasks", key=None, pk=TEXT, event_pk=TEXT, tasks=True),
        "admin.questions": stream("questions", "admin", row={"type": "string"}),
    }
    return document(operations, streams, components(), sockets=("ws", "admin"))


def components():
    text = {"type": "string", "title": "Question text", "maxLength": 200}
    date = {"type": "string", "format": "date-time", "title": "Date published"}
    tone = {
        "type": ["string", "null"],
        "enum": ["calm", "loud", None],
        "x-enum-labels": ["Calm", "Loud"],
        "description": "How it is asked.",
        "default": "calm",
    }
    return {
        "Question": {
            "type": "object",
            "title": "Question",
            "description": "A question and its choices.",
            "properties": {
                "id": {"type": "integer", "title": "ID"},
                "question_text": text,
                "pub_date": date,
                "tone": tone,
                "choices": {"type": "array", "items": {"$ref": "#/components/schemas/Choice"}},
                "e-mail": {"type": ["string", "null"]},
            },
            "required": ["id", "question_text", "pub_date", "tone", "choices", "e-mail"],
        },
        "QuestionInput": {
            "type": "object",
            "properties": {"question_text": text, "pub_date": date, "tone": tone},
            "required": ["question_text"],
        },
        "QuestionPatch": {"type": "object", "properties": {"question_text": text}},
        "Choice": {"type": "object", "properties": {"votes": {"type": "integer"}}},
    }
