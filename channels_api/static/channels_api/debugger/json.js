// JSON as a person reads it: indented, its parts in colours. Text all the way down.

import { element } from "./dom.js";

// More than this is shown plain: each coloured part is an element.
const LONGEST_COLOURED = 100_000;
const PARTS = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;
const OPENERS = new Set(["{", "["]);
const CLOSERS = new Set(["}", "]"]);

export function indented(value) {
  return JSON.stringify(value, null, 2);
}

// A <pre> that can be scrolled by keyboard.
export function prettyJson(value, label) {
  return show(indented(value), label);
}

// The same of JSON as it came: `JSON.parse` would make 9007199254740992 of ...993, and 1 of 1.0.
export function prettyText(text, label) {
  return show(isJson(text) ? laidOut(text) : text, label);
}

// The members of an object in JSON, each as the text that it is, by their names.
export function members(text) {
  const found = new Map();
  let depth = 0;
  let name, begin, before;
  for (const { 0: token, index } of text.matchAll(TOKENS)) {
    if (CLOSERS.has(token)) depth -= 1;
    if (depth === 1 && token === ":") [name, begin] = [JSON.parse(before), index + 1];
    const ends = depth === 0 || (depth === 1 && token === ",");
    if (ends && name !== undefined) found.set(name, text.slice(begin, index).trim());
    if (OPENERS.has(token)) depth += 1;
    before = token;
  }
  return found;
}

function show(text, label) {
  const parts = text.length > LONGEST_COLOURED ? [text] : coloured(text);
  return element("pre", { class: "json", tabindex: "0", role: "region", "aria-label": label }, ...parts);
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false; // what is no frame is shown all the same
  }
}

function laidOut(text) {
  let result = "";
  let depth = 0;
  let before;
  for (const [token] of text.matchAll(TOKENS)) {
    if (CLOSERS.has(token)) depth -= 1;
    const isEmpty = OPENERS.has(before) && CLOSERS.has(token);
    const isNext = OPENERS.has(before) || CLOSERS.has(token) || before === ",";
    if (isNext && !isEmpty) result += `\n${"  ".repeat(depth)}`;
    if (OPENERS.has(token)) depth += 1;
    result += token === ":" ? ": " : readable(token);
    before = token;
  }
  return result;
}

// Text as it reads, without what need not be escaped.
function readable(token) {
  return token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : token;
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
