// A dialog around a form, which stays open until what it asks for is done. The browser's own
// `confirm` would stop the whole page, and with it the answers to the server's pings.

import { RequestError } from "../channels_api/client.js";

// Messages of no field.
const GENERAL = "non_field_errors";

// What is wrong with a form, as seen here: sentences by the names of its fields.
export class FieldErrors extends Error {
  constructor(fields) {
    super("The form can't be sent as it is.");
    this.fields = fields;
  }
}

export class FormDialog {
  #dialog;
  #form;
  #save;

  constructor(dialog) {
    this.#dialog = dialog;
    this.#form = dialog.querySelector("form");
    this.#form.addEventListener("submit", (event) => this.#submit(event));
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  }

  // `save` is given the values by name. The errors that it throws are shown, each at its field.
  open(values, save) {
    this.#save = save;
    this.#form.reset();
    this.#showErrors({});
    for (const [name, value] of Object.entries(values)) this.#form.elements[name].value = value;
    this.#dialog.showModal();
  }

  async #submit(event) {
    event.preventDefault();
    const submit = this.#form.querySelector("button:not([type])");
    submit.disabled = true; // a second click would do it twice
    const save = this.#save;
    try {
      await save(Object.fromEntries(new FormData(this.#form)));
      if (this.#save === save) this.#dialog.close();
    } catch (error) {
      if (!(error instanceof RequestError || error instanceof FieldErrors)) throw error;
      if (this.#save === save) this.#showErrors(fieldsOf(error));
    } finally {
      submit.disabled = false;
    }
  }

  #showErrors(fields) {
    const inputs = [...this.#form.elements].filter((input) => input.name);
    for (const input of inputs) {
      const sentences = fields[input.name] ?? [];
      input.ariaInvalid = sentences.length ? "true" : null;
      document.getElementById(`${input.id}-error`).textContent = sentences.join(" ");
    }
    const names = new Set(inputs.map((input) => input.name));
    const others = Object.keys(fields).filter((name) => !names.has(name));
    this.#form.querySelector(".error").textContent = others.flatMap((name) => fields[name]).join(" ");
    inputs.find((input) => input.ariaInvalid)?.focus();
  }
}

function fieldsOf(error) {
  if (error.status === 404) return { [GENERAL]: ["Somebody has deleted this poll in the meantime."] };
  return Object.keys(error.fields).length ? error.fields : { [GENERAL]: [error.message] };
}
