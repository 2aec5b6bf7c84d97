// Connections that are dead without having been closed. It stops the server for a while, so it has to
// run when nobody else needs that.

import assert from "node:assert/strict";

import { isOpen, Link, open, record, test, until } from "./client_helpers.mjs";

const PID = Number(process.env.CLIENT_SERVER_PID);

test("a server that stands still, and a link that lets nothing through, are noticed", async (t) => {
  const link = await Link.open(t);
  const [api, behind] = [open(t), open(t, link.url)];
  const subscription = behind.stream("documents").subscribe();
  const pings = [record(api, "in"), record(behind, "in")];
  await subscription.ready;
  await until(() => pings.every((frames) => frames.some(({ ping }) => ping)));
  link.stall();
  process.kill(PID, "SIGSTOP");
  t.after(() => process.kill(PID, "SIGCONT"));
  const begin = performance.now();
  await until(() => api.closeCode === 1006 && behind.closeCode === 1006);
  // Intervals are seconds here. It may also be late, on a machine with much to do.
  const seconds = (performance.now() - begin) / 1000;
  assert.ok(seconds > 0.5 && seconds < 10, `after ${seconds} s`);
  assert.equal(subscription.state, "stale");
  process.kill(PID, "SIGCONT");
  await Promise.all([isOpen(api), isOpen(behind)]);
  const row = await api.stream("documents").create({ title: "back" });
  await until(() => subscription.rows.has(row.id));
});
