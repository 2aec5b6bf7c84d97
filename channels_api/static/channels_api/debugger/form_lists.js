// Lists and records: fields that people add and remove, one row each.

import { element } from "./dom.js";
import { flatten, isObject, nested } from "./form_groups.js";

// What both have: rows with a field each, and a button that adds one.
class RowsEditor {
  rows = [];
  isSet;
  options;
  #list = element("div", { class: "field-rows" });
  #add;

  constructor(options) {
    this.options = options;
    this.isSet = options.required;
    const grow = () => this.#grow();
    this.#add = element("button", { type: "button", class: "plain field-add", onclick: grow }, `Add to ${options.title}`);
    this.element = element("div", { class: "field-list" }, this.#list, this.#add);
  }

  get focusTarget() {
    return this.rows[0] ? this.startOf(this.rows[0]) : this.#add;
  }

  clearErrors() {
    for (const { field } of this.rows) field.clearErrors();
  }

  clear(isSet) {
    this.#list.replaceChildren();
    this.rows = [];
    this.isSet = this.options.required || isSet;
  }

  append(row, ...content) {
    const remove = () => this.#remove(row);
    row.remove = element("button", { type: "button", class: "plain field-remove", onclick: remove }, "✕");
    row.element = element("div", { class: "field-row" }, content, row.remove);
    this.rows.push(row);
    this.#list.append(row.element);
    this.label();
    return row;
  }

  #grow() {
    const row = this.add();
    this.#announce();
    this.startOf(row)?.focus();
  }

  #remove(row) {
    const index = this.rows.indexOf(row);
    this.rows.splice(index, 1);
    this.isSet = true;
    row.element.remove();
    this.label();
    (this.rows[index]?.remove ?? this.#add).focus();
    this.#announce();
  }

  // Only what people type makes events by itself.
  #announce() {
    this.element.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

export class ArrayEditor extends RowsEditor {
  get value() {
    const values = this.#sent.map(({ field }) => field.value);
    return values.length || this.isSet ? values : undefined;
  }

  set value(value) {
    this.clear(value !== undefined);
    for (const item of value ?? []) this.add().field.value = item;
  }

  fits(value) {
    return Array.isArray(value);
  }

  get problems() {
    return nested(this.#sent.map(({ field }, index) => [index, field.problems]));
  }

  get note() {
    const blank = this.rows.length - this.#sent.length;
    return blank ? `${blank} without a value: not sent.` : "";
  }

  // A list of what is wrong with each item, or an object by their numbers.
  showErrors(errors) {
    const sent = this.#sent;
    sent.forEach(({ field }, index) => Object.hasOwn(errors, index) && field.showErrors(errors[index]));
    const unknown = Object.entries(errors).filter(([index]) => !sent[index]);
    return unknown.flatMap(([name, found]) => flatten(name, found));
  }

  add() {
    const { schema, context, path } = this.options;
    const index = this.rows.length;
    const options = { name: String(index), schema: schema.items ?? {}, required: true, isItem: true };
    const field = context.makeField({ ...options, path: [...path, index] });
    return this.append({ field }, field.element);
  }

  startOf({ field }) {
    return field.focusTarget;
  }

  label() {
    this.rows.forEach(({ field, remove }, index) => {
      const title = `${this.options.title} ${index + 1}`;
      field.title = title;
      remove.setAttribute("aria-label", `Remove ${title}`);
    });
  }

  // The server counts only what it was sent.
  get #sent() {
    return this.rows.filter(({ field }) => field.value !== undefined);
  }
}

export class RecordEditor extends RowsEditor {
  get value() {
    const entries = this.rows.map(({ key, field }) => [key.value, field.value]);
    const sent = entries.filter(([key, value]) => key && value !== undefined);
    return sent.length || this.isSet ? Object.fromEntries(sent) : undefined;
  }

  set value(value) {
    this.clear(value !== undefined);
    for (const [key, item] of Object.entries(value ?? {})) {
      const row = this.add();
      row.key.value = key;
      row.field.value = item;
    }
  }

  // The empty key of a row says that nobody has named it yet.
  fits(value) {
    return isObject(value) && !Object.hasOwn(value, "");
  }

  get problem() {
    const keys = this.rows.map(({ key }) => key.value).filter(Boolean);
    const twice = keys.find((key, index) => keys.indexOf(key) < index);
    return twice === undefined ? "" : `The key ${twice} stands there twice: only the last one is sent.`;
  }

  get problems() {
    return nested(this.rows.map(({ key, field }) => [key.value, field.problems]));
  }

  get note() {
    const blank = this.rows.filter(({ key, field }) => !key.value || field.value === undefined).length;
    return blank ? `${blank} without a key or a value: not sent.` : "";
  }

  showErrors(errors) {
    const rows = new Map(this.rows.map((row) => [row.key.value, row]));
    for (const [key, { field }] of rows) if (Object.hasOwn(errors, key)) field.showErrors(errors[key]);
    const unknown = Object.entries(errors).filter(([key]) => !rows.has(key));
    return unknown.flatMap(([name, found]) => flatten(name, found));
  }

  add() {
    const { schema, context, path } = this.options;
    const key = element("input", { type: "text", class: "field-key", placeholder: "key", autocomplete: "off" });
    const values = schema.additionalProperties === true ? {} : schema.additionalProperties;
    const field = context.makeField({ name: "value", schema: values, required: true, isItem: true, path });
    return this.append({ key, field }, key, field.element);
  }

  startOf({ key }) {
    return key;
  }

  label() {
    const { title } = this.options;
    this.rows.forEach(({ key, field, remove }, index) => {
      key.setAttribute("aria-label", `Key ${index + 1} of ${title}`);
      field.title = `Value ${index + 1} of ${title}`;
      remove.setAttribute("aria-label", `Remove ${index + 1} of ${title}`);
    });
  }
}
