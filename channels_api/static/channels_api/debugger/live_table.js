// The rows of a subscription as a table that shows what changes.

import { element } from "./dom.js";

const MOST_ROWS = 100;
const LONGEST_TEXT = 200;
const LONGEST_JSON = 80;
// A text that stays on one line, such as a date and time.
const LONGEST_WORD = 32;
// Milliseconds that a deleted row is still to be seen; panels.css fades it out in less.
const FAREWELL = 1200;

export class LiveTable {
  #head = element("tr");
  #body = element("tbody");
  #more = element("p", { class: "faint live-more", hidden: true });
  // The rows that are shown, by their keys: { line, texts }.
  #shown = new Map();
  #columns = [];

  constructor(label) {
    const table = element("table", {}, element("thead", {}, this.#head), this.#body);
    const scroll = element("div", { class: "live-scroll", tabindex: "0", role: "region", "aria-label": label }, table);
    this.element = element("div", { class: "live-table", hidden: true }, scroll, this.#more);
  }

  /** Shows `rows`, after the `changes` (what happened, by key) that there were since the last time. */
  draw(rows, changes) {
    this.#unmark();
    for (const [key, type] of changes) {
      if (rows.has(key)) this.#change(key, rows.get(key));
      else if (type === "delete") this.#remove(key);
    }
    this.#fill(rows);
  }

  /** Shows `rows` in place of all that was shown. */
  drawAnew(rows) {
    this.#shown.clear();
    this.#body.replaceChildren();
    this.#head.replaceChildren();
    this.#columns = [];
    this.#fill(rows);
  }

  #change(key, row) {
    const known = this.#shown.get(key);
    if (!known) this.#insert(key, row, "prepend").line.dataset.change = "new";
    else if (this.#write(known, row)) known.line.dataset.change = "update";
  }

  // Marks are for the last change alone. The layout is read so that an animation that ran begins again:
  // an attribute that is removed and set in one go is not noticed.
  #unmark() {
    for (const marked of this.#body.querySelectorAll("[data-change]:not(.is-gone)")) delete marked.dataset.change;
    for (const marked of this.#body.querySelectorAll(".is-changed")) marked.classList.remove("is-changed");
    void this.#body.offsetWidth;
  }

  #insert(key, row, place) {
    const shown = { line: element("tr"), texts: [] };
    this.#shown.set(key, shown);
    this.#body[place](shown.line);
    this.#write(shown, row, true);
    return shown;
  }

  #remove(key) {
    const { line } = this.#shown.get(key) ?? {};
    if (!line) return;
    this.#shown.delete(key);
    line.dataset.change = "delete";
    line.classList.add("is-gone");
    setTimeout(() => line.remove(), FAREWELL);
  }

  // Writes the cells that differ; whether there were any.
  #write(shown, row, isNew = false) {
    const cells = isPlain(row) ? row : { value: row };
    this.#widen(Object.keys(cells));
    const texts = this.#columns.map((column) => (Object.hasOwn(cells, column) ? short(cells[column]) : ""));
    const before = shown.texts;
    shown.texts = texts;
    return texts.filter((text, index) => text !== (before[index] ?? "") && this.#writeCell(shown.line.cells[index], text, isNew)).length > 0;
  }

  #writeCell(cell, text, isNew) {
    cell.textContent = text;
    cell.classList.toggle("is-short", text.length <= LONGEST_WORD);
    if (!isNew) cell.classList.add("is-changed");
    return true;
  }

  // As many cells in every line as there are columns.
  #widen(names) {
    for (const name of names.filter((each) => !this.#columns.includes(each))) {
      this.#columns.push(name);
      this.#head.append(element("th", { scope: "col" }, name));
    }
    for (const { line } of this.#shown.values()) {
      while (line.cells.length < this.#columns.length) line.append(element("td"));
    }
  }

  #fill(rows) {
    if (this.#shown.size > MOST_ROWS) this.#drop();
    for (const [key, row] of rows) {
      if (this.#shown.size >= Math.min(MOST_ROWS, rows.size)) break;
      if (!this.#shown.has(key)) this.#insert(key, row, "append");
    }
    this.element.hidden = !this.#body.childElementCount;
    this.#more.hidden = rows.size <= MOST_ROWS;
    this.#more.textContent = `${this.#shown.size} of ${rows.size} rows; one that changes comes to the top.`;
  }

  // The lowest make room for those that came on top.
  #drop() {
    const kept = new Set([...this.#body.querySelectorAll("tr:not(.is-gone)")].slice(0, MOST_ROWS));
    for (const [key, { line }] of this.#shown) {
      if (kept.has(line)) continue;
      this.#shown.delete(key);
      line.remove();
    }
  }
}

function isPlain(row) {
  return typeof row === "object" && row !== null && !Array.isArray(row);
}

function short(value) {
  const isText = typeof value === "string";
  const text = isText ? value : JSON.stringify(value);
  const most = isText ? LONGEST_TEXT : LONGEST_JSON;
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
