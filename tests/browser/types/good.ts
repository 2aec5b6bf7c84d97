// What has to compile: polls.ts is what `channels_api_types` writes for tests/types_document.py.
import { connect, RequestError, type Change, type Stream, type Task } from "channels-api-client";
import type { AdminApi, Api, Question, QuestionInput } from "./polls.js";

const api = connect<Api>("/ws/", { protocols: ["other"] });
const questions = api.stream("questions");

export async function act(signal: AbortSignal): Promise<string | null> {
  const input: QuestionInput = { question_text: "Why?", tone: "loud" };
  const question: Question = await questions.create(input, { signal });
  await questions.update(question.id, { question_text: "Why not?", tone: null });
  await questions.patch(question.id, {});
  const nothing: void = await questions.delete(question.id);
  const page = await questions.list({ search: "why", author__name: "ann" });
  const votes: number | undefined = page.results[0]?.choices[0]?.votes;
  const published: Question = await questions.action("publish", { pk: question.id, signal });
  await questions.action("by-day");
  const days: unknown[] = await questions.action("by-day", { data: ["any", "thing"] });
  await questions.request("of which the types know nothing", { data: { votes, nothing, days } });
  const first = await api.stream("live-votes").retrieve("one");
  const text: string = await connect<AdminApi>("/admin/").stream("questions").retrieve(first);
  return text + published["e-mail"];
}

export async function follow(id: string): Promise<unknown> {
  const report = questions.task("report", { data: { year: 2024 } });
  for await (const { state, meta } of report) console.log(state, meta.current);
  const found: Task<{ total: number }> = api.task(id);
  return (await found.result).total + String(await report.result);
}

export function live(): number | undefined {
  const told = (change: Change<Question, number>) => {
    if (change.type === "create") console.log(change.pk + 1, change.row.question_text);
  };
  const subscription = questions.subscribe({ filter: { search: "x" }, onChange: told });
  questions.subscribe();
  questions.subscribe({
    pk: 1,
    key: (row) => row.id,
    onChange: (change) => change.type === "update" && change.previous?.tone,
    onError: (error) => error instanceof RequestError && error.fields["filter"],
  });
  const votes: number | undefined = api.stream("live-votes").subscribe({ key: "slug", pk: "one" }).rows.get(1);
  const links = api.stream("links").subscribe({ key: (row) => Number(row.url.split("/").at(-2)) });
  console.log(new RequestError("Mine.", 409, ["Full."], { free: 0 }).data.free);
  console.log(votes, links.rows.get(1)?.url);
  return subscription.rows.get(1)?.choices.length;
}

export async function untyped(): Promise<void> {
  const anything = connect("/ws/");
  const stream = anything.stream("whatever");
  const named: Stream = stream;
  const row = await stream.create({ any: "thing" });
  await named.update(row.id, row.nested.field);
  await stream.list();
  (await stream.list({ page: 2 })).results.map((each: { id: string }) => each.id);
  await stream.action("report");
  await stream.action("publish", { pk: "x", data: [1] });
  for await (const state of stream.task("report", { data: 1 })) console.log(state.result.total);
  stream.subscribe();
  const held = stream.subscribe({ key: "uuid", filter: { a: 1 }, onChange: (change) => change.type });
  console.log(held.rows.get("x").anything, (await anything.task("id").result).anything);
}
