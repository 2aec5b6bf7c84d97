// "Cut my connection": the countdown, and then what each subscription had missed.

import { element } from "./dom.js";
import { prettyJson } from "./json.js";

// What comes this long after the connection is back is what was missed: the server tells it at once,
// right after its reply, and marks it in no way.
const CATCHING_UP = 2000;

export class Recovery {
  #box;
  #api;
  #timer = 0;
  #ends = 0;
  #stop = () => {};
  // What was subscribed again, by the request's id.
  #resumed = new Map();

  constructor(box) {
    this.#box = box;
  }

  // Cuts the connection of `api` for so many milliseconds.
  cut(api, after) {
    this.#stop();
    this.#api = api;
    this.#resumed.clear();
    this.#ends = Date.now() + after;
    this.#listen();
    api.reconnect(after);
    this.#countDown(after);
  }

  #listen() {
    const endings = [
      this.#api.onFrame((direction, text) => this.#heard(direction, JSON.parse(text))),
      this.#api.onState((state) => this.#changed(state)),
    ];
    this.#stop = () => {
      clearTimeout(this.#timer);
      endings.forEach((end) => end());
    };
  }

  #countDown(after) {
    const left = element("b", { id: "recovery-left", role: "timer" });
    const bar = element("progress", { max: String(after), value: "0", "aria-label": "Time without a connection" });
    const back = element("button", { id: "recovery-now", type: "button", class: "plain", text: "Come back now", onclick: () => this.#api.reconnect(0) });
    this.#box.replaceChildren(
      element("h2", { text: "The connection is cut" }),
      element("p", {}, "Back in ", left, ". Meanwhile let somebody change something: what this page misses is told when it is back."),
      element("div", { class: "tools" }, bar, back),
    );
    this.#box.hidden = false;
    this.#tick(left, bar, after);
  }

  #tick(left, bar, after) {
    const rest = Math.max(0, this.#ends - Date.now());
    left.textContent = `${Math.ceil(rest / 1000)} s`;
    bar.value = after - rest;
    if (rest > 0) this.#timer = setTimeout(() => this.#tick(left, bar, after), 250);
  }

  #changed(state) {
    if (state !== "open") return;
    clearTimeout(this.#timer);
    this.#show();
    this.#timer = setTimeout(() => this.#stop(), CATCHING_UP);
  }

  #heard(direction, { stream, payload }) {
    if (direction === "out" && payload?.action === "subscribe" && isStateful(payload.data)) {
      this.#resumed.set(payload.request_id, { stream, pk: payload.pk, filter: payload.data.filter, changes: [] });
    }
    const resumed = direction === "in" && this.#resumed.get(payload?.request_id);
    if (!resumed) return;
    if ("response_status" in payload) resumed.reply = payload;
    else if (payload.action === "reset") resumed.reset = payload;
    else resumed.changes.push(payload);
    this.#show();
  }

  #show() {
    const lines = [...this.#resumed.values()].map(subscriptionLine);
    const none = element("p", { class: "faint", text: "There is no subscription to recover. Subscribe to something, and cut it again." });
    this.#box.replaceChildren(
      element("div", { class: "panel-head" }, element("h2", { text: "The connection is back" }), this.#closeButton()),
      lines.length ? element("ul", { id: "recovered", class: "plain-list" }, ...lines) : none,
    );
  }

  #closeButton() {
    return element("button", { type: "button", class: "plain", "aria-label": "Close what was missed", text: "Close", onclick: () => this.#close() });
  }

  #close() {
    this.#stop();
    this.#box.hidden = true;
  }
}

function isStateful(data) {
  return Boolean(data?.since || data?.snapshot);
}

function subscriptionLine(resumed) {
  const filter = resumed.filter && Object.keys(resumed.filter).length ? ` ${JSON.stringify(resumed.filter)}` : "";
  const name = `${resumed.stream}${resumed.pk === undefined ? "" : ` ${resumed.pk}`}${filter}`;
  return element("li", { dataset: { stream: resumed.stream } }, element("b", { text: name }), ": ", ...outcome(resumed));
}

function outcome({ reply, reset, changes }) {
  if (!reply) return ["asking what was missed…"];
  if (reply.errors.length) return [`refused: ${JSON.stringify(reply.errors)}`];
  const fresh = reset ?? (reply.data.recovered ? null : reply.data);
  if (fresh) return [`reset, all new (${fresh.reason}): ${(fresh.snapshot ?? []).length} rows`, ...changeList(changes)];
  if (!changes.length) return ["recovered; nothing was missed"];
  return [`recovered ${changes.length === 1 ? "1 change" : `${changes.length} changes`} that you missed`, ...changeList(changes)];
}

function changeList(changes) {
  return changes.map((change) => {
    const details = element("details", {}, element("summary", { text: `${change.action} ${change.pk}` }));
    details.append(prettyJson(change.data, "The row now"));
    return details;
  });
}
