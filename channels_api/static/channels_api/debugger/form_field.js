// One field of a form, of any kind: its label, its help, what is sent for it, what is wrong with it.

import { element } from "./dom.js";
import { ChoicesEditor, ObjectEditor, flatten, isObject } from "./form_groups.js";
import { CheckEditor, ChoiceEditor, DateTimeEditor, JsonEditor, NothingEditor, NumberEditor, TextEditor } from "./form_inputs.js";
import { ArrayEditor, RecordEditor } from "./form_lists.js";
import { describe, summarise } from "./form_schema.js";

const EDITORS = {
  text: TextEditor,
  number: NumberEditor,
  choice: ChoiceEditor,
  check: CheckEditor,
  json: JsonEditor,
  nothing: NothingEditor,
  object: ObjectEditor,
  array: ArrayEditor,
  record: RecordEditor,
  choices: ChoicesEditor,
};
const GROUPS = new Set(["object", "array", "record", "choices"]);
// Where null is one of the choices, or may be written, it needs no box of its own.
const HAVE_NULL = new Set(["choice", "json"]);
// Inputs that show no placeholder.
const NO_PLACEHOLDER = new Set(["date", "time", "date-time"]);

let count = 0;

/** Makes a field: `{name, schema, required, isItem, path}`, `isItem` in a list; see Form. */
export function makeField(options, resolve, level = 0) {
  return new Field(options, resolve, level);
}

class Field {
  #id = `field-${++count}`;
  #parts;
  #isRequired;
  #editor;
  // For a value that the editor can't show.
  #spare = new JsonEditor();
  #isSpare = false;
  #null = null;

  constructor({ name, schema, required = false, isItem = false, isRoot = false, path = [] }, resolve, level) {
    const described = describe(schema, resolve, { level, required });
    const title = described.schema.title || name;
    const context = {
      resolve,
      makeField: (options) => makeField(options, resolve, level + 1),
      flatten: (inner) => describe(inner, resolve).schema,
    };
    this.#isRequired = required;
    const Editor = described.schema.format === "date-time" && described.kind === "text" ? DateTimeEditor : EDITORS[described.kind];
    this.#editor = new Editor({ ...described, title, context, path, required, isItem });
    if (described.nullable && !HAVE_NULL.has(described.kind)) this.#addNull();
    this.#build({ name, title, described, isItem, isRoot, isGroup: GROUPS.has(described.kind), path, resolve });
    this.element.addEventListener("input", (event) => this.#edited(event));
    this.#update();
  }

  /** What is sent; undefined: nothing. */
  get value() {
    return this.#null?.checked ? null : this.#active.value;
  }

  set value(value) {
    const isNull = value === null && this.#null !== null;
    if (this.#null) this.#null.checked = isNull;
    this.#use(isNull ? undefined : value);
    this.#update();
  }

  set title(title) {
    this.#parts.title.textContent = title;
  }

  get focusTarget() {
    return "focusTarget" in this.#active ? this.#active.focusTarget : this.#active.element;
  }

  /** Why it can't be sent as it stands, in the form that errors have in a reply. */
  get problems() {
    if (this.#null?.checked) return [];
    const own = this.#active.problem ? [this.#active.problem] : [];
    const inner = this.#active.problems ?? {};
    return Object.keys(inner).length ? [...own, inner] : own;
  }

  /** Shows sentences here, and those of fields inside at these. */
  showErrors(errors) {
    this.#say(this.#sort(errors));
  }

  clearErrors() {
    this.#say([]);
    this.#editor.clearErrors?.();
  }

  get #active() {
    return this.#isSpare ? this.#spare : this.#editor;
  }

  #use(value) {
    this.#isSpare = value !== undefined && !this.#editor.fits(value);
    this.#editor.value = this.#isSpare ? undefined : value;
    this.#spare.value = this.#isSpare ? value : undefined;
    if (this.#active.element.parentNode === this.#parts.body) return;
    this.#parts.body.replaceChildren(this.#active.element);
  }

  #addNull() {
    this.#null = element("input", { type: "checkbox", "aria-label": "null" });
  }

  #build({ name, title, described, isItem, isRoot, isGroup, path, resolve }) {
    const id = this.#id;
    const isFieldset = isGroup && !isRoot;
    this.#parts = {
      title: element(isFieldset ? "span" : "label", { class: "field-title", for: isFieldset ? null : id }, title),
      body: element("div", { class: "field-body" }, this.#editor.element),
      note: element("p", { class: "field-note", id: `${id}-note` }),
      error: element("p", { class: "field-error", id: `${id}-error`, role: isRoot ? "alert" : null }),
    };
    const { body, note, error } = this.#parts;
    const help = helpText(described.schema);
    const hint = element("p", { class: "field-help", id: `${id}-help` }, help);
    const about = !isItem && [name !== title && element("code", {}, name), element("span", {}, summarise(described, resolve))];
    const head = element("div", { class: "field-head" }, this.#parts.title, this.#required(described, isItem), about, this.#nullBox(title));
    const tag = isFieldset ? "fieldset" : "div";
    this.element = element(tag, { class: "form-field", dataset: { kind: described.kind, name: path.join(".") } });
    if (isRoot) this.element.append(error, hint, body, note);
    else this.element.append(isFieldset ? element("legend", {}, head) : head, body, hint, note, error);
    if (isFieldset) this.element.tabIndex = -1;
    this.#label({ id, path, title, isRoot, isFieldset });
  }

  // The controls, by their label and by what stands below them.
  #label({ id, path, title, isRoot, isFieldset }) {
    const described = `${id}-help ${id}-note ${id}-error`;
    for (const control of [this.#spare.element, this.#editor.element]) {
      if (!control.matches("input, select, textarea")) continue;
      control.name = path.join(".");
      control.setAttribute("aria-describedby", described);
      if (isFieldset || isRoot) control.setAttribute("aria-label", isRoot ? "data" : `${title}, as JSON`);
      else control.id = id;
      if (this.#isRequired && control.type !== "checkbox") control.setAttribute("aria-required", "true");
    }
    if (isFieldset) this.element.setAttribute("aria-describedby", described);
  }

  #required({ kind }, isItem) {
    const isSaid = this.#isRequired && !isItem && kind !== "check" && kind !== "nothing";
    return isSaid && element("span", { class: "field-required" }, "required");
  }

  #nullBox(title) {
    if (!this.#null) return null;
    this.#null.setAttribute("aria-label", `${title} is null`);
    return element("label", { class: "field-null" }, this.#null, "null");
  }

  #edited(event) {
    if (event.target.closest(".form-field") === this.element) this.#say([]);
    this.#update();
  }

  #update() {
    const { body, note } = this.#parts;
    this.#mark();
    body.hidden = Boolean(this.#null?.checked);
    note.replaceChildren();
    if (body.hidden) return;
    note.append(this.#active.problem || this.#active.note || "");
    note.classList.toggle("is-problem", Boolean(this.#active.problem));
    if (this.#isSpare) note.append(" ", this.#button("This does not fit the field. Use the field instead", undefined));
    if (this.#isEmpty) note.append(` Sent as ${JSON.stringify(this.value)}. `, this.#button("Leave it out", undefined));
  }

  // Something is sent though there is nothing to be seen.
  get #isEmpty() {
    const value = this.value;
    if (this.#isRequired || this.#isSpare) return false;
    return value === "" || (typeof value === "object" && value !== null && !Object.keys(value).length);
  }

  #button(text, value) {
    const use = () => {
      this.value = value;
      this.element.dispatchEvent(new Event("input", { bubbles: true }));
      this.focusTarget?.focus();
    };
    return element("button", { type: "button", class: "field-link", onclick: use }, text);
  }

  // The sentences that are of this field itself; the others go further in.
  #sort(errors) {
    const all = [errors].flat();
    const sentences = all.filter((error) => !isObject(error)).map(String);
    const objects = all.filter(isObject);
    if (!objects.length) return sentences;
    if (this.#isSpare || !this.#editor.showErrors) return [...sentences, ...objects.flatMap((error) => flatten("", error))];
    // A list of as many objects as the list has items: what is wrong with each.
    const isByItem = this.#editor instanceof ArrayEditor && objects.length === all.length && Array.isArray(errors);
    const inner = isByItem ? { ...objects } : joined(objects);
    return [...sentences, ...this.#editor.showErrors(inner)];
  }

  #say(sentences) {
    this.#parts.error.textContent = sentences.join(" ");
    this.#mark();
  }

  #mark() {
    const isInvalid = Boolean(this.#parts.error.textContent || (!this.#null?.checked && this.#active.problem));
    this.element.classList.toggle("is-invalid", isInvalid);
    const controls = this.#null ? [this.#active.element, this.#null] : [this.#active.element];
    for (const control of controls.filter((each) => each.matches("input, select, textarea"))) {
      if (isInvalid) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    }
  }
}

// What is said of the same field in several objects is said together.
function joined(objects) {
  const names = new Set(objects.flatMap(Object.keys));
  const found = (name) => objects.filter((object) => Object.hasOwn(object, name)).map((object) => object[name]);
  return Object.fromEntries([...names].map((name) => [name, found(name).length > 1 ? found(name).flat() : found(name)[0]]));
}

function helpText(schema) {
  const description = schema.description ?? "";
  const isSeen = !NO_PLACEHOLDER.has(schema.format) && typeof schema.default !== "object";
  if ([undefined, null, ""].includes(schema.default) || isSeen) return description;
  const value = typeof schema.default === "string" ? schema.default : JSON.stringify(schema.default);
  return `${description} Default: ${value}`.trim();
}
