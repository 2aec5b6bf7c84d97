// Subscriptions: a card for each, with its rows as a live table.

import { element } from "./dom.js";
import { LiveTable } from "./live_table.js";

// What was missed comes at once after a resume, and is marked in no way: within so many milliseconds,
// and as one batch, with whose last change the position moves.
const CATCHING_UP = 2000;
const MOST_NAMED = 12;
const EPOCH_SHOWN = 8;

export class LivePanel {
  element;
  #api;
  #streams;
  #cards = element("div", { class: "cards" });

  /** `streams`: x-streams of the schema. */
  constructor(api, streams) {
    this.#api = api;
    this.#streams = streams;
    const none = element("p", { class: "faint cards-none", text: "No subscriptions yet." });
    this.element = element("div", { class: "live-panel" }, this.#cards, none);
  }

  /** Subscribes to all rows of a stream, to those of a filter, or to one. Returns the Subscription. */
  subscribe(stream, { pk, filter } = {}) {
    const { key } = this.#streams[stream] ?? {};
    const card = new LiveCard(this.#api, { stream, pk, filter, key });
    this.#cards.prepend(card.element);
    return card.subscription;
  }
}

class LiveCard {
  #table;
  #parts;
  #stopListening;
  #events = 0;
  // What is to be drawn: all rows, or what happened to some, by their keys.
  #isAnew = false;
  #changes = new Map();
  #isWaiting = false;
  // The connection was lost at that time; what was missed is told until that one.
  #lostAt = null;
  #missed = null;

  constructor(api, { stream, pk, filter, key }) {
    const name = nameOf(stream, pk, filter);
    this.#table = new LiveTable(`Rows of ${name}`);
    this.#build(name, stream);
    this.subscription = api.stream(stream).subscribe({
      pk,
      filter,
      key: keyOf(key, pk),
      onChange: (change) => this.#changed(change),
      onError: (error) => this.#failed(error),
    });
    this.#stopListening = api.onState((state) => this.#connection(state));
    this.#draw();
  }

  #build(name, stream) {
    this.#parts = {
      state: element("span", { class: "badge", role: "status" }),
      facts: element("p", { class: "faint live-facts" }),
      last: element("p", { class: "live-last", hidden: true }),
      recovery: element("p", { class: "live-recovery", role: "status" }),
      fault: element("p", { class: "fault live-fault", role: "alert" }),
      button: element("button", { type: "button", class: "plain", onclick: () => this.#press() }),
    };
    const { state, facts, last, recovery, fault, button } = this.#parts;
    const head = element("div", { class: "card-head" }, element("h3", {}, name), state, button);
    const props = { class: "card live-card", "aria-label": name, dataset: { stream } };
    this.element = element("article", props, head, facts, recovery, fault, last, this.#table.element);
  }

  #changed(change) {
    if (change.type === "snapshot" || change.type === "reset") this.#replaced(change);
    else if (change.type === "resume") this.#resumed();
    else this.#happened(change);
    this.#later();
  }

  #replaced({ type, reason }) {
    this.#isAnew = true;
    this.#changes.clear();
    if (type === "reset") this.#say(`${this.#away()}Reset (${reason}): all rows are anew.`);
    this.#lostAt = this.#missed = null;
  }

  #resumed() {
    const { seq } = this.subscription.position;
    this.#missed = { seq, until: performance.now() + CATCHING_UP, away: this.#away(), changes: [] };
    this.#lostAt = null;
    this.#say(`${this.#missed.away}Nothing was missed.`);
  }

  #happened({ type, pk }) {
    this.#events += 1;
    this.#changes.delete(pk); // the newest change is the last one drawn, which is the topmost
    this.#changes.set(pk, type);
    this.#tellLast(type, pk);
    if (!this.#missed) return;
    if (performance.now() < this.#missed.until) this.#tellMissed(`${type} ${pk}`);
    if (this.subscription.position.seq !== this.#missed.seq) this.#missed = null;
  }

  #tellLast(type, pk) {
    const time = new Date().toLocaleTimeString(undefined, { hour12: false });
    this.#parts.last.replaceChildren(element("span", { class: "faint" }, "Last change: "), `${type} ${pk}, ${time}`);
    this.#parts.last.hidden = false;
  }

  #tellMissed(text) {
    const { away, changes } = this.#missed;
    changes.push(text);
    const more = changes.length > MOST_NAMED ? `, and ${changes.length - MOST_NAMED} more` : "";
    const count = plural(changes.length, "change");
    this.#say(`${away}${count} missed and told: ${changes.slice(0, MOST_NAMED).join(", ")}${more}.`);
  }

  #away() {
    return this.#lostAt === null ? "" : `Back after ${((performance.now() - this.#lostAt) / 1000).toFixed(1)} s. `;
  }

  #say(text) {
    this.#parts.recovery.textContent = text;
  }

  #failed(error) {
    this.#parts.fault.textContent = `${error.status ? `${error.status}: ` : ""}${error.message}`;
    this.#later();
  }

  #connection(state) {
    if (state !== "open" && this.#lostAt === null && this.subscription.state !== "pending") {
      this.#lostAt = performance.now();
      this.#say("");
    }
    this.#later();
  }

  #press() {
    if (this.subscription.state !== "closed") {
      this.subscription.close();
      this.#draw();
      return;
    }
    this.#stopListening();
    (this.element.nextElementSibling ?? this.element.previousElementSibling)?.querySelector("button")?.focus();
    this.element.remove();
  }

  // Many changes may come in one go: they are drawn together. Nothing is drawn in a hidden tab.
  #later() {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    requestAnimationFrame(() => {
      this.#isWaiting = false;
      this.#draw();
    });
  }

  #draw() {
    const { rows, state, position } = this.subscription;
    if (this.#isAnew) this.#table.drawAnew(rows);
    else if (this.#changes.size) this.#table.draw(rows, this.#changes);
    this.#isAnew = false;
    this.#changes.clear();
    setText(this.#parts.state, state);
    this.#parts.state.dataset.state = state;
    setText(this.#parts.button, state === "closed" ? "Remove" : "Unsubscribe");
    this.#tellFacts(rows.size, position);
  }

  #tellFacts(size, position) {
    const where = position ? `at ${position.epoch.slice(0, EPOCH_SHOWN)}:${position.seq}` : "no position yet";
    setText(this.#parts.facts, [plural(size, "row"), plural(this.#events, "event"), where].join(" · "));
    if (position) this.#parts.facts.title = `epoch ${position.epoch}, seq ${position.seq}`;
  }
}

function nameOf(stream, pk, filter) {
  const isFiltered = filter && Object.keys(filter).length > 0;
  const parts = [stream, pk === undefined ? "" : ` ${pk}`, isFiltered ? ` ${JSON.stringify(filter)}` : ""];
  return parts.join("");
}

// A row whose serializer does not show its key can still be followed by itself.
function keyOf(key, pk) {
  if (key) return key;
  return key === null && pk !== undefined ? () => pk : undefined;
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

// A text that is written again would be read out again.
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
