// What must not compile: the compiler complains of each `expect-error` whose next line is right.
import { connect } from "channels-api-client";
import type { AdminApi, Api } from "./polls.js";

const api = connect<Api>("/ws/");
const questions = api.stream("questions");
const votes = api.stream("live-votes");
const tasks = api.stream("tasks");

// Streams and actions that are not there.
// @ts-expect-error
api.stream("nothing");
// @ts-expect-error
connect<AdminApi>("/admin/").stream("live-votes");
// @ts-expect-error
questions.action("nothing");
// @ts-expect-error
questions.task("nothing");
// @ts-expect-error
votes.create({});
// @ts-expect-error
votes.list();
// @ts-expect-error
votes.action("publish", { pk: 1 });
// @ts-expect-error
tasks.subscribe({ pk: "x" });
// @ts-expect-error
tasks.delete("x");
// @ts-expect-error
connect<{ questions: { rows: string } }>("/ws/");

// Rows to be written.
// @ts-expect-error
questions.create({ question_txt: "x" });
// @ts-expect-error
questions.create({ question_text: "x", nothing: 1 });
// @ts-expect-error
questions.create({ tone: "calm" });
// @ts-expect-error
questions.create();
// @ts-expect-error
questions.create({ question_text: 5 });
// @ts-expect-error
questions.create({ question_text: null });
// @ts-expect-error
questions.create({ question_text: "x", tone: "shrill" });
// @ts-expect-error
questions.create({ question_text: "x", id: 5 });
// @ts-expect-error
questions.update({ question_text: "x" });
// @ts-expect-error
questions.update(1, {});
// @ts-expect-error
questions.patch(1, { nothing: 1 });

// Keys of rows.
// @ts-expect-error
questions.retrieve();
// @ts-expect-error
questions.retrieve("1");
// @ts-expect-error
votes.retrieve(1);
// @ts-expect-error
questions.action("publish");
// @ts-expect-error
questions.action("publish", {});
// @ts-expect-error
questions.action("publish", { pk: "1" });
// @ts-expect-error
questions.task("publish", { pk: "1" });

// Data of actions.
// @ts-expect-error
questions.action("publish", { pk: 1, data: 1 });
// @ts-expect-error
questions.action("report");
// @ts-expect-error
questions.action("report", {});
// @ts-expect-error
questions.action("report", { data: { yaer: 2024 } });
// @ts-expect-error
questions.task("report", { data: { year: "2024" } });
// @ts-expect-error
questions.task("report", { data: { year: 2024 }, signal: new AbortController().signal });

// Filters and subscriptions.
// @ts-expect-error
questions.list({ serch: "x" });
// @ts-expect-error
questions.list({ search: 5 });
// @ts-expect-error
questions.subscribe({ filter: { search: 5 } });
// @ts-expect-error
questions.subscribe({ filter: { serch: "x" } });
// @ts-expect-error
questions.subscribe({ pk: "1" });
// @ts-expect-error
questions.subscribe({ key: "uuid" });
// @ts-expect-error
votes.subscribe({});
// @ts-expect-error
votes.subscribe({ key: "slug" }).rows.get("one");
// @ts-expect-error
votes.subscribe({ key: () => "one" });
// @ts-expect-error
api.stream("links").subscribe();
// @ts-expect-error
api.stream("links").subscribe({ key: (row) => row.url });

// Rows that are read.
// @ts-expect-error
questions.create({ question_text: "x" }).then((row) => row.nothing);
// @ts-expect-error
questions.retrieve(1).then((row) => row.tone.length);
// @ts-expect-error
questions.list().then((page) => page.results[0].id);
// @ts-expect-error
questions.action("publish", { pk: 1 }).then((row) => row.nothing);
// @ts-expect-error
questions.subscribe({ onChange: (change) => change.type === "create" && change.row.nothing });
// @ts-expect-error
questions.subscribe().rows.get("1");
