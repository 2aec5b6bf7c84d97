// Subscriptions and tasks, where the test is the server: what a real one answers but rarely.

import assert from "node:assert/strict";

import { connect } from "../../../channels_api/static/channels_api/client.js";
import { fakeSockets, test } from "./client_helpers.mjs";

const AT = { epoch: "e", seq: 1 };
const ROW = { id: 1, text: "a" };

function setUp(t, options) {
  const Socket = fakeSockets();
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.mock.method(Math, "random", () => 0.5);
  const client = connect("ws://server/", { WebSocket: Socket, ...options });
  Socket.last.accept();
  return { Socket, client, tick: (milliseconds) => t.mock.timers.tick(milliseconds) };
}

// A subscription with one row, and what it was told.
function subscribed(Socket, client, options) {
  const told = [];
  const subscription = client.stream("a").subscribe({
    onChange: (change) => told.push(change),
    onError: (error) => told.push([error.status, error.message]),
    ...options,
  });
  const begin = (data) => {
    const reply = { action: "*", subscription: "s1", ...AT, recovered: false, reason: "first", snapshot: [ROW] };
    Socket.last.answer(Socket.last.sent.at(-1), 200, { ...reply, ...data });
    told.length = 0;
  };
  const tell = (n, event, { payload } = Socket.last.sent.find(({ payload }) => payload?.action === "subscribe")) =>
    Socket.last.say({ stream: "a", payload: { request_id: payload.request_id, n, ...AT, ...event } });
  return { subscription, told, begin, tell };
}

test("where a frame is missing, it asks for what was in it", (t) => {
  const { Socket, client } = setUp(t);
  const { subscription, told, begin, tell } = subscribed(Socket, client);
  begin();
  const [first] = Socket.last.sent;
  tell(1, { action: "create", pk: 2, data: { id: 2 }, seq: 2 });
  tell(3, { action: "delete", pk: 1, data: null, seq: 4 });
  assert.equal(subscription.state, "stale");
  assert.deepEqual(Socket.last.payloads.slice(1).map(({ action, data }) => [action, data]), [
    ["unsubscribe", { subscription: "s1" }],
    ["subscribe", { action: "*", since: { epoch: "e", seq: 2 }, have: [1, 2] }],
  ]);
  tell(4, { action: "delete", pk: 2, data: null }, first); // it was on its way
  begin({ subscription: "s2", recovered: true, snapshot: undefined });
  tell(1, { action: "delete", pk: 1, data: null, seq: 4 }, Socket.last.sent.at(-1));
  assert.deepEqual(told, [{ type: "delete", pk: 1, row: undefined, previous: ROW }]);
  assert.deepEqual([subscription.state, [...subscription.rows.keys()]], ["live", [2]]);
  assert.deepEqual(subscription.position, { epoch: "e", seq: 4 });
});

test("a subscribe that is put off is tried again, and goes on where it was", (t) => {
  const { Socket, client, tick } = setUp(t);
  const { subscription, told, begin } = subscribed(Socket, client);
  const putOff = (status, pause) => {
    const { length } = Socket.last.sent;
    Socket.last.answer(Socket.last.sent.at(-1), status, null, ["Later."]);
    tick(pause - 1);
    assert.equal(Socket.last.sent.length, length);
    tick(1);
    assert.equal(Socket.last.sent.length, length + 1);
    return Socket.last.payloads.at(-1).data;
  };
  [429, 503, 504].forEach((status, tries) => {
    assert.deepEqual(putOff(status, 500 * 2 ** tries), { action: "*", snapshot: true });
  });
  assert.equal(subscription.state, "pending");
  begin();
  client.reconnect();
  tick(0);
  Socket.last.accept();
  // Also after an error of the server's, for it went well before.
  const wish = { action: "*", since: AT, have: [1] };
  assert.deepEqual([putOff(503, 500), putOff(500, 1000)], [wish, wish]);
  assert.deepEqual([subscription.state, told], ["stale", []]);
  // A cut meanwhile: not both the pause and the new connection.
  Socket.last.answer(Socket.last.sent.at(-1), 503, null, ["Later."]);
  client.reconnect();
  tick(0);
  Socket.last.accept();
  tick(30_000);
  assert.deepEqual(Socket.last.payloads.map(({ data }) => data), [wish]);
});

test("a subscribe that is put off again and again is told as an error, if it has never begun", async (t) => {
  const { Socket, client, tick } = setUp(t);
  const { subscription } = subscribed(Socket, client);
  for (let tries = 0; tries < 6; tries += 1) {
    Socket.last.answer(Socket.last.sent.at(-1), 429, null, ["A socket may have 100 subscriptions."]);
    tick(30_000);
  }
  assert.equal(Socket.last.payloads.length, 6);
  await assert.rejects(subscription.ready, { status: 429, message: "A socket may have 100 subscriptions." });
});

test("an error of the server's at the first subscribe is told", async (t) => {
  const { Socket, client } = setUp(t);
  const { subscription } = subscribed(Socket, client);
  Socket.last.answer(Socket.last.sent[0], 500, null, ["Internal server error", { error_id: "1" }]);
  await assert.rejects(subscription.ready, { status: 500, message: "Internal server error error_id: 1" });
});

test("cut before the reply, and between the reply and what was missed", (t) => {
  const { Socket, client, tick } = setUp(t);
  const { subscription, begin } = subscribed(Socket, client);
  const again = () => {
    Socket.last.shut(1006);
    tick(100_000);
    Socket.last.accept();
    return Socket.last.payloads.map(({ data }) => data);
  };
  assert.deepEqual(again(), [{ action: "*", snapshot: true }]);
  begin();
  assert.deepEqual(again(), [{ action: "*", since: AT, have: [1] }]);
  begin({ recovered: true, snapshot: undefined });
  assert.equal(subscription.state, "live");
  assert.deepEqual(again(), [{ action: "*", since: AT, have: [1] }]);
});

test("a reset takes the place of all, and it goes on from there", (t) => {
  const { Socket, client } = setUp(t);
  const { subscription, told, begin, tell } = subscribed(Socket, client);
  begin();
  tell(1, { action: "reset", reason: "gap", snapshot: [{ id: 2 }], epoch: "f", seq: 9 });
  assert.deepEqual(told, [{ type: "reset", reason: "gap" }]);
  assert.deepEqual([...subscription.rows], [[2, { id: 2 }]]);
  assert.deepEqual(subscription.position, { epoch: "f", seq: 9 });
  tell(2, { action: "delete", pk: 2, data: null });
  assert.deepEqual([subscription.state, subscription.rows.size], ["live", 0]);
});

test("resets that end it", (t) => {
  const { Socket, client } = setUp(t);
  const { subscription, told, begin, tell } = subscribed(Socket, client);
  begin();
  tell(1, { action: "reset", reason: "forbidden", snapshot: [] });
  assert.deepEqual(told, [{ type: "reset", reason: "forbidden" }, [403, "This may not be seen any more."]]);
  assert.deepEqual([subscription.state, subscription.rows.size], ["closed", 0]);
  const other = subscribed(Socket, client);
  other.begin();
  other.tell(1, { action: "reset", reason: "too_many", snapshot: null }, Socket.last.sent.at(-1));
  assert.deepEqual(other.told[1], [413, "There are too many rows to be sent at once: narrow the filter."]);
  assert.deepEqual([other.subscription.state, other.subscription.rows.size], ["closed", 1]);
});

test("an unsubscribe means something on its own connection only", (t) => {
  const { Socket, client, tick } = setUp(t, { maxInFlight: 1 });
  const { subscription, begin } = subscribed(Socket, client);
  begin();
  client.stream("a").list();
  subscription.close(); // the list has to be answered first
  Socket.last.shut(1006);
  tick(500);
  Socket.last.accept();
  Socket.last.answer(Socket.last.sent[0], 200, []);
  assert.deepEqual(Socket.last.payloads.map(({ action }) => action), ["list"]);
});

test("subscriptions go before what waited", (t) => {
  const { Socket, client, tick } = setUp(t, { maxInFlight: 1 });
  client.reconnect(10);
  client.stream("a").list();
  client.stream("a").subscribe();
  client.stream("b").subscribe();
  tick(10);
  Socket.last.accept();
  for (let at = 0; at < 2; at += 1) Socket.last.answer(Socket.last.sent[at], 429);
  assert.deepEqual(Socket.last.sent.map(({ stream, payload }) => [stream, payload.action]), [
    ["a", "subscribe"],
    ["b", "subscribe"],
    ["a", "list"],
  ]);
});

test("a task that can't be watched just now goes on later", async (t) => {
  const { Socket, client, tick } = setUp(t);
  const task = client.stream("a").task("start");
  Socket.last.answer(Socket.last.sent[0], 202, { id: "t", state: "PENDING" });
  client.reconnect();
  tick(0);
  Socket.last.accept();
  [503, 500].forEach((status, tries) => {
    Socket.last.answer(Socket.last.sent.at(-1), status, null, ["Later."]);
    tick(500 * 2 ** tries);
  });
  const asked = { stream: "tasks", payload: { action: "subscribe", pk: "t" } };
  for (const { stream, payload } of Socket.last.sent) {
    assert.deepEqual({ stream, payload: { action: payload.action, pk: payload.pk } }, asked);
  }
  assert.equal(Socket.last.sent.length, 3);
  Socket.last.answer(Socket.last.sent.at(-1), 200, { id: "t", state: "SUCCESS", result: null });
  assert.equal(await task.result, null);
  client.reconnect();
  tick(0);
  Socket.last.accept();
  assert.deepEqual(Socket.last.sent, []); // it is over
});

test("a task that is refused at its begin is not tried again", async (t) => {
  const { Socket, client, tick } = setUp(t);
  const task = client.stream("a").task("start", { data: 1 });
  Socket.last.answer(Socket.last.sent[0], 503, null, ["Tasks can't be started at the moment."]);
  await assert.rejects(task.result, { status: 503 });
  tick(100_000);
  assert.equal(Socket.last.sent.length, 1);
});

test("rows whose keys are not quite what events call them", (t) => {
  const { Socket, client } = setUp(t);
  const { subscription, told, begin, tell } = subscribed(Socket, client);
  const [one, two] = [{ id: "1" }, { id: "2" }];
  begin({ snapshot: [one, two] });
  tell(1, { action: "update", pk: 1, data: { id: "1", text: "b" } });
  tell(2, { action: "delete", pk: 2, data: null });
  tell(3, { action: "delete", pk: 3, data: null }); // it was never here
  assert.deepEqual(told, [
    { type: "update", pk: "1", row: { id: "1", text: "b" }, previous: one },
    { type: "delete", pk: "2", row: undefined, previous: two },
    { type: "delete", pk: 3, row: undefined, previous: undefined },
  ]);
  tell(4, { action: "delete", pk: 1, data: null });
  assert.deepEqual([subscription.state, subscription.rows.size], ["live", 0]);
});

test("rows that are kept by something else than their primary keys", (t) => {
  const { Socket, client, tick } = setUp(t);
  const { subscription, told, begin, tell } = subscribed(Socket, client, { key: "url" });
  const again = () => {
    client.reconnect();
    tick(0);
    Socket.last.accept();
    return Socket.last.payloads.at(-1).data;
  };
  const [one, two] = [{ url: "/1/" }, { url: "/2/" }];
  begin({ snapshot: [one] });
  assert.deepEqual(again(), { action: "*", since: AT }); // that "/1/" is row 1, it can't know
  begin({ recovered: true, snapshot: undefined });
  tell(1, { action: "update", pk: 1, data: { ...one, text: "b" } });
  tell(2, { action: "create", pk: 2, data: two });
  assert.deepEqual([...subscription.rows.keys()], ["/1/", "/2/"]);
  tell(3, { action: "update", pk: 1, data: { url: "/one/" } });
  assert.deepEqual([...subscription.rows.keys()], ["/2/", "/one/"]);
  assert.deepEqual(again(), { action: "*", since: AT, have: [2, 1] });
  begin({ recovered: true, snapshot: undefined });
  tell(1, { action: "delete", pk: 2, data: null });
  tell(2, { action: "delete", pk: 3, data: null }); // it was never here
  assert.deepEqual(told.map(({ type, pk }) => [type, pk]), [
    ["delete", "/2/"],
    ["delete", 3],
  ]);
  assert.deepEqual([...subscription.rows.keys()], ["/one/"]);
});

const UUID = "6f0f27a5-8f8d-4b3c-9f61-0d3d0c8f6a11";

for (const [key, rows, pk] of [
  ["url", [{ url: "/1/" }], 1],
  [undefined, [{ id: UUID.replaceAll("-", "") }], UUID],
]) {
  test(`which row was deleted can't be known, by ${key ?? "id"}`, (t) => {
    const { Socket, client } = setUp(t);
    const { subscription, told, begin, tell } = subscribed(Socket, client, { key });
    begin({ snapshot: rows });
    tell(1, { action: "delete", pk, data: null });
    assert.deepEqual(told, [
      [0, "It is not known which row was deleted: say what their primary key is, as `key`."],
    ]);
    assert.deepEqual([subscription.state, Socket.last.payloads.at(-1).action], ["closed", "unsubscribe"]);
  });
}

test("a field that is named holds primary keys, as the first event shows", (t) => {
  const { Socket, client, tick } = setUp(t);
  const { subscription, begin, tell } = subscribed(Socket, client, { key: "uuid" });
  const other = UUID.replace("6", "7");
  begin({ snapshot: [{ uuid: UUID }] });
  tell(1, { action: "delete", pk: other, data: null }); // it was never here
  tell(2, { action: "create", pk: other, data: { uuid: other } });
  client.reconnect();
  tick(0);
  Socket.last.accept();
  assert.deepEqual(Socket.last.payloads[0].data.have, [UUID, other]);
  begin({ recovered: true, snapshot: undefined });
  tell(1, { action: "delete", pk: UUID, data: null });
  assert.deepEqual([...subscription.rows.keys()], [other]);
});

test("the rows that are held are named where the frame does not get too large", (t) => {
  const { Socket, client, tick } = setUp(t);
  const again = (rows, filter) => {
    const { subscription, begin } = subscribed(Socket, client, { filter });
    begin({ snapshot: rows });
    client.reconnect();
    tick(0);
    Socket.last.accept();
    const { data } = Socket.last.payloads[0];
    subscription.close();
    return [data.have?.length, data.filter];
  };
  const rows = (length, id) => Array.from({ length }, (_, number) => ({ id: `${id}${number}` }));
  assert.deepEqual(again(rows(900, "k".repeat(60))), [900, undefined]);
  assert.deepEqual(again(rows(900, "\u9375".repeat(35))), [undefined, undefined]);
  const filter = { search: "x".repeat(30_000) };
  assert.deepEqual(again(rows(900, "k".repeat(40)), filter), [undefined, filter]);
});
