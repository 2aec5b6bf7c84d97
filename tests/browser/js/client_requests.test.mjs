// Requests, errors and the queue, against a server.

import assert from "node:assert/strict";

import { ConnectionLost, RequestError } from "../../../channels_api/static/channels_api/client.js";
import { isOpen, Link, open, record, test, until } from "./client_helpers.mjs";

const ROW = { question_text: "Who?", votes: 0, published: true, owner: null };

test("every standard action, and one of the project's own", async (t) => {
  const api = open(t);
  const questions = api.stream("questions");
  const row = await questions.create({ question_text: "Who?" });
  assert.deepEqual(row, { ...ROW, id: row.id });
  assert.deepEqual(await questions.retrieve(row.id), row);
  assert.deepEqual(await questions.patch(row.id, { votes: 2 }), { ...row, votes: 2 });
  const changed = { ...row, question_text: "Why?", votes: 3 };
  assert.deepEqual(await questions.update(row.id, { question_text: "Why?", votes: 3 }), changed);
  assert.deepEqual(await api.stream("state-filters").list({ search: "Why?" }), [changed]);
  assert.equal(await questions.delete(row.id), undefined);
  await assert.rejects(questions.retrieve(row.id), { status: 404 });
  const pks = await api.stream("state-write").action("create", { data: { count: 2 } });
  assert.equal(pks.length, 2);
});

test("keys that are UUIDs and text", async (t) => {
  const api = open(t);
  const document = await api.stream("documents").create({ title: "A" });
  assert.deepEqual(await api.stream("documents").retrieve(document.id), document);
  const tag = await api.stream("tags").create({ name: "a/b ü" });
  assert.deepEqual(await api.stream("tags").retrieve("a/b ü"), tag);
});

test("a reply that says no is an exception with status, errors and fields", async (t) => {
  const api = open(t);
  const blank = await api.stream("questions").create({ question_text: "", votes: "x" }).catch((error) => error);
  assert.ok(blank instanceof RequestError);
  assert.equal(blank.status, 400);
  assert.deepEqual(blank.errors, [
    { question_text: ["This field may not be blank."], votes: ["A valid integer is required."] },
  ]);
  assert.deepEqual(blank.fields, blank.errors[0]);
  assert.equal(blank.message, "question_text: This field may not be blank. votes: A valid integer is required.");
  const missing = await api.stream("questions").retrieve(0).catch((error) => error);
  assert.deepEqual(
    [missing.status, missing.errors, missing.fields, missing.message],
    [404, ["Not found."], { non_field_errors: ["Not found."] }, "Not found."],
  );
  await assert.rejects(api.stream("nowhere").list(), { status: 404, message: "There is no stream 'nowhere'." });
  await assert.rejects(api.stream("questions").action("nothing"), { status: 400, message: "Invalid Action" });
  // The reply as it came, for who wants that.
  const { response_status, errors, data } = await api.stream("questions").request("retrieve", { pk: 0 });
  assert.deepEqual([response_status, errors, data], [404, ["Not found."], null]);
});

test("a frame that is too large fails by itself", async (t) => {
  const api = open(t);
  const questions = api.stream("questions");
  const large = questions.create({ question_text: "x".repeat(70_000) });
  const others = [questions.create({ question_text: "y".repeat(150) }), questions.create({ question_text: "z" })];
  await assert.rejects(large, { status: 413, message: "The frame is too large: 65536 bytes are allowed." });
  assert.deepEqual((await Promise.all(others)).map((row) => row.question_text), ["y".repeat(150), "z"]);
});

test("an abort, before and after it was sent", async (t) => {
  const api = open(t);
  const doors = api.stream("live-state");
  const abort = new AbortController();
  const sent = doors.action("wait", { data: "abort", signal: abort.signal });
  await isOpen(api);
  abort.abort(new Error("enough"));
  await assert.rejects(sent, { message: "enough" });
  await assert.rejects(doors.action("counts", { signal: abort.signal }), { message: "enough" });
  // Its reply comes all the same, and disturbs nobody.
  await api.stream("live-doors").action("release", { data: "abort" });
  assert.equal(typeof (await doors.action("counts")), "object");
});

test("what is asked while offline waits, up to a limit, and is sent in its order", async (t) => {
  const link = await Link.open(t);
  link.isDown = true;
  const api = open(t, link.url, { maxQueued: 3 });
  const sent = record(api, "out");
  await until(() => api.closeCode === 1006);
  const questions = api.stream("questions");
  const abort = new AbortController();
  const given = [questions.create({ question_text: "given up" }, { signal: abort.signal }), questions.list()];
  const task = api.stream("work").task("start", { data: { task: "double", args: [4] } });
  await assert.rejects(questions.create({ question_text: "one too many" }), {
    name: "RequestError",
    status: 0,
    message: "Too many requests wait: 3 may.",
  });
  await assert.rejects(api.stream("work").task("start").result, { message: "Too many requests wait: 3 may." });
  abort.abort();
  await assert.rejects(given[0], { name: "AbortError" });
  const last = questions.create({ question_text: "offline" });
  link.up();
  assert.equal((await last).question_text, "offline");
  assert.ok(Array.isArray(await given[1]));
  assert.equal(await task.result, 8);
  const order = sent.filter((frame) => frame.payload).map(({ payload }) => payload.action);
  assert.deepEqual(order, ["list", "start", "create"]);
});

test("what was sent and not answered fails when the connection is lost", async (t) => {
  const link = await Link.open(t);
  const [api, other] = [open(t, link.url), open(t)];
  const sent = record(api, "out");
  const lost = api.stream("live-state").action("wait", { data: "lost" });
  await until(() => sent.length);
  link.cut();
  await assert.rejects(lost, (error) => error instanceof ConnectionLost && error.status === 0);
  await other.stream("live-doors").action("release", { data: "lost" });
  await isOpen(api);
  assert.equal(sent.length, 1);
});
