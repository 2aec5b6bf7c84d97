// One action: what it is, what it takes, its reply.

import { element } from "./dom.js";
import { dropDraft, hasPassword, keepDraft, readDraft } from "./drafts.js";
import { Editor } from "./editor.js";
import { showReply } from "./reply.js";
import { whyNoTest } from "./snippet_test.js";

const COPIES = { javascript: "JavaScript", python: "Python", test: "test" };

export class ActionPanel {
  #box;
  #resolve;
  #handlers;
  #action = null;
  #editor = null;
  #pk;
  #note;
  #reply;
  // The last exchange of each action, by its fragment: { request, reply, text, milliseconds }.
  #exchanges = new Map();

  // `handlers`: send(request) gives { reply, text, milliseconds }; follow(request) shows what goes on, for
  // `subscribe`; copy(kind, request, reply).
  constructor(box, { resolve, ...handlers }) {
    this.#box = box;
    this.#resolve = resolve;
    this.#handlers = handlers;
    box.addEventListener("keydown", (event) => this.#pressed(event));
  }

  get exchange() {
    return this.#exchanges.get(this.#action?.fragment);
  }

  show(action) {
    this.#action = action;
    this.#pk = action.takesPk ? this.#pkField() : null;
    this.#editor = action.data === null ? null : this.#makeEditor();
    this.#note = element("p", { id: "note", class: "fault", role: "alert", hidden: true });
    this.#reply = element("div", { id: "reply", "aria-busy": "false" });
    this.#box.replaceChildren(...this.#head(), ...this.#inputs(), this.#note, this.#buttons(), this.#reply);
    this.#restore();
    this.#showExchange();
  }

  showNothing(title, text) {
    this.#action = this.#editor = null;
    this.#box.replaceChildren(element("h2", { id: "action-title", text: title }), element("p", { text }));
  }

  async send() {
    const request = this.#request();
    if (!request) return;
    this.#editor?.clearErrors();
    const { fragment } = this.#action;
    const reply = this.#reply;
    this.#wait(true);
    const exchange = { request, ...(await this.#handlers.send(request)) };
    this.#exchanges.set(fragment, exchange);
    // Somebody may have gone on to another action while this one was under way.
    if (reply !== this.#reply) return;
    this.#showExchange();
    // Here alone: it moves the focus to what is wrong, which on the way through the list it may not.
    this.#editor?.showErrors(exchange.reply.errors);
  }

  // The request as it stands; null where the JSON can't be read, which is said.
  #request() {
    if (this.#editor && !this.#editor.valid) {
      this.#editor.focus();
      return null;
    }
    const { stream, name } = this.#action;
    const request = { stream: stream.name, action: name };
    if (this.#pk?.input.value.trim()) request.pk = readPk(this.#pk.input.value.trim(), stream.pk);
    if (this.#editor?.data !== undefined) request.data = this.#editor.data;
    return request;
  }

  #follow() {
    const request = this.#request();
    if (!request) return;
    if (this.#action.stream.tasks && request.pk === undefined) {
      this.#say("Which task? Its pk is the id in the reply of 202.");
      this.#pk.input.focus();
      return;
    }
    this.#say("");
    this.#handlers.follow(request);
  }

  #say(text) {
    this.#note.textContent = text;
    this.#note.hidden = !text;
  }

  #wait(waits) {
    this.#say("");
    this.#reply.setAttribute("aria-busy", String(waits));
    if (waits) this.#reply.replaceChildren(element("p", { class: "faint", role: "status", text: "Waiting for the reply…" }));
  }

  #showExchange() {
    const { exchange } = this;
    this.#reply.setAttribute("aria-busy", "false");
    if (!exchange) return;
    this.#reply.replaceChildren(...showReply(exchange));
  }

  #head() {
    const { stream, name, method, description } = this.#action;
    const badge = element("span", { class: "method", title: "What permissions and throttles take it for", text: method });
    return [
      element("h2", { id: "action-title" }, element("span", { class: "faint", text: `${stream.name} / ` }), name, " ", badge),
      ...(description ? [element("p", { class: "description", text: description })] : []),
      ...(stream.description ? [aboutStream(stream)] : []),
    ];
  }

  #inputs() {
    const none = element("p", { class: "faint", text: "This action takes no data." });
    return [this.#pk?.box, this.#editor?.element ?? none].filter(Boolean);
  }

  #pkField() {
    const { stream, detail, standard } = this.#action;
    const optional = !detail || (standard && !stream.tasks);
    const subscribing = /subscribe$/.test(this.#action.name) && standard;
    const input = element("input", {
      id: "pk", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      inputmode: stream.pk?.type === "integer" ? "numeric" : null,
      "aria-required": String(!(subscribing && optional)),
      oninput: () => this.#keep(),
    });
    const hint = subscribing && optional ? "one row; empty for all" : "which row";
    return { input, box: element("label", { class: "field pk" }, element("span", {}, "pk ", element("small", { class: "faint", text: hint })), input) };
  }

  #makeEditor() {
    const editor = new Editor(this.#action.data, { resolve: this.#resolve });
    editor.onInput = () => this.#keep();
    return editor;
  }

  #buttons() {
    const follows = this.#action.standard && this.#action.name === "subscribe" && (this.#action.stream.subscribable || this.#action.stream.tasks);
    const send = element("button", {
      id: "send", type: "button", class: follows ? "plain" : null, "aria-keyshortcuts": "Control+Enter",
      onclick: () => this.send(), text: follows ? "Send as a plain frame" : "Send",
    });
    return element(
      "div",
      { class: "tools" },
      follows ? element("button", { id: "follow", type: "button", onclick: () => this.#follow(), text: this.#action.stream.tasks ? "Follow the task" : "Subscribe, as a live table" }) : null,
      send,
      element("button", { id: "reset", type: "button", class: "plain", onclick: () => this.#reset(), text: "Reset" }),
      this.#copyButtons(),
    );
  }

  #copyButtons() {
    const buttons = Object.entries(COPIES).map(([kind, text]) =>
      element("button", {
        id: `copy-${kind}`, type: "button", class: "plain", "aria-label": `Copy as ${text}`, text,
        onclick: () => this.#copy(kind),
      }),
    );
    return element("span", { class: "copies", role: "group", "aria-label": "Copy as" }, element("span", { class: "faint", "aria-hidden": "true", text: "Copy as" }), ...buttons);
  }

  #copy(kind) {
    const request = this.#request();
    if (!request) return;
    const exchange = this.exchange;
    // A reply to something else is no reply to this.
    const same = exchange && JSON.stringify(exchange.request) === JSON.stringify(request);
    const reply = same && exchange.reply.response_status ? exchange.reply : undefined;
    const fault = kind === "test" ? whyNoTest({ ...request, standard: this.#action.standard, reply }) : "";
    this.#say(fault);
    if (!fault) this.#handlers.copy(kind, request, reply);
  }

  #pressed(event) {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !this.#action) return;
    event.preventDefault();
    this.#box.querySelector("#follow, #send").click();
  }

  #keep() {
    const isSecret = hasPassword(this.#action.data, this.#resolve);
    keepDraft(this.#action, { pk: this.#pk?.input.value, text: isSecret ? undefined : this.#editor?.text });
  }

  #restore() {
    const draft = readDraft(this.#action);
    if (this.#pk) this.#pk.input.value = draft?.pk ?? "";
    if (this.#editor && typeof draft?.text === "string") this.#editor.text = draft.text;
  }

  #reset() {
    dropDraft(this.#action);
    this.#exchanges.delete(this.#action.fragment);
    this.show(this.#action);
    this.#box.querySelector("#reset").focus();
  }
}

function aboutStream(stream) {
  const about = element("details", { class: "about" }, element("summary", { text: `About the stream ${stream.name}` }));
  about.append(element("p", { class: "description", text: stream.description }));
  return about;
}

// A number only where the rows have numbers, and where JavaScript can hold it.
function readPk(text, schema) {
  const types = [schema?.type].flat();
  const number = Number(text);
  return types.includes("integer") && /^-?\d+$/.test(text) && Number.isSafeInteger(number) ? number : text;
}
