// JSON values as source code.

const WIDTH = 80;

export function javascript(value) {
  return JSON.stringify(value, null, 2).replace(/^(\s*)"([A-Za-z_]\w*)":/gm, "$1$2:");
}

// Text that stands for itself in Python, such as a name.
export class Source {
  constructor(text) {
    this.text = text;
  }
}

export function python(value, depth = 0) {
  const short = flat(value);
  if (short.length + 4 * depth <= WIDTH) return short;
  const [open, parts, close] = split(value, (part) => python(part, depth + 1));
  if (!parts.length) return short;
  const inner = "    ".repeat(depth + 1);
  return `${open}\n${parts.map((part) => `${inner}${part},\n`).join("")}${"    ".repeat(depth)}${close}`;
}

function flat(value) {
  const [open, parts, close] = split(value, flat);
  return `${open}${parts.join(", ")}${close}`;
}

// What stands around the parts of a value, and the parts; a plain value has none.
function split(value, show) {
  if (value instanceof Source) return [value.text, [], ""];
  if (Array.isArray(value)) return ["[", value.map(show), "]"];
  if (value === null) return ["None", [], ""];
  if (typeof value === "boolean") return [value ? "True" : "False", [], ""];
  // What JSON writes for numbers and strings means the same in Python.
  if (typeof value !== "object") return [JSON.stringify(value), [], ""];
  return ["{", Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}: ${show(part)}`), "}"];
}
