// The report: a task that takes seconds, its progress, its result, and how to cancel it.

import { RequestError } from "../channels_api/client.js";
import { $, count, element, setText } from "./dom.js";

const LEADERS_SHOWN = 10;

export class Report {
  #questions;
  #task = null;

  constructor(api) {
    this.#questions = api.stream("questions");
    $("report-start").addEventListener("click", () => this.#start());
    $("report-cancel").addEventListener("click", () => this.#cancel());
  }

  async #start() {
    this.#task = this.#questions.task("report");
    this.#begin();
    try {
      for await (const state of this.#task) this.#progress(state);
      this.#showResult(await this.#task.result);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      setText($("report-text"), error.status === 410 ? "Cancelled." : error.message);
    } finally {
      this.#run(false);
    }
  }

  async #cancel() {
    $("report-cancel").disabled = true; // asked for once
    try {
      await this.#task.cancel();
    } catch (error) {
      // 400 is how a task says that it has been faster.
      if (error.status !== 400) setText($("report-text"), error.message);
    }
  }

  #begin() {
    $("report-progress").value = 0;
    $("report-leaders").replaceChildren();
    setText($("report-text"), "Waiting for a worker");
    this.#run(true);
  }

  #progress({ state, meta }) {
    if (state !== "PROGRESS") return;
    const share = meta.current / meta.total;
    $("report-progress").value = share;
    setText($("report-text"), `Counting: ${Math.round(share * 100)} %`);
  }

  #showResult({ questions, choices, votes, leaders }) {
    const time = new Date().toLocaleTimeString(undefined, { timeStyle: "short" });
    const totals = [count(questions, "poll"), count(choices, "choice"), count(votes, "vote")];
    setText($("report-text"), `Counted at ${time}: ${totals.join(", ")}.`);
    const shown = leaders.slice(0, LEADERS_SHOWN);
    $("report-leaders").replaceChildren(...shown.flatMap(leaderRow));
  }

  #run(running) {
    $("report-start").hidden = running;
    $("report-cancel").hidden = !running;
    $("report-cancel").disabled = false;
    $("report-progress").hidden = !running;
    // The button that was pressed is gone: the keyboard goes on from the one in its place.
    if (document.activeElement === document.body) $(running ? "report-cancel" : "report-start").focus();
  }
}

function leaderRow({ question, choice, votes }) {
  const row = element("dd", "", votes ? choice : "Nobody has voted yet");
  if (votes) row.append(element("span", "faint", count(votes, "vote")));
  return [element("dt", "", question), row];
}
