// All frames of the sockets, the newest first.

import { element } from "./dom.js";
import { members, prettyText } from "./json.js";
import { statusBadge } from "./reply.js";

const MOST = 500;
const LONGEST_PREVIEW = 160;
// Of more than this, the preview is its beginning: to find its parts would take too long.
const LONGEST_TAKEN_APART = 100_000;

export class FrameLog {
  #list = element("ol", { id: "frames", tabindex: "0", "aria-labelledby": "log-title" });
  #count = element("span", { id: "frames-count", class: "faint", role: "status" });
  #text = element("input", { id: "log-filter", type: "search", placeholder: "Filter", "aria-label": "Filter the log by text", "aria-keyshortcuts": "/" });
  #direction = select("log-direction", "Direction", { "": "both ways", out: "sent", in: "received" });
  #stream = select("log-stream", "Stream", { "": "all streams" });
  #pings = element("input", { id: "log-pings", type: "checkbox" });
  #entries = [];
  #waiting = [];

  constructor(box) {
    for (const filter of [this.#text, this.#direction, this.#stream, this.#pings]) {
      filter.addEventListener("input", () => this.#filter());
    }
    this.#text.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#leave();
    });
    box.append(this.#head(), this.#list);
    this.#showCount();
  }

  focusFilter() {
    this.#text.focus();
    this.#text.select();
  }

  add(direction, text) {
    this.#waiting.push(read(direction, text));
    if (this.#waiting.length > MOST) this.#waiting.shift();
    // Once for all that came since the last frame of the screen. None is drawn in a hidden tab.
    if (this.#waiting.length === 1) requestAnimationFrame(() => this.#draw());
  }

  clear() {
    this.#entries = [];
    this.#waiting = [];
    this.#list.replaceChildren();
    this.#showCount();
  }

  #head() {
    const grow = element("button", { id: "log-grow", type: "button", class: "plain", "aria-expanded": "false", "aria-controls": "frames", text: "Larger" });
    grow.addEventListener("click", () => {
      const large = document.body.classList.toggle("large-log");
      grow.setAttribute("aria-expanded", String(large));
      grow.textContent = large ? "Smaller" : "Larger";
    });
    return element(
      "div",
      { class: "log-head", role: "search", "aria-label": "The log" },
      element("h2", { id: "log-title", text: "Frames" }),
      this.#count, this.#text, this.#direction, this.#stream,
      element("label", { class: "check" }, this.#pings, "pings"),
      element("button", { id: "log-clear", type: "button", class: "plain", onclick: () => this.clear(), text: "Clear" }),
      grow,
    );
  }

  #draw() {
    const fresh = this.#waiting;
    this.#waiting = [];
    for (const entry of fresh) {
      entry.row = row(entry);
      entry.row.hidden = !this.#matches(entry);
      this.#addStream(entry.stream);
    }
    this.#entries.push(...fresh);
    this.#list.prepend(...fresh.map((entry) => entry.row).reverse());
    for (const entry of this.#entries.splice(0, this.#entries.length - MOST)) entry.row.remove();
    this.#showCount();
  }

  #addStream(name) {
    if (!name || [...this.#stream.options].some((option) => option.value === name)) return;
    this.#stream.append(element("option", { value: name, text: name }));
  }

  #filter() {
    for (const entry of this.#entries) entry.row.hidden = !this.#matches(entry);
    this.#showCount();
  }

  #matches(entry) {
    const wanted = this.#text.value.trim().toLowerCase();
    return (
      (this.#pings.checked || !entry.isPing) &&
      ["", entry.direction].includes(this.#direction.value) &&
      ["", entry.stream].includes(this.#stream.value) &&
      entry.text.toLowerCase().includes(wanted)
    );
  }

  #showCount() {
    const shown = this.#entries.filter((entry) => !entry.row.hidden).length;
    this.#count.textContent = shown ? String(shown) : "none yet";
    if (!shown && this.#entries.some((entry) => !entry.isPing)) this.#count.textContent = "none matches";
  }

  #leave() {
    this.#text.value = "";
    this.#filter();
    this.#text.blur();
  }
}

function select(id, label, options) {
  const made = Object.entries(options).map(([value, text]) => element("option", { value, text }));
  return element("select", { id, "aria-label": label }, ...made);
}

function read(direction, text) {
  const entry = { direction, text, time: new Date(), stream: "", action: "", preview: text, isPing: false };
  try {
    const { stream, payload, ...rest } = JSON.parse(text);
    if (!payload) return { ...entry, isPing: "ping" in rest || "pong" in rest };
    const { action, response_status: status } = payload;
    return { ...entry, stream: stream ?? "", action: action ?? "", status, preview: preview(text) };
  } catch {
    return entry; // what is no frame is shown all the same
  }
}

function row(entry) {
  const { direction, time, stream, action, status, text } = entry;
  const sent = direction === "out";
  const details = element(
    "details",
    { class: direction },
    element(
      "summary",
      {},
      element("time", { datetime: time.toISOString(), text: clock(time) }),
      element("span", { class: "arrow", "aria-hidden": "true", text: sent ? "↑" : "↓" }),
      element("span", { class: "hidden-text", text: sent ? "sent" : "received" }),
      element("span", { class: "stream", text: stream }),
      element("span", { class: "name", text: action }),
      status === undefined ? null : statusBadge(status),
      element("span", { class: "preview", text: entry.preview }),
    ),
  );
  details.addEventListener("toggle", () => open(details, text), { once: true });
  return element("li", { dataset: { direction, stream, action, status: status ?? "" } }, details);
}

// Made when it is asked for: hundreds of frames, each a tree of elements, would be slow.
function open(details, text) {
  details.append(prettyText(text, "The frame"));
}

function preview(frame) {
  const text = frame.length > LONGEST_TAKEN_APART ? frame : news(members(frame).get("payload"));
  return text.length > LONGEST_PREVIEW ? `${text.slice(0, LONGEST_PREVIEW)}…` : text;
}

// What the other columns do not say, of a payload as it came.
function news(payload) {
  const { action, response_status, request_id, errors = "[]", ...rest } = Object.fromEntries(members(payload));
  if (errors !== "[]") return errors;
  if (response_status) return rest.data;
  return `{${Object.entries(rest).map(([name, part]) => `${JSON.stringify(name)}:${part}`)}}`;
}

function clock(time) {
  return `${time.toTimeString().slice(0, 8)}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}
