// The fields with one control. Each has `element` (the control that is labelled), `value` (undefined:
// left out), `fits(value)`: whether it can show a value and give it back unchanged, `problem`: why
// what was typed can't be sent, and `note`: what is worth knowing about what is sent.

import { element } from "./dom.js";

const FORMATS = {
  email: { type: "email", autocomplete: "off" },
  uri: { type: "url", placeholder: "https://" },
  uuid: { spellcheck: "false", placeholder: "00000000-0000-0000-0000-000000000000" },
  decimal: { inputmode: "decimal" },
  date: { type: "date" },
  time: { type: "time", step: "1" },
  "date-time": { type: "datetime-local", step: "1" },
  password: { type: "password", autocomplete: "new-password" },
};
const LONG = 255;
const ZONE = /(?:z|[+-]\d\d:?\d\d)$/i;

// A value that was set is given back as it was for as long as nobody types: inputs show less than
// there is, such as no microseconds and no time zone.
class TypedEditor {
  #given;
  #shown = "";

  get value() {
    if (this.#given !== undefined && this.element.value === this.#shown) return this.#given;
    return this.read(this.element.value);
  }

  set value(value) {
    this.element.value = value === undefined ? "" : this.write(value);
    this.#given = value;
    this.#shown = this.element.value;
    this.touched = value !== undefined;
  }

  get given() {
    return this.#given;
  }

  get isUnchanged() {
    return this.element.value === this.#shown;
  }

  fits(value) {
    const probe = this.element.cloneNode();
    probe.value = this.write(value);
    return probe.value === this.write(value);
  }
}

export class TextEditor extends TypedEditor {
  touched = false;
  #schema;
  #isItem;

  constructor({ schema, isItem }) {
    super();
    this.#schema = schema;
    this.#isItem = isItem;
    const isLong = !schema.format && (schema.maxLength > LONG || schema.maxLength === undefined);
    const shape = { placeholder: schema.default || null, ...FORMATS[schema.format] };
    this.element = isLong ? element("textarea", { ...shape, rows: "1" }) : element("input", { type: "text", ...shape });
    this.element.addEventListener("input", () => (this.touched = true));
  }

  // What was never typed in is left out; what was emptied is an empty text, where that is one.
  read(text) {
    if (text) return text;
    const mayBeEmpty = !FORMATS[this.#schema.format] && !(this.#schema.minLength > 0);
    return this.#isItem || (this.touched && mayBeEmpty) ? "" : undefined;
  }

  write(value) {
    return value;
  }

  fits(value) {
    return typeof value === "string" && super.fits(value);
  }

  get problem() {
    // A date that is typed halfway is no value for the browser.
    return this.element.validity.badInput ? this.element.validationMessage : "";
  }

  get note() {
    const { maxLength } = this.#schema;
    const length = [...this.element.value].length;
    if (length > maxLength) return `${length} characters, ${length - maxLength} too many.`;
    return this.element.validationMessage;
  }
}

export class DateTimeEditor extends TextEditor {
  read(text) {
    if (!text) return undefined;
    const isLocal = this.given !== undefined && !ZONE.test(this.given);
    return isLocal || Number.isNaN(Date.parse(text)) ? text : new Date(text).toISOString().replace(".000Z", "Z");
  }

  // As the clock here shows it; what names no zone is shown as it is.
  write(value) {
    if (!ZONE.test(value)) return value;
    const date = new Date(value);
    if (Number.isNaN(date.getTime())) return value;
    const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
    return local.toISOString().slice(0, 23).replace(/(:00)?\.000$/, "");
  }

  fits(value) {
    if (typeof value !== "string") return false;
    const probe = this.element.cloneNode();
    probe.value = this.write(value);
    return probe.value !== "";
  }

  get note() {
    return this.value === undefined ? "" : `Sent as ${this.value}`;
  }
}

export class NumberEditor extends TypedEditor {
  constructor({ schema }) {
    super();
    const step = schema.multipleOf ?? (schema.type === "integer" || schema.type?.includes("integer") ? 1 : "any");
    this.element = element("input", {
      type: "number",
      step,
      min: schema.minimum,
      max: schema.maximum,
      placeholder: schema.default,
      // The wheel over a field that has focus would change it.
      onwheel: () => this.element.blur(),
    });
  }

  read(text) {
    if (isTooBig(text)) return text;
    const number = Number(text);
    return text === "" || !Number.isFinite(number) ? undefined : number;
  }

  write(value) {
    return String(value);
  }

  fits(value) {
    if (typeof value === "string") return isTooBig(value);
    return typeof value === "number" && Number.isFinite(value);
  }

  get problem() {
    return this.element.validity.badInput ? "This is not a number." : "";
  }

  get note() {
    if (!isTooBig(this.element.value)) return this.element.validationMessage;
    if (typeof this.value === "number") return "Beyond 2^53 - 1: it may have been rounded before it came here.";
    return `Beyond 2^53 - 1, where JavaScript rounds integers: sent as text, "${this.value}".`;
  }
}

// One of several values; the first option stands for none.
export class ChoiceEditor {
  #values;

  constructor({ schema, nullable, required }) {
    const { values, labels } = choicesOf(schema);
    this.#values = nullable && !values.includes(null) ? [...values, null] : values;
    const none = required ? "Choose…" : leftOut(schema, values, labels);
    const options = [none, ...this.#values.map((value, index) => optionText(value, labels[index]))];
    this.element = element("select", {}, options.map((text, index) => element("option", { value: index, text })));
  }

  get value() {
    return this.#values[this.element.selectedIndex - 1];
  }

  set value(value) {
    this.element.selectedIndex = value === undefined ? 0 : this.#values.indexOf(value) + 1;
  }

  fits(value) {
    return this.#values.includes(value);
  }
}

export class CheckEditor {
  constructor({ schema }) {
    this.element = element("input", { type: "checkbox", checked: schema.default === true });
  }

  get value() {
    return this.element.checked;
  }

  set value(value) {
    this.element.checked = value ?? this.element.defaultChecked;
  }

  fits(value) {
    return typeof value === "boolean";
  }
}

export class JsonEditor {
  constructor() {
    this.element = element("textarea", {
      rows: "2",
      class: "field-json",
      placeholder: "JSON",
      spellcheck: "false",
      autocapitalize: "off",
    });
  }

  get value() {
    return this.#read().value;
  }

  set value(value) {
    this.element.value = value === undefined ? "" : JSON.stringify(value, null, 2);
    this.element.rows = Math.min(12, Math.max(2, this.element.value.split("\n").length));
  }

  fits() {
    return true;
  }

  get problem() {
    return this.#read().problem ?? "";
  }

  #read() {
    const text = this.element.value;
    if (!text.trim()) return {};
    return readJson(text);
  }
}

/** What JSON says, as { value }, or { problem }: why it can't be sent. */
export function readJson(text) {
  const rounded = findRounded(text);
  if (rounded) return { problem: `${rounded} would be rounded by JavaScript: write it in quotes, as text.` };
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { problem: `This is not JSON: ${error.message}` };
  }
}

export class NothingEditor {
  element = element("p", { class: "field-nothing", text: "It takes no data." });
  value = undefined;

  fits(value) {
    return value === null;
  }
}

/** The values of an enumeration and their labels; true and false are one as well. */
export function choicesOf(schema) {
  const values = schema.enum ?? ("const" in schema ? [schema.const] : [true, false]);
  const labels = schema["x-enum-labels"] ?? [];
  return { values, labels: values.map((value, index) => labels[index] ?? literal(value)) };
}

/** A choice as people read it, with the value that is sent where that is something else. */
export function optionText(value, label = literal(value)) {
  return String(label) === literal(value) ? literal(value) : `${label} (${literal(value)})`;
}

function leftOut(schema, values, labels) {
  if (schema.default === undefined || schema.default === null) return "(left out)";
  return `(left out: ${labels[values.indexOf(schema.default)] ?? literal(schema.default)})`;
}

function literal(value) {
  return typeof value === "string" && value ? value : JSON.stringify(value);
}

function isTooBig(text) {
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(Number(text));
}

// An integer in JSON that `JSON.parse` would silently make another one.
function findRounded(text) {
  const numbers = text.replace(/"(?:[^"\\]|\\.)*"/g, '""').match(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g) ?? [];
  return numbers.find((number) => isTooBig(number) && BigInt(Number(number)) !== BigInt(number));
}
