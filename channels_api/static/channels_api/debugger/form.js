// A form of any JSON Schema (draft-07): what an action takes as `data`.

import { element } from "./dom.js";
import { makeField } from "./form_field.js";

/**
 * `schema`: null for no data, {} for anything; `resolve(ref)` gives what a "$ref" points to.
 * Give the <form> around it `novalidate`: here the server is asked, also with what it will refuse.
 */
export class Form {
  element = element("div", { class: "data-form" });
  onInput = () => {};
  #root;

  constructor(schema, { resolve }) {
    this.#root = makeField({ name: "data", schema, required: true, isRoot: true }, resolve);
    this.element.append(this.#root.element);
    this.element.addEventListener("input", () => this.onInput());
  }

  /** What is sent as `data`; undefined: nothing. */
  get value() {
    return this.#root.value;
  }

  set value(value) {
    this.#root.value = value;
  }

  /** What can't be sent as it was typed, such as half of a date, in the form of a reply's errors. */
  get problems() {
    return this.#root.problems;
  }

  /** Shows a reply's `errors`: each at its field, the others on top. The first field gets the focus. */
  showErrors(errors) {
    this.clearErrors();
    this.#root.showErrors(errors);
    this.focusInvalid();
  }

  /** Gives the focus to the first field with a fault, if there is one. */
  focusInvalid() {
    const first = this.element.querySelector(".form-field .form-field.is-invalid");
    const control = first?.querySelector("[aria-invalid]:not([hidden] *)") ?? first;
    control?.focus();
  }

  clearErrors() {
    this.#root.clearErrors();
  }
}
