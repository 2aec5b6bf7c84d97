// Tasks: a card for each, with its progress, its states, its end, and how to cancel it.

import { element } from "./dom.js";
import { prettyJson } from "./json.js";

const ID_SHOWN = 12;
const OUTCOMES = { 410: "Cancelled", 500: "Failed" };

export class TaskPanel {
  element;
  #cards = element("div", { class: "cards" });

  constructor() {
    const none = element("p", { class: "faint cards-none", text: "No tasks yet." });
    this.element = element("div", { class: "task-panel" }, this.#cards, none);
  }

  /** Shows a Task of the client from here to its end. */
  follow(task, title) {
    this.#cards.prepend(new TaskCard(task, title).element);
  }
}

class TaskCard {
  #task;
  #began = performance.now();
  #isOver = false;
  #parts;
  // The line of the state that is told now, and how often it was.
  #line = { state: null };

  constructor(task, title) {
    this.#task = task;
    this.#build(title);
    this.#show();
    this.#walk();
    task.result.then(
      (result) => this.#succeeded(result),
      (error) => this.#failed(error),
    );
  }

  #build(title) {
    const id = element("code", { class: "task-id" });
    const copy = element("button", { type: "button", class: "plain", "aria-label": `Copy the id of ${title}`, onclick: () => this.#copy() }, "Copy");
    this.#parts = {
      id,
      state: element("span", { class: "badge", role: "status" }),
      button: element("button", { type: "button", class: "plain task-button", onclick: () => this.#press() }, "Cancel"),
      bar: element("progress", { max: "1", "aria-label": `Progress of ${title}` }),
      share: element("span", { class: "task-share faint" }),
      states: element("ol", { class: "task-states", "aria-label": `States of ${title}` }),
      answer: element("p", { class: "task-answer", role: "status" }),
      outcome: element("p", { class: "task-outcome", role: "status" }),
      result: element("div", { class: "task-result" }),
    };
    const { state, button, bar, share, states, answer, outcome, result } = this.#parts;
    this.#parts.track = element("div", { class: "task-track" }, bar, share);
    const head = element("div", { class: "card-head" }, element("h3", {}, title), state, button);
    const ident = element("p", { class: "task-ident faint" }, "id ", id, copy);
    const props = { class: "card task-card", "aria-label": title };
    this.element = element("article", props, head, ident, this.#parts.track, states, answer, outcome, result);
  }

  async #walk() {
    try {
      for await (const state of this.#task) this.#show(state);
    } catch {
      // How it ended, its result says.
    }
  }

  #show(state = { state: "waiting" }) {
    this.#parts.id.textContent = shortened(this.#task.id ?? "not known yet");
    this.#parts.id.title = this.#task.id ?? "";
    this.#parts.state.textContent = state.state;
    this.#parts.state.dataset.state = state.state.toLowerCase();
    if (!this.#isOver) this.#progress(state.meta);
    if (state.id) this.#tell(state.state);
  }

  #progress(meta) {
    const { bar, share } = this.#parts;
    const done = meta?.current ?? meta?.completed;
    const isKnown = Number.isFinite(done) && meta.total > 0;
    share.textContent = isKnown ? `${done} of ${meta.total}` : "";
    if (isKnown) Object.assign(bar, { max: meta.total, value: done });
    else bar.removeAttribute("value");
  }

  // A state that is told again and again, such as each step's progress, has one line.
  #tell(state) {
    const time = `+${this.#elapsed()}`;
    if (state === this.#line.state) {
      this.#line.count += 1;
      this.#line.text.textContent = `×${this.#line.count}, last ${time}`;
      return;
    }
    const text = element("span", { class: "faint" });
    this.#line = { state, text, count: 1 };
    const at = new Date().toLocaleTimeString(undefined, { hour12: false });
    this.#parts.states.append(element("li", {}, element("b", {}, state), ` ${at} `, element("span", { class: "faint" }, time), " ", text));
  }

  #succeeded(result) {
    this.#parts.bar.value = this.#parts.bar.max;
    this.#parts.share.textContent = "";
    this.#end(`Done after ${this.#elapsed()}.`, "success");
    this.#parts.result.append(prettyJson(result ?? null, "The task's result"));
  }

  #failed(error) {
    this.#parts.track.hidden = true;
    const { status = 0, message } = error;
    const outcome = OUTCOMES[status] ?? (status ? `Refused (${status})` : "Nothing more is heard of it");
    this.#end(`${outcome} after ${this.#elapsed()}: ${message}`, status === 410 ? "revoked" : "failure");
  }

  #end(text, kind) {
    this.#isOver = true;
    this.#parts.outcome.textContent = text;
    this.#parts.outcome.dataset.kind = kind;
    this.#parts.button.textContent = "Remove";
    this.#parts.button.disabled = false;
  }

  #press() {
    if (!this.#isOver) {
      this.#cancel();
      return;
    }
    (this.element.nextElementSibling ?? this.element.previousElementSibling)?.querySelector(".task-button")?.focus();
    this.element.remove();
  }

  async #cancel() {
    this.#parts.answer.textContent = "Asking to cancel it…";
    try {
      await this.#task.cancel();
      this.#parts.answer.textContent = "Cancel: the server took it.";
    } catch (error) {
      this.#parts.answer.textContent = `Cancel${error.status ? ` (${error.status})` : ""}: ${error.message}`;
    }
  }

  // The clipboard is for secure pages, and this may be http on another machine of the office.
  async #copy() {
    const { id, answer } = this.#parts;
    try {
      await navigator.clipboard.writeText(this.#task.id);
      answer.textContent = "The id is copied.";
    } catch {
      id.textContent = this.#task.id;
      getSelection().selectAllChildren(id);
      answer.textContent = "The id is selected: copy it with Ctrl+C.";
    }
  }

  #elapsed() {
    return `${((performance.now() - this.#began) / 1000).toFixed(1)} s`;
  }
}

function shortened(id) {
  return id.length > ID_SHOWN ? `${id.slice(0, ID_SHOWN)}…` : id;
}
