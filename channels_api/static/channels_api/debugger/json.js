// JSON as a person reads it: indented, its parts in colours. Text all the way down.

import { element } from "./dom.js";

// More than this is shown plain: each coloured part is an element.
const LONGEST_COLOURED = 100_000;
const PARTS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export function indented(value) {
  return JSON.stringify(value, null, 2);
}

// A <pre> that can be scrolled by keyboard.
export function prettyJson(value, label) {
  const text = typeof value === "string" ? pretty(value) : indented(value);
  const parts = text.length > LONGEST_COLOURED ? [text] : coloured(text);
  return element("pre", { class: "json", tabindex: "0", role: "region", "aria-label": label }, ...parts);
}

function pretty(text) {
  try {
    return indented(JSON.parse(text));
  } catch {
    return text;
  }
}

function coloured(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(PARTS)) {
    parts.push(text.slice(end, match.index), part(match));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

function part([found, quoted, colon]) {
  if (quoted === undefined) return element("span", { class: "literal", text: found });
  if (colon === undefined) return element("span", { class: "string", text: quoted });
  return element("span", {}, element("span", { class: "key", text: quoted }), colon);
}
