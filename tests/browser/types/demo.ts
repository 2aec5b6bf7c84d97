// Uses of the demo's types.
import { connect } from "channels-api-client";
import type { Api, Question } from "./api.js";

const api = connect<Api>("/ws/");

export async function act(): Promise<Question[]> {
  const question: Question = await api.stream("questions").create({ question_text: "Why?" });
  const votes: number | undefined = question.choices[0]?.votes;
  await api.stream("choices").create({ question: question.id, choice_text: `${votes}` });
  await api.stream("choices").action("vote", { pk: 1 });
  for await (const { meta } of api.stream("questions").task("report")) console.log(meta.current);
  await api.stream("tasks").retrieve("id");
  return api.stream("api-questions").list({ search: "why", ordering: "pub_date", page: 2 });
}

const replica = api.stream("choices").subscribe({ onChange: (change) => change.type });
export const votes: number[] = [...replica.rows.values()].map((choice) => choice.votes);

// @ts-expect-error
api.stream("nothing");
// @ts-expect-error
api.stream("questions").create({ question_txt: "Why?" });
// @ts-expect-error
api.stream("choices").create({ question: 1, choice_text: "That's why.", votes: 100 });
// @ts-expect-error
api.stream("choices").action("vote");
// @ts-expect-error
api.stream("tasks").create({});
// @ts-expect-error
api.stream("api-questions").list({ search: 5 });
