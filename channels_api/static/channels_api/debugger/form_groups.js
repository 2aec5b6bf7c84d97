// The fields that hold others in themselves: objects, and several of some choices. Besides
// what the editors of form_inputs.js have, `focusTarget` and `showErrors(errors)`, which gives back
// the sentences that belong to no field in it.

import { element } from "./dom.js";
import { choicesOf, optionText } from "./form_inputs.js";

export class ObjectEditor {
  #fields = new Map();
  #extra = {};
  #isRequired;
  #isSet;
  #note = element("p", { class: "field-note", hidden: true });

  constructor({ schema, context, path, required: isRequired }) {
    this.#isRequired = this.#isSet = isRequired;
    const required = new Set(schema.required);
    for (const [name, property] of Object.entries(schema.properties)) {
      if (isReadOnly(property, context.resolve)) continue;
      const field = context.makeField({ name, schema: property, required: required.has(name), path: [...path, name] });
      this.#fields.set(name, field);
    }
    const fields = [...this.#fields.values()].map((field) => field.element);
    this.element = element("div", { class: "field-children" }, fields, this.#note);
  }

  get value() {
    const own = [...this.#fields].map(([name, field]) => [name, field.value]);
    const entries = [...own.filter(([, value]) => value !== undefined), ...Object.entries(this.#extra)];
    return entries.length || this.#isSet ? Object.fromEntries(entries) : undefined;
  }

  set value(value) {
    this.#isSet = this.#isRequired || value !== undefined;
    const entries = Object.entries(value ?? {});
    const given = new Map(entries);
    for (const [name, field] of this.#fields) field.value = given.get(name);
    this.#extra = Object.fromEntries(entries.filter(([name]) => !this.#fields.has(name)));
    const names = Object.keys(this.#extra);
    this.#note.hidden = !names.length;
    this.#note.textContent = names.length ? `Sent too, as it is in the JSON: ${names.join(", ")}` : "";
  }

  fits(value) {
    return isObject(value);
  }

  get focusTarget() {
    return [...this.#fields.values()][0]?.focusTarget ?? null;
  }

  get problems() {
    return nested([...this.#fields].map(([name, field]) => [name, field.problems]));
  }

  showErrors(errors) {
    const unknown = Object.entries(errors).filter(([name]) => !this.#fields.has(name));
    for (const [name, field] of this.#fields) if (Object.hasOwn(errors, name)) field.showErrors(errors[name]);
    return unknown.flatMap(([name, found]) => flatten(name, found));
  }

  clearErrors() {
    for (const field of this.#fields.values()) field.clearErrors();
  }
}

// Several of some choices, each at most once.
export class ChoicesEditor {
  #values;
  #boxes;
  #isSet;
  #isRequired;

  constructor({ schema, context, required, path }) {
    const { values, labels } = choicesOf(context.flatten(schema.items));
    this.#values = values;
    this.#isRequired = this.#isSet = required;
    this.#boxes = values.map(() => element("input", { type: "checkbox", name: path.join("."), oninput: () => (this.#isSet = true) }));
    const texts = values.map((value, index) => optionText(value, labels[index]));
    this.element = element(
      "div",
      { class: "field-choices" },
      this.#boxes.map((box, index) => element("label", {}, box, texts[index])),
    );
  }

  get value() {
    const values = this.#values.filter((_, index) => this.#boxes[index].checked);
    return values.length || this.#isSet ? values : undefined;
  }

  set value(value) {
    this.#isSet = this.#isRequired || value !== undefined;
    this.#boxes.forEach((box, index) => (box.checked = (value ?? []).includes(this.#values[index])));
  }

  fits(value) {
    if (!Array.isArray(value) || new Set(value).size < value.length) return false;
    return value.every((item) => this.#values.includes(item));
  }

  get focusTarget() {
    return this.#boxes[0] ?? null;
  }

  get problems() {
    return {};
  }

  showErrors(errors) {
    return Object.entries(errors).flatMap(([name, found]) => flatten(name, found));
  }

  clearErrors() {}
}

/** Errors as sentences, each with where it belongs: `choices: 0: text: This field is required.` */
export function flatten(name, found) {
  const isOfAll = name === "" || name === "non_field_errors" || name === "__all__";
  const prefix = isOfAll ? "" : `${name}: `;
  if (typeof found === "string") return [`${prefix}${found}`];
  if (Array.isArray(found) && found.every((item) => !isObject(item))) return found.map((item) => `${prefix}${item}`);
  if (!isObject(found) && !Array.isArray(found)) return [`${prefix}${JSON.stringify(found)}`];
  return Object.entries(found).flatMap(([key, inner]) => flatten(key, inner).map((text) => `${prefix}${text}`));
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isReadOnly(schema, resolve) {
  return Boolean(schema.readOnly ?? (schema.$ref && resolve(schema.$ref).readOnly));
}

export function nested(entries) {
  return Object.fromEntries(entries.filter(([, found]) => found.length));
}
