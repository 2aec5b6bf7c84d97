// The data of an action: a form and raw JSON, side by side, which edit the same.

import { element } from "./dom.js";
import { Form } from "./form.js";
import { readJson } from "./form_inputs.js";
import { indented } from "./json.js";

export class Editor {
  #schema;
  #form;
  #text;
  #fault;
  #formBox;
  // Where both agree; undefined for no data at all.
  #data;

  constructor(schema, { resolve }) {
    this.#schema = (schema?.$ref ? resolve(schema.$ref) : schema) ?? {};
    this.onInput = () => {};
    this.#fault = element("p", { id: "json-fault", class: "fault", role: "alert", hidden: true });
    this.#text = element("textarea", {
      id: "json", spellcheck: "false", autocomplete: "off", autocapitalize: "off",
      "aria-describedby": "json-fault", rows: "8",
      oninput: () => this.#typed(),
    });
    this.element = element("div", { class: "editor" });
    // A schema of anything has no field to show.
    if (Object.keys(this.#properties).length > 0) this.#addForm(resolve);
    this.element.append(
      element("div", { class: "raw" }, element("label", { for: "json", text: "data, as JSON" }), this.#text, this.#fault),
    );
    this.reset();
  }

  // What was typed, as it is.
  get text() {
    return this.#text.value;
  }

  set text(text) {
    this.#text.value = text;
    this.#read();
    this.#grow();
  }

  // Whether all that was typed can be sent: half of a date, say, would be left out.
  get valid() {
    return this.#fault.hidden && !this.#form?.problems.length;
  }

  get data() {
    return this.#data;
  }

  reset() {
    this.text = this.#form ? indented(this.#form.value ?? {}) : "";
  }

  showErrors(errors) {
    this.#form?.showErrors(errors);
  }

  clearErrors() {
    this.#form?.clearErrors();
  }

  // Gives the focus to what can't be sent.
  focus() {
    if (this.#fault.hidden) this.#form.focusInvalid();
    else this.#text.focus();
  }

  get #properties() {
    return this.#schema.properties ?? {};
  }

  #addForm(resolve) {
    this.#form = new Form(this.#schema, { resolve });
    this.#form.onInput = () => this.#filled();
    const waits = element("p", { class: "waits faint", text: "The form waits until the JSON is valid." });
    this.#formBox = element("div", { class: "form-box" }, this.#form.element);
    this.element.append(element("div", { class: "form", role: "group", "aria-label": "data, as a form" }, this.#formBox, waits));
  }

  #typed() {
    this.#read();
    this.#grow();
    this.onInput();
  }

  // What the JSON says goes into the form; what is no JSON changes nothing there.
  #read() {
    const text = this.#text.value;
    const { value, problem } = text.trim() ? readJson(text) : {};
    this.#showFault(problem);
    if (problem) return;
    this.#data = value;
    if (this.#form) this.#form.value = value ?? {};
  }

  // Keys that the form has no field for stay as they are.
  #filled() {
    const known = this.#form.value;
    const others = isObject(this.#data) && isObject(known) ? this.#unknown(this.#data) : {};
    this.#data = isObject(known) ? { ...known, ...others } : known;
    this.#text.value = this.#data === undefined ? "" : indented(this.#data);
    this.#grow();
    this.onInput();
  }

  #unknown(data) {
    return Object.fromEntries(Object.entries(data).filter(([key]) => !Object.hasOwn(this.#properties, key)));
  }

  #showFault(fault) {
    this.#fault.hidden = !fault;
    this.#fault.textContent = fault ?? "";
    this.#text.setAttribute("aria-invalid", String(Boolean(fault)));
    // Else a change in the form would overwrite text that can't be read yet.
    if (this.#formBox) this.#formBox.inert = Boolean(fault);
  }

  #grow() {
    const lines = this.#text.value.split("\n").length;
    this.#text.rows = Math.max(5, Math.min(lines + 1, 24));
  }
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
