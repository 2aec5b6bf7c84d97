// Tasks against a server with a worker.

import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { ConnectionLost } from "../../../channels_api/static/channels_api/client.js";
import { isOpen, Link, open, test, until } from "./client_helpers.mjs";

// Files that tasks wait for; they are not there before they are opened.
function gates(count) {
  const folder = mkdtempSync(join(process.env.CLIENT_GATES, "js-"));
  return Array.from({ length: count }, (_, number) => join(folder, String(number)));
}

function pass(gate) {
  writeFileSync(gate, "");
}

function start(api, task, ...args) {
  return api.stream("work").task("start", { data: { task, args } });
}

async function collect(task) {
  const states = [];
  for await (const state of task) states.push(state);
  return states;
}

test("states one by one, the result, and iterators that come when they like", async (t) => {
  const api = open(t);
  const [first, second] = gates(2);
  const task = start(api, "report", [first, second]);
  assert.deepEqual([task.id, task.state], [null, null]);
  const seen = [];
  for await (const state of task) {
    seen.push(state);
    if (state.state === "STARTED") pass(first);
    if (state.meta?.current === 1) break;
  }
  const { id } = task;
  assert.deepEqual(seen.at(-1), { id, state: "PROGRESS", meta: { current: 1, total: 2 } });
  assert.deepEqual(seen[0], { id, state: "PENDING" });
  const [one, other] = [collect(task), collect(task)];
  pass(second);
  assert.deepEqual(await task.result, { steps: 2 });
  const last = { id, state: "SUCCESS", result: { steps: 2 } };
  assert.deepEqual(task.state, last);
  assert.deepEqual((await one)[0], seen.at(-1));
  assert.deepEqual((await one).at(-1), last);
  assert.deepEqual(await other, await one);
  assert.deepEqual(await collect(task), [last]); // too late for more
});

test("results of every kind", async (t) => {
  const api = open(t);
  assert.equal(await api.stream("wire").task("start", { data: { task: "walk", args: [[]] } }).result, null);
  const inPlace = api.stream("work").task("in_place", { data: { task: "double", args: [2] } });
  assert.equal(await inPlace.result, 4);
  assert.deepEqual(await collect(inPlace), [{ id: inPlace.id, state: "SUCCESS", result: 4 }]);
});

test("a task that fails, refuses, or leaves nothing", async (t) => {
  const api = open(t);
  const failed = start(api, "fail");
  const error = await failed.result.catch((caught) => caught);
  assert.deepEqual([error.status, error.errors[0]], [500, "Task failed"]);
  assert.equal((await collect(failed)).at(-1).state, "FAILURE");
  await assert.rejects(start(api, "refuse").result, { status: 500, fields: { year: ["No such year."] } });
  await assert.rejects(start(api, "ignore").result, { status: 410, message: "The task has left no result." });
  await assert.rejects(api.stream("work").task("nothing").result, { status: 400, message: "Invalid Action" });
  await assert.rejects(api.stream("questions").task("list").result, { message: "The action list began no task." });
});

test("a task that is cancelled, at any time", async (t) => {
  const api = open(t);
  await isOpen(api);
  const early = start(api, "tick", gates(1)[0]);
  await early.cancel(); // before its first reply
  await assert.rejects(early.result, { status: 410, message: "The task was cancelled." });
  const running = start(api, "tick", gates(1)[0]);
  for await (const { state } of running) if (state === "PROGRESS") break;
  await running.cancel();
  await assert.rejects(running.result, { status: 410 });
  assert.equal((await collect(running)).at(-1).state, "REVOKED");
  const done = start(api, "double", 1);
  await done.result;
  await assert.rejects(done.cancel(), { status: 400, message: "The task has finished." });
});

test("a task goes on after cuts, and in another client", async (t) => {
  const link = await Link.open(t);
  const [api, other] = [open(t, link.url), open(t)];
  const [first, second] = gates(2);
  const task = start(api, "report", [first, second]);
  const states = collect(task);
  await until(() => task.id);
  const elsewhere = other.task(task.id);
  link.down();
  await until(() => api.state === "waiting");
  pass(first);
  for await (const { meta } of elsewhere) if (meta?.current === 1) break;
  link.up();
  await until(() => task.state.meta?.current === 1);
  link.cut();
  await isOpen(api);
  pass(second);
  assert.deepEqual(await Promise.all([task.result, elsewhere.result]), [{ steps: 2 }, { steps: 2 }]);
  assert.equal((await states).at(-1).state, "SUCCESS");
  await assert.rejects(other.task("made up").result, { status: 404, message: "Not found." });
});

test("where the server has no stream of tasks, what is known of one ends with the connection", async (t) => {
  const link = await Link.open(t);
  const api = open(t, link.url, { tasks: "no-tasks" });
  const task = start(api, "tick", gates(1)[0]);
  await until(() => task.id);
  link.cut();
  await assert.rejects(task.result, { status: 404, message: "There is no stream 'no-tasks'." });
  await open(t).stream("tasks").request("delete", { pk: task.id });
});

test("a task that is cut before its first reply", async (t) => {
  const link = await Link.open(t);
  const api = open(t, link.url);
  await isOpen(api);
  const task = start(api, "double", 1);
  link.cut();
  await assert.rejects(task.result, ConnectionLost);
  await assert.rejects(task.cancel(), ConnectionLost);
  await assert.rejects(collect(task), ConnectionLost);
  assert.equal(task.id, null);
});
