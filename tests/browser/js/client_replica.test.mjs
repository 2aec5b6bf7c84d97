// Subscriptions against a server: what a replica holds after cuts, resets and whatever others change.

import assert from "node:assert/strict";
import { after } from "node:test";

import { connect } from "../../../channels_api/static/channels_api/client.js";
import { isOpen, Link, open, OriginSocket, record, SERVER, settled, test, until } from "./client_helpers.mjs";

const SEED = Number(process.env.CLIENT_SEED ?? 1);
const CUTS = 30;

// Says nothing but pongs, while all of this goes on.
const silent = connect(SERVER, { WebSocket: OriginSocket });
after(() => silent.close());
const pings = record(silent, "in");
const states = [];
silent.onState((state) => states.push(state));

// The rows by their keys, as `list` shows them.
async function listed(stream, filters) {
  return new Map((await stream.list(filters)).map((row) => [row.id, row]));
}

function sorted(rows) {
  return new Map([...rows].sort(([one], [other]) => (one < other ? -1 : 1)));
}

async function isEqual(subscription, stream, filters) {
  const equal = async () => {
    const [held, there] = [sorted(subscription.rows), sorted(await listed(stream, filters))];
    return JSON.stringify([...held]) === JSON.stringify([...there]);
  };
  await until(equal, "the replica is equal to the list");
  assert.deepEqual(sorted(subscription.rows), sorted(await listed(stream, filters)));
}

// A subscriber behind a link, a writer who is never cut, and what the subscriber was told.
async function pair(t, stream = "questions", options = {}) {
  const link = await Link.open(t);
  const [api, other] = [open(t, link.url), open(t)];
  const changes = [];
  const frames = record(api, "in");
  const onChange = (change) => changes.push(change);
  const subscription = api.stream(stream).subscribe({ onChange, ...options });
  return { link, api, changes, frames, subscription, writer: other.stream("questions"), other };
}

function replies(frames) {
  return frames.filter(({ payload }) => payload?.action === "subscribe").map(({ payload }) => payload);
}

test("a snapshot, and what others change", async (t) => {
  const before = await open(t).stream("questions").create({ question_text: "before" });
  const { subscription, changes, writer } = await pair(t);
  assert.equal(subscription.state, "pending");
  assert.equal(await subscription.ready, subscription);
  assert.equal(subscription.state, "live");
  const { rows } = subscription;
  assert.deepEqual(rows.get(before.id), before);
  const row = await writer.create({ question_text: "new" });
  await until(() => rows.has(row.id));
  const changed = await writer.patch(row.id, { votes: 1 });
  await until(() => rows.get(row.id).votes === 1);
  await writer.delete(row.id);
  await until(() => !rows.has(row.id));
  assert.deepEqual(changes, [
    { type: "snapshot", reason: "first" },
    { type: "create", pk: row.id, row, previous: undefined },
    { type: "update", pk: row.id, row: changed, previous: row },
    { type: "delete", pk: row.id, row: undefined, previous: changed },
  ]);
  await isEqual(subscription, writer);
});

test("after a cut it is told what it has missed", async (t) => {
  const { link, api, subscription, changes, frames, writer } = await pair(t);
  await subscription.ready;
  const [kept, gone] = [await writer.create({ question_text: "a" }), await writer.create({ question_text: "b" })];
  await until(() => subscription.rows.has(gone.id));
  link.down();
  await until(() => api.state === "waiting");
  assert.equal(subscription.state, "stale");
  changes.length = frames.length = 0;
  const made = await writer.create({ question_text: "c" });
  const changed = await writer.patch(kept.id, { votes: 7 });
  await writer.delete(gone.id);
  link.up();
  await until(() => changes.length === 4);
  assert.equal(replies(frames)[0].data.recovered, true);
  assert.deepEqual(changes[0], { type: "resume" });
  const byKey = (one, other) => one.pk - other.pk;
  assert.deepEqual(changes.slice(1).sort(byKey), [
    { type: "update", pk: kept.id, row: changed, previous: kept },
    { type: "delete", pk: gone.id, row: undefined, previous: gone },
    { type: "create", pk: made.id, row: made, previous: undefined },
  ]);
  await isEqual(subscription, writer);
});

test("it survives a log that no longer tells what was missed", async (t) => {
  const { link, subscription, changes, writer, other } = await pair(t);
  await subscription.ready;
  const gone = await writer.create({ question_text: "gone" });
  await until(() => subscription.rows.has(gone.id));
  link.down();
  await until(() => subscription.state === "stale");
  changes.length = 0;
  await writer.delete(gone.id);
  await other.stream("state-write").action("create", { data: { count: 300 } });
  link.up();
  await until(() => subscription.state === "live");
  assert.deepEqual(changes, [{ type: "reset", reason: "trimmed" }]);
  await isEqual(subscription, writer);
});

test("it survives a reset", async (t) => {
  const { subscription, changes, writer, other } = await pair(t);
  const row = await writer.create({ question_text: "reset" });
  await subscription.ready;
  await until(() => subscription.rows.has(row.id));
  const { rows } = subscription;
  changes.length = 0;
  await other.stream("state-write").action("update_silently", { data: { update: [row.id], votes: 9 } });
  await until(() => rows.get(row.id).votes === 9);
  assert.ok(changes.some(({ type, reason }) => type === "reset" && reason === "gap"));
  await writer.patch(row.id, { votes: 10 });
  await until(() => rows.get(row.id).votes === 10);
  await isEqual(subscription, writer);
});

test("a filter: rows come into it and leave it, also while offline", async (t) => {
  const filter = { votes__gte: 3, search: "filtered" };
  const { link, subscription, writer, other } = await pair(t, "state-filters", { filter });
  const filtered = other.stream("state-filters");
  const asked = { ...filter };
  await subscription.ready;
  filter.search = "nothing"; // what was asked stays what it was
  const row = await writer.create({ question_text: "filtered 1", votes: 3 });
  await until(() => subscription.rows.has(row.id));
  await writer.patch(row.id, { votes: 2 });
  await until(() => !subscription.rows.has(row.id));
  link.down();
  await until(() => subscription.state === "stale");
  await writer.patch(row.id, { votes: 4 });
  await writer.create({ question_text: "filtered 2", votes: 1 });
  link.up();
  await until(() => subscription.rows.has(row.id));
  await isEqual(subscription, filtered, asked);
  assert.equal(subscription.rows.size, 1);
});

test("one row, which is deleted while offline", async (t) => {
  const { link, api, writer } = await pair(t);
  const row = await writer.create({ question_text: "one" });
  const [changes, errors] = [[], []];
  const options = { onChange: (change) => changes.push(change), onError: (error) => errors.push(error) };
  const subscription = api.stream("questions").subscribe({ pk: row.id, ...options });
  await subscription.ready;
  assert.deepEqual(subscription.rows, new Map([[row.id, row]]));
  link.down();
  await until(() => subscription.state === "stale");
  changes.length = 0;
  await writer.delete(row.id);
  link.up();
  await until(() => subscription.state === "closed");
  assert.deepEqual(changes, [{ type: "delete", pk: row.id, row: undefined, previous: row }]);
  assert.deepEqual(subscription.rows, new Map());
  assert.deepEqual(errors.map((error) => [error.status, error.message]), [[404, "Not found."]]);
});

test("keys of other kinds, by other names", async (t) => {
  const [api, other] = [open(t), open(t)];
  const documents = api.stream("documents").subscribe();
  const byField = api.stream("tags").subscribe({ key: "name" });
  const byFunction = api.stream("tags").subscribe({ key: (row) => row.name });
  const first = await other.stream("tags").create({ name: "first" });
  await Promise.all([documents, byField, byFunction].map(({ ready }) => ready));
  const document = await other.stream("documents").create({ title: "A" });
  const tag = await other.stream("tags").create({ name: "a b" });
  await until(() => documents.rows.has(document.id) && byField.rows.has("a b") && byFunction.rows.has("a b"));
  assert.deepEqual(documents.rows.get(document.id), document);
  for (const { rows } of [byField, byFunction]) {
    assert.deepEqual([rows.get("first"), rows.get("a b")], [first, tag]);
  }
  const nameless = api.stream("tags").subscribe();
  await assert.rejects(nameless.ready, { message: /say which field is their key/ });
  assert.equal(nameless.state, "closed");
});

test("a refusal ends it", async (t) => {
  const api = open(t);
  await assert.rejects(api.stream("nowhere").subscribe().ready, { status: 404 });
  const errors = [];
  const refused = api.stream("state-filters").subscribe({
    filter: { votes: "many" },
    onError: (error) => errors.push(error.fields),
  });
  await until(() => refused.state === "closed");
  assert.deepEqual(errors, [{ votes: ["Enter a number."] }]);
  assert.throws(() => api.stream("questions").subscribe({ filter: { votes: 1n } }), TypeError);
});

test("what is closed is over for the server too, whenever it is closed", async (t) => {
  const link = await Link.open(t);
  const [api, other] = [open(t, link.url), open(t)];
  const held = async () => (await other.stream("live-state").action("look")).audiences;
  const nothing = () => until(async () => (await held()) === 0, "the server holds no subscription");
  await nothing();
  const frames = record(api, "out");
  const subscribe = (options) => api.stream("questions").subscribe(options);
  subscribe().close(); // offline
  await isOpen(api);
  subscribe().close(); // sent, and not answered
  await until(() => frames.some(({ payload }) => payload?.action === "unsubscribe"));
  await nothing();
  const inside = subscribe({ onChange: () => inside.close() });
  assert.equal(await inside.ready, inside);
  await nothing();
  const live = subscribe();
  await live.ready;
  assert.equal(await held(), 1);
  live.close();
  await nothing();
  const kept = subscribe();
  await kept.ready;
  link.cut();
  await until(() => kept.state === "stale");
  kept.close();
  await isOpen(api);
  await api.stream("questions").list();
  await nothing();
});

test("a callback that throws stops nothing", async (t) => {
  const thrown = [];
  process.setUncaughtExceptionCaptureCallback((error) => thrown.push(error.message));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const { api, subscription, writer } = await pair(t, "questions", {
    onChange: () => {
      throw new Error("oops");
    },
  });
  await subscription.ready;
  const more = api.stream("questions").subscribe();
  await more.ready;
  const row = await writer.create({ question_text: "thrown" });
  await until(() => subscription.rows.has(row.id) && more.rows.has(row.id));
  await settled();
  assert.deepEqual(thrown, ["oops", "oops"]);
});

// Numbers between 0 and 1 that are the same for the same seed.
function mulberry(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

test(`cut ${CUTS} times while another one writes (seed ${SEED})`, async (t) => {
  const random = mulberry(SEED);
  const { link, api, subscription, writer } = await pair(t);
  const filter = { votes__gte: 5 };
  const filtered = api.stream("state-filters").subscribe({ filter });
  const pks = [];
  const write = async () => {
    const [dice, at] = [random(), Math.floor(random() * pks.length)];
    if (dice < 0.4 || !pks.length) pks.push((await writer.create({ question_text: "random" })).id);
    else if (dice < 0.8) await writer.patch(pks[at], { votes: Math.floor(random() * 10) });
    else await writer.delete(pks.splice(at, 1)[0]);
  };
  let cuts = 0;
  while (cuts < CUTS) {
    await write();
    if (random() < 0.15) {
      cuts += 1;
      link.cut(); // open, connecting, subscribing or being told: whatever it is at
    }
  }
  await isOpen(api);
  await isEqual(subscription, writer);
  await isEqual(filtered, api.stream("state-filters"), filter);
  assert.ok(link.accepted > CUTS / 3, `only ${link.accepted} connections`);
});

// The last one: a snapshot can't hold so many.
test("with more rows than can be named it goes on all the same", async (t) => {
  const { link, subscription, changes, frames, writer, other } = await pair(t);
  await subscription.ready;
  while (subscription.rows.size <= 1000) {
    const size = subscription.rows.size + 150;
    await other.stream("state-write").action("create_together", { data: { count: 150 } });
    await until(() => subscription.rows.size === size);
  }
  link.down();
  await until(() => subscription.state === "stale");
  changes.length = frames.length = 0;
  const row = await writer.create({ question_text: "missed" });
  link.up();
  await until(() => subscription.rows.has(row.id));
  assert.equal(replies(frames)[0].data.recovered, true);
  await isEqual(subscription, writer);
});

test("who only answers pings is not closed", async () => {
  // Whoever does not answer one is closed after an interval.
  await until(() => pings.length >= 3);
  assert.ok(pings.every(({ ping, interval }, at) => ping === at + 1 && interval === 1));
  assert.deepEqual(states, ["open"]);
});
