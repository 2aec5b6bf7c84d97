// The connection, where the test is the server: what it closes, when it is silent, and what listeners
// do meanwhile.

import assert from "node:assert/strict";
import { once } from "node:events";

import { WebSocket, WebSocketServer } from "ws";

import { connect, ConnectionLost, RequestError } from "../../../channels_api/static/channels_api/client.js";
import { fakeSockets, settled, test, until } from "./client_helpers.mjs";

// A client without a network, whose time and chance are the test's.
function setUp(t, options) {
  const Socket = fakeSockets();
  const clock = { now: 0, chance: 0.5 };
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.mock.method(performance, "now", () => clock.now);
  t.mock.method(Math, "random", () => clock.chance);
  const tick = (milliseconds) => {
    clock.now += milliseconds;
    t.mock.timers.tick(milliseconds);
  };
  const client = connect("ws://server/", { WebSocket: Socket, ...options });
  return { Socket, clock, tick, client };
}

const AGAIN = [1000, 1001, 1006, 1011, 1012, 4408, 4409, 4429, 4503];
const NEVER = [4400, 4401, 4403, 4413];

test("which close codes are obeyed, and after which it comes back", async (t) => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  t.after(() => server.close());
  await once(server, "listening");
  const seen = {};
  server.on("connection", (socket, { url }) => {
    const code = Number(url.slice(1));
    seen[code] = (seen[code] ?? 0) + 1;
    if (seen[code] > 1) return;
    if (code === 1006) socket.terminate();
    else socket.close(code);
  });
  const clients = {};
  for (const code of [...AGAIN, ...NEVER]) {
    const url = `ws://127.0.0.1:${server.address().port}/${code}`;
    clients[code] = connect(url, { WebSocket, minPause: 5 });
    t.after(() => clients[code].close());
  }
  const waiting = NEVER.map((code) => clients[code].stream("questions").list());
  const results = await Promise.allSettled(waiting);
  assert.deepEqual(
    results.map(({ reason }) => [reason instanceof ConnectionLost, reason.message]),
    NEVER.map((code) => [true, `The connection was closed (${code}).`]),
  );
  await until(() => AGAIN.every((code) => seen[code] === 2 && clients[code].state === "open"));
  for (const code of AGAIN) assert.equal(clients[code].closeCode, code);
  for (const code of NEVER) {
    assert.deepEqual([clients[code].state, clients[code].closeCode, seen[code]], ["closed", code, 1]);
    await assert.rejects(clients[code].stream("questions").list(), ConnectionLost);
  }
});

test("a server that has not pinged yet is asked for a sign of life, and left if there is none", (t) => {
  const { Socket, tick, client } = setUp(t);
  Socket.last.accept();
  tick(29_999);
  assert.deepEqual(Socket.last.sent, []);
  tick(1);
  assert.equal(Socket.last.payloads.length, 1);
  Socket.last.answer(Socket.last.sent[0], 404, null, ["There is no stream 'ping'."]);
  tick(30_000);
  assert.equal(Socket.last.payloads.length, 2);
  tick(60_000);
  assert.deepEqual([client.state, client.closeCode], ["waiting", 1006]);
});

test("pauses are random up to twice the one before, and end when the server speaks", (t) => {
  const { Socket, clock, tick, client } = setUp(t);
  const pause = (milliseconds) => {
    Socket.last.shut(1006);
    const count = Socket.made.length;
    tick(milliseconds - 1);
    assert.deepEqual([client.state, Socket.made.length], ["waiting", count]);
    tick(1);
    assert.deepEqual([client.state, Socket.made.length], ["connecting", count + 1]);
  };
  for (const milliseconds of [500, 1000, 2000, 4000, 8000, 15_000, 15_000]) pause(milliseconds);
  clock.chance = 0.1;
  pause(3000);
  Socket.last.accept(); // that alone says little: it may be closed at once
  pause(3000);
  Socket.last.accept();
  Socket.last.say({ ping: 1, interval: 20 });
  pause(100);
});

test("where it leads", (t) => {
  const Socket = fakeSockets();
  const made = (url, options) => {
    connect(url, { WebSocket: Socket, ...options }).close();
    return Socket.last;
  };
  globalThis.location = { href: "https://site.example/page?x#y" };
  t.after(() => delete globalThis.location);
  assert.equal(made("/ws/?a=1").url, "wss://site.example/ws/?a=1");
  assert.equal(made("http://other.example:8000/ws/#part").url, "ws://other.example:8000/ws/");
  assert.deepEqual(made("/").protocols, ["channels-api.v1"]);
  assert.deepEqual(made("/", { protocols: ["other"] }).protocols, ["channels-api.v1", "other"]);
  assert.throws(() => connect("/ws/", { WebSocket: undefined }), /There is no WebSocket here/);
});

test("a token goes before all else, and is asked for anew on each connection", async (t) => {
  const tokens = ["first", "second"];
  const { Socket, tick, client } = setUp(t, { token: async () => tokens.shift() });
  const heard = [];
  client.onFrame((direction, text) => heard.push(text));
  const rows = client.stream("questions").list();
  Socket.last.accept();
  assert.deepEqual([Socket.last.sent, client.state], [[], "connecting"]);
  await settled();
  assert.deepEqual(Socket.last.sent[0], { authenticate: "first" });
  assert.equal(client.state, "open");
  Socket.last.say({ authenticated: true });
  Socket.last.answer(Socket.last.sent[1], 200, []);
  assert.deepEqual(await rows, []);
  assert.ok(!heard.join().includes("first"));
  Socket.last.shut(1006);
  tick(1000);
  Socket.last.accept();
  await settled();
  assert.deepEqual(Socket.last.sent, [{ authenticate: "second" }]);
});

test("a token that is refused ends the connection", async (t) => {
  const refused = setUp(t, { token: "wrong" });
  refused.Socket.last.accept();
  await settled();
  assert.deepEqual(refused.Socket.last.sent, [{ authenticate: "wrong" }]);
  refused.Socket.last.shut(4401);
  assert.equal(refused.client.state, "closed");
});

test("a token that can't be had is asked for again", async (t) => {
  const Socket = fakeSockets();
  const token = () => Promise.reject(new Error("offline"));
  const client = connect("ws://server/", { WebSocket: Socket, minPause: 5, token });
  t.after(() => client.close());
  Socket.last.accept();
  await until(() => Socket.made.length === 2);
  assert.deepEqual(Socket.made[0].sent, []);
});

test("a token that comes too late is sent to nobody", async (t) => {
  let give;
  const { Socket, client } = setUp(t, { token: () => new Promise((resolve) => (give = resolve)) });
  Socket.last.accept();
  client.close();
  give("late");
  await settled();
  assert.deepEqual(Socket.last.sent, []);
});

test("pings are answered, and their end is noticed", (t) => {
  const { Socket, tick, client } = setUp(t);
  Socket.last.accept();
  Socket.last.say({ ping: 1, interval: 20 });
  assert.deepEqual(Socket.last.sent, [{ pong: 1 }]);
  tick(30_000);
  Socket.last.say({ stream: "questions", payload: { action: "create" } }); // any frame is a sign of life
  tick(43_000);
  assert.equal(client.state, "open");
  tick(1000);
  assert.equal(client.state, "waiting");
  assert.equal(Socket.last.isClosed, true);
});

test("a server that never answers the handshake is given up", (t) => {
  const { Socket, tick, client } = setUp(t);
  tick(60_000);
  assert.equal(client.state, "waiting");
  tick(500);
  Socket.last.accept();
  tick(60_000);
  assert.deepEqual([client.state, Socket.made.length], ["open", 2]);
});

test("a reply that does not come fails; if nothing else comes either, the connection is dead", async (t) => {
  const { Socket, tick, client } = setUp(t, { timeout: 5000 });
  Socket.last.accept();
  const [first, second] = [client.stream("a").create({}), client.stream("a").create({})];
  tick(1000);
  Socket.last.answer(Socket.last.sent[1], 201, "second");
  tick(4000);
  await assert.rejects(first, (error) => error instanceof ConnectionLost && /within 5 seconds/.test(error.message));
  assert.equal(await second, "second");
  assert.equal(client.state, "open");
  Socket.last.answer(Socket.last.sent[0], 201, "late"); // nobody waits for it any more
  const third = client.stream("a").create({});
  tick(5000);
  await assert.rejects(third, ConnectionLost);
  assert.equal(client.state, "waiting");
});

test("reads are sent again on each new connection, what changes something is not", async (t) => {
  const { Socket, tick, client } = setUp(t);
  Socket.last.accept();
  const stream = client.stream("a");
  const reads = [stream.list({ page: 2 }), stream.retrieve(1)];
  const writes = [stream.create({}), stream.patch(1, {}), stream.action("retry")];
  for (const pause of [500, 1000]) {
    Socket.last.shut(1006);
    tick(pause);
    Socket.last.accept();
    assert.deepEqual(Socket.last.payloads.map(({ action }) => action), ["list", "retrieve"]);
  }
  for (const write of writes) await assert.rejects(write, ConnectionLost);
  Socket.last.sent.forEach((frame) => Socket.last.answer(frame, 200, frame.payload.action));
  assert.deepEqual(await Promise.all(reads), ["list", "retrieve"]);
});

test("so many wait for replies, and one that was given up keeps its place", async (t) => {
  const { Socket, client } = setUp(t, { maxInFlight: 2 });
  Socket.last.accept();
  const abort = new AbortController();
  const given = client.stream("a").create({ number: 1 }, { signal: abort.signal });
  const [, third] = [2, 3].map((number) => client.stream("a").create({ number }));
  abort.abort();
  await assert.rejects(given, { name: "AbortError" });
  assert.equal(Socket.last.sent.length, 2);
  Socket.last.answer(Socket.last.sent[0], 201);
  assert.equal(Socket.last.sent.length, 3);
  Socket.last.answer(Socket.last.sent[2], 201, "third");
  assert.equal(await third, "third");
});

test("no more are sent than a server takes", async (t) => {
  const { Socket, tick, client } = setUp(t, { maxInFlight: 1000 });
  Socket.last.accept();
  for (let number = 0; number < 300; number += 1) client.stream("a").list().catch(() => {});
  assert.equal(Socket.last.sent.length, 160);
  for (let time = 0; time < 1000; time += 20) tick(20);
  // 80 in a second, or what the timers make of it.
  assert.ok(Math.abs(Socket.last.sent.length - 240) <= 2, `${Socket.last.sent.length}`);
  client.close();
});

test("an answer to nobody in particular, for size, is for the largest", async (t) => {
  const { Socket, client } = setUp(t);
  Socket.last.accept();
  const [small, large] = ["x", "ü".repeat(9)].map((text) => client.stream("a").create({ text }));
  const payload = { action: null, errors: ["Too large."], data: null, response_status: 413, request_id: null };
  Socket.last.say({ stream: null, payload: { ...payload, response_status: 400 } });
  Socket.last.say({ stream: null, payload });
  await assert.rejects(large, { status: 413, message: "Too large." });
  Socket.last.answer(Socket.last.sent[0], 201, "small");
  assert.equal(await small, "small");
});

test("the browser is online again", (t) => {
  const listeners = new Set();
  globalThis.addEventListener = (type, listener) => type === "online" && listeners.add(listener);
  globalThis.removeEventListener = (type, listener) => type === "online" && listeners.delete(listener);
  t.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  });
  const online = () => listeners.forEach((listener) => listener());
  const { Socket, client } = setUp(t);
  online(); // it tries already
  assert.equal(Socket.made.length, 1);
  Socket.last.shut(1006);
  online();
  assert.deepEqual([client.state, Socket.made.length], ["connecting", 2]);
  client.reconnect(10_000);
  client.close();
  assert.equal(listeners.size, 0);
});

test("it is cut while it connects, and cut again", (t) => {
  const { Socket, tick, client } = setUp(t);
  client.reconnect(100);
  client.reconnect(200);
  const [dropped] = Socket.made;
  dropped.accept(); // too late
  assert.equal(client.state, "waiting");
  tick(150);
  assert.equal(Socket.made.length, 1);
  tick(50);
  dropped.shut(1006);
  Socket.last.accept();
  tick(100_000);
  assert.deepEqual([client.state, Socket.made.length], ["open", 2]);
});

test("listeners that close, cut or subscribe", async (t) => {
  const { Socket, tick, client } = setUp(t);
  const states = [];
  client.onState((state, code) => states.push([state, code]));
  const stop = client.onState((state) => state === "open" && client.stream("b").subscribe());
  client.stream("a").subscribe();
  Socket.last.accept();
  stop();
  assert.deepEqual(Socket.last.sent.map(({ stream }) => stream), ["a", "b"]);
  const cut = client.onFrame((way) => way === "in" && client.reconnect());
  Socket.last.say({ ping: 1, interval: 20 });
  cut();
  tick(0);
  Socket.last.accept();
  assert.deepEqual(Socket.last.sent.map(({ stream }) => stream), ["a", "b"]);
  client.onFrame((way) => way === "in" && client.close());
  Socket.last.say({ ping: 1, interval: 20 });
  assert.deepEqual(states, [
    ["open", null],
    ["waiting", 1006],
    ["connecting", 1006],
    ["open", 1006],
    ["closed", 1000],
  ]);
});

test("a listener of frames that cuts or closes while subscriptions begin", (t) => {
  const { Socket, tick, client } = setUp(t);
  client.stream("a").subscribe();
  const b = client.stream("b").subscribe({ onError() {} });
  client.stream("c").subscribe();
  const actions = [() => client.reconnect(), () => b.close()];
  client.onFrame(() => actions.shift()?.());
  Socket.last.accept();
  assert.deepEqual(Socket.last.sent.map(({ stream }) => stream), ["a"]);
  tick(0);
  Socket.last.accept();
  assert.deepEqual(Socket.last.sent.map(({ stream }) => stream), ["a", "c"]);
});

test("nothing of a client that was closed goes on", async (t) => {
  const { Socket, tick, client } = setUp(t);
  Socket.last.accept();
  const errors = [];
  const quiet = client.stream("a").subscribe({ onError: (error) => errors.push(error) });
  client.stream("a").subscribe(); // of which nobody waits for anything
  const task = client.stream("a").task("start");
  const request = client.stream("a").list();
  client.close();
  client.close();
  client.reconnect();
  await assert.rejects(request, ConnectionLost);
  await assert.rejects(task.result, ConnectionLost);
  await assert.rejects(quiet.ready, { message: "The subscription was closed." });
  await settled();
  assert.deepEqual(errors, []);
  const late = client.stream("a").subscribe({ onError: (error) => errors.push([late.state, error.message]) });
  await assert.rejects(late.ready, ConnectionLost);
  assert.deepEqual(errors, [["closed", "The connection is closed."]]);
  await assert.rejects(client.stream("a").create({}), ConnectionLost);
  await assert.rejects(client.task("1").result, ConnectionLost);
  tick(1_000_000);
  assert.deepEqual([client.state, Socket.made.length], ["closed", 1]);
});

test("no timer of a client that was closed holds up the end of a script", (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const before = timers();
  const Socket = fakeSockets();
  const client = connect("ws://server/", { WebSocket: Socket });
  Socket.last.accept();
  Socket.last.say({ ping: 1, interval: 20 });
  const stream = client.stream("a");
  stream.subscribe({ onError() {} });
  Socket.last.answer(Socket.last.sent.at(-1), 503);
  for (let number = 0; number < 300; number += 1) stream.list().catch(() => {});
  Socket.last.sent.filter(({ payload }) => payload?.action === "list").forEach((frame) => Socket.last.answer(frame, 200));
  assert.ok(timers() > before + 3);
  client.close();
  assert.equal(timers(), before);
});

test("a subscribe that is answered too late is not kept by the server", (t) => {
  const { Socket, tick, client } = setUp(t);
  Socket.last.accept();
  Socket.last.say({ ping: 1, interval: 1000 });
  const subscription = client.stream("a").subscribe({ onError() {} });
  tick(50_000);
  Socket.last.say({ ping: 2, interval: 1000 });
  tick(10_000);
  tick(500); // it is tried again
  const named = (name) => ({ subscription: name, epoch: "e", seq: 1, recovered: false, snapshot: [] });
  const subscribes = Socket.last.sent.filter(({ payload }) => payload?.action === "subscribe");
  subscribes.forEach((frame, number) => Socket.last.answer(frame, 200, named(`s${number}`)));
  assert.equal(subscribes.length, 2);
  assert.deepEqual(Socket.last.payloads.slice(2).map(({ action, data }) => [action, data]), [
    ["unsubscribe", { subscription: "s0" }],
  ]);
  assert.equal(subscription.state, "live");
});

test("the time of a request begins when the one before it in its stream is answered", async (t) => {
  const { Socket, tick, client } = setUp(t);
  Socket.last.accept();
  Socket.last.say({ ping: 1, interval: 1000 });
  const errors = [];
  const create = (stream) => client.stream(stream).create({}).catch((error) => errors.push(`${stream}: ${error.message}`));
  ["a", "b", "a", "a"].forEach(create);
  const frames = Socket.last.sent.slice(1); // but the pong
  tick(50_000);
  Socket.last.answer(frames[0], 201);
  tick(50_000);
  Socket.last.answer(frames[2], 201);
  await settled();
  assert.deepEqual(errors, ["b: No reply came within 60 seconds."]);
  tick(60_000);
  await settled();
  assert.deepEqual(errors.slice(1), ["a: No reply came within 60 seconds."]);
});

test("no timeout at all", (t) => {
  const { Socket, tick, client } = setUp(t, { timeout: Infinity });
  tick(1_000_000);
  Socket.last.accept();
  Socket.last.say({ ping: 1, interval: 20 });
  const errors = [];
  client.stream("a").list().catch((error) => errors.push(error));
  for (let seconds = 0; seconds < 1000; seconds += 20) {
    tick(20_000);
    Socket.last.say({ ping: 1, interval: 20 });
  }
  assert.deepEqual([client.state, Socket.made.length, errors], ["open", 1, []]);
});

test("what is no frame, or none that is known, is ignored", async (t) => {
  const { Socket, client } = setUp(t);
  Socket.last.accept();
  const request = client.stream("a").list();
  for (const data of ["no JSON", "null", "[]", '{"notice": 1}', '{"stream": "a", "payload": null}', new ArrayBuffer(8)]) {
    Socket.last.onmessage({ data });
  }
  Socket.last.answer(Socket.last.sent[0], 200, []);
  assert.deepEqual([await request, client.state], [[], "open"]);
});

test("where the server says that too many frames come, it is left in peace for a while", async (t) => {
  const { Socket, tick, client } = setUp(t);
  Socket.last.accept();
  Socket.last.say({ ping: 1, interval: 1000 });
  const stream = client.stream("a");
  const refuse = (message) => {
    const payload = { action: null, errors: [message], data: null, response_status: 429, request_id: null };
    Socket.last.say({ stream: null, payload });
  };
  const pause = (milliseconds) => {
    const { length } = Socket.last.sent;
    stream.list().catch(() => {});
    for (let time = 0; time < milliseconds; time += 100) tick(100);
    assert.equal(Socket.last.sent.length, length);
    tick(100);
    assert.equal(Socket.last.sent.length, length + 1);
  };
  const lost = stream.create({});
  refuse("Too many frames. Expected available in 3 seconds.");
  pause(3000);
  refuse("Later.");
  pause(1000);
  for (let time = 0; time < 60_000; time += 1000) tick(1000);
  await assert.rejects(lost, { status: 0, message: "No reply came within 60 seconds." });
});

test("a refusal has the data of its reply", async (t) => {
  const { Socket, client } = setUp(t);
  Socket.last.accept();
  const refused = client.stream("a").action("book");
  Socket.last.answer(Socket.last.sent[0], 409, { free: 0 });
  await assert.rejects(refused, { status: 409, errors: [], data: { free: 0 } });
  assert.equal(new RequestError("Mine.").data, null);
});

test("a task that is cancelled before it was sent never is", async (t) => {
  const { Socket, client } = setUp(t);
  const [task, other] = [1, 2].map((data) => client.stream("a").task("start", { data }));
  await task.cancel();
  await assert.rejects(task.result, { status: 410, message: "The task was cancelled." });
  for await (const state of task) assert.fail(state);
  Socket.last.accept();
  assert.deepEqual(Socket.last.payloads.map(({ data }) => data), [2]);
  const cancelled = other.cancel(); // now it has to be asked for
  Socket.last.answer(Socket.last.sent[0], 202, { id: "t", state: "PENDING" });
  await settled();
  Socket.last.answer(Socket.last.sent[1], 410);
  await cancelled;
  assert.deepEqual(Socket.last.payloads.map(({ action }) => action), ["start", "delete"]);
});
