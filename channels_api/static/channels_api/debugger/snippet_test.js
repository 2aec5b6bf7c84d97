// A request and its reply as a test. The whole frame is compared; what the server makes is ANY.

import { Source, python } from "./literals.js";

const ANY = new Source("ANY");
const WIDTH = 90;

const ASK = `async def ask(frame, headers=()):
    """What a socket of its own is answered."""
    headers = [(b"origin", b"http://testserver"), *headers]
    communicator = WebsocketCommunicator(get_default_application(), PATH, headers=headers)
    connected, _ = await communicator.connect(timeout=10)
    assert connected
    await communicator.send_json_to(frame)
    reply = await communicator.receive_json_from(timeout=10)
    await communicator.disconnect()
    return reply`;

const MAKE = `def make(label, pk, **values):
    """A row with these values; the rows that it points to are made as well, empty ones."""
    row = apps.get_model(label)(pk=pk)
    for field in row._meta.concrete_fields:
        if field.name in values:
            setattr(row, field.attname, values[field.name])
            if field.many_to_one and values[field.name] is not None:
                field.related_model.objects.get_or_create(pk=values[field.name])
    row.save()`;

// Why there is no test of an exchange that the page shows; "" where there is one.
export function whyNoTest({ standard, action, data, reply }) {
  if (!reply) return "Send it first: a test compares with the reply.";
  const { page, offset, cursor } = data ?? {};
  const isLater = Number(page || 1) !== 1 || Number(offset || 0) !== 0 || cursor || reply.data?.previous;
  if (!standard || action !== "list" || reply.response_status >= 400 || !isLater) return "";
  return "No test can be made of a later page: it would need all the rows before it, which are not known.";
}

export function testOf(call) {
  const rows = neededRows(call);
  const expected = python({ stream: call.stream, payload: expectedPayload(call) }, 1);
  const body = [
    ...["    # In the test's own thread, which sees the rows of the test's transaction."],
    '    settings.CHANNELS_API = {**getattr(settings, "CHANNELS_API", {}), "THREADS": 0}',
    ...rows.map((row) => `    ${makeCall(call, row)}`),
    ...(call.user ? login(call) : []),
    `    frame = ${python({ stream: call.stream, payload: payload(call) }, 1)}`,
    `    assert async_to_sync(ask)(frame${call.user ? ", headers" : ""}) == ${expected}`,
  ];
  const fixtures = call.user ? "settings, client, django_user_model" : "settings";
  return [
    ...imports({ rows: rows.length, any: expected.includes("ANY") }),
    ASK.replace("PATH", python(call.path)),
    "", "",
    ...(rows.length ? [MAKE, "", ""] : []),
    "@pytest.mark.django_db",
    `def test_${name(call.stream)}_${name(call.action)}(${fixtures}):`,
    ...body,
    "",
  ].join("\n");
}

function imports({ rows, any }) {
  return [
    ...(any ? ["from unittest.mock import ANY", ""] : []),
    "import pytest",
    "from asgiref.sync import async_to_sync",
    "from channels.routing import get_default_application",
    "from channels.testing import WebsocketCommunicator",
    ...(rows ? ["from django.apps import apps"] : []),
    "", "",
  ];
}

// Permissions may ask for more than an account: of all that there is, these two are known here.
function login({ user, isStaff, isSuperuser }) {
  const flags = [isStaff ? "is_staff=True" : "", isSuperuser ? "is_superuser=True" : ""];
  const given = [python(user), ...flags.filter(Boolean)].join(", ");
  return [
    `    client.force_login(django_user_model.objects.create_user(${given}))`,
    "    session = client.cookies[settings.SESSION_COOKIE_NAME]",
    '    headers = [(b"cookie", f"{session.key}={session.value}".encode())]',
  ];
}

function payload({ action, pk, data }) {
  return { action, ...(pk === undefined ? {} : { pk }), ...(data === undefined ? {} : { data }), request_id: 1 };
}

function makeCall({ model, key, inputs }, row) {
  const values = Object.entries(row.values).filter(([field]) => field !== key && inputs.includes(field));
  const given = [python(model), python(row.pk), ...values.map(([field, value]) => `${field}=${python(value, 1)}`)];
  const line = `make(${given.join(", ")})`;
  return line.length < WIDTH ? line : `make(\n${given.map((part) => `        ${part},\n`).join("")}    )`;
}

// Rows as { pk, values }: those that the reply shows, and the one that was acted on.
function neededRows({ model, key, action, standard, detail, pk, reply, rows }) {
  const { data, response_status: status } = reply;
  const isAboutRows = standard ? action !== "create" : detail;
  if (!model || !isAboutRows || status === 202 || status === 404) return [];
  const shown = rowsIn(data?.snapshot ?? data, key).map((values) => ({ pk: values[key], values }));
  if (shown.length || pk === undefined) return shown;
  return [{ pk, values: rows.get(pk) ?? {} }];
}

// The rows in a reply's data: one, many, or a page of them.
export function rowsIn(data, key) {
  const found = Array.isArray(data) ? data : Array.isArray(data?.results) ? data.results : [data];
  return key ? found.filter((row) => row !== null && typeof row === "object" && key in row) : [];
}

function expectedPayload(call) {
  const { action, errors, data, response_status } = call.reply;
  const told = errors.map((error) => (error?.error_id ? anyLeaves(error) : error));
  return { action, errors: told, data: expectedData(call, data), response_status, request_id: 1 };
}

function expectedData(call, data) {
  const { standard, action, detail, key } = call;
  if (data === null) return null;
  if (standard && action === "create") return known(data, (field) => field in (call.data ?? {}));
  if (standard && /subscribe$/.test(action)) return subscribed(call, data);
  // A task, or what a custom action has counted: only that it has these keys can be known.
  if (call.reply.response_status === 202 || (!standard && !detail)) return anyLeaves(data);
  return shownRows(call, data, key);
}

function subscribed(call, data) {
  const position = data.epoch === undefined ? {} : { subscription: ANY, epoch: ANY, seq: ANY };
  const snapshot = data.snapshot ? { snapshot: shownRows(call, data.snapshot, call.key) } : {};
  return { ...data, ...position, ...snapshot };
}

function shownRows(call, data, key) {
  const isKnown = (field) => field === key || call.inputs.includes(field);
  if (Array.isArray(data)) return data.map((row) => shownRows(call, row, key));
  // How many there are, and the addresses of other pages, are those of the database here.
  if (Array.isArray(data?.results)) return { ...anyLeaves(data), results: shownRows(call, data.results, key) };
  return key && data !== null && typeof data === "object" && key in data ? known(data, isKnown) : data;
}

function known(row, isKnown) {
  return Object.fromEntries(Object.entries(row).map(([field, value]) => [field, isKnown(field) ? value : ANY]));
}

function anyLeaves(value) {
  if (Array.isArray(value)) return ANY;
  if (value === null || typeof value !== "object") return ANY;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, anyLeaves(part)]));
}

function name(text) {
  return text.replace(/\W/g, "_").toLowerCase();
}
