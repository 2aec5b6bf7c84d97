// Sockets whose address has parameters, such as /ws/{room}/: they are asked for before it is opened.

import { element } from "./dom.js";
import { keepDraft, readDraft } from "./drafts.js";

const PARAMETER = /\{(\w+)\}/g;

// The address with what was given for its parameters; null where that is missing.
export function addressOf(socket) {
  const given = readDraft(placeOf(socket)) ?? {};
  if (namesIn(socket).some((name) => !given[name])) return null;
  return socket.address.replace(PARAMETER, (_, name) => encodeURIComponent(given[name]));
}

// A form for the parameters; null for an address without any.
export function parameterForm(socket, onGiven) {
  const names = namesIn(socket);
  if (!names.length) return null;
  const given = readDraft(placeOf(socket)) ?? {};
  const fields = names.map((name) =>
    element("label", { class: "field" }, name, element("input", { name, value: given[name] ?? "", required: true, autocomplete: "off" })),
  );
  const submit = (event) => {
    event.preventDefault();
    keepDraft(placeOf(socket), Object.fromEntries(new FormData(event.target)));
    onGiven();
  };
  return element("form", { class: "parameters", "aria-label": `Parameters of ${socket.address}`, onsubmit: submit }, ...fields, element("button", { text: "Connect" }));
}

function namesIn(socket) {
  return [...socket.address.matchAll(PARAMETER)].map(([, name]) => name);
}

// Where drafts are kept by the fragment of an action.
function placeOf(socket) {
  return { fragment: socket.address };
}
