// A reply: its status, how long it took, its errors, its data.

import { element } from "./dom.js";
import { members, prettyText } from "./json.js";

const NAMES = {
  200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 400: "Bad Request", 401: "Unauthorized",
  403: "Forbidden", 404: "Not Found", 410: "Gone", 413: "Too Large", 429: "Too Many Requests",
  500: "Internal Server Error", 501: "Not Implemented", 503: "Unavailable", 504: "Timeout",
};

// "ok", "busy" for a task that is under way, "bad", or "none" where no reply came.
export function kindOf(status) {
  if (!status) return "none";
  if (status >= 400) return "bad";
  return status === 202 ? "busy" : "ok";
}

export function statusBadge(status) {
  return element("span", { class: `status ${kindOf(status)}`, text: String(status || "–") });
}

export function showReply({ reply, text, milliseconds }) {
  const status = reply.response_status;
  const name = status ? (NAMES[status] ?? "") : "No reply";
  return [
    element(
      "p",
      { id: "reply-status", class: "reply-head", role: "status", dataset: { status: String(status) } },
      statusBadge(status),
      element("b", { text: name }),
      element("span", { id: "reply-time", class: "faint", text: `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms` }),
    ),
    ...(reply.errors.length ? [errorList(reply.errors)] : []),
    ...(status ? [prettyText(members(text).get("payload"), "The reply's payload")] : []),
  ];
}

function errorList(errors) {
  return element("ul", { id: "reply-errors", class: "errors" }, ...errors.flatMap(lines).map((text) => element("li", { text })));
}

function lines(error) {
  if (error === null || typeof error !== "object") return [String(error)];
  return Object.entries(error).map(([field, found]) => {
    const text = [found].flat().map((each) => (typeof each === "string" ? each : JSON.stringify(each))).join(" ");
    return field === "non_field_errors" ? text : `${field}: ${text}`;
  });
}
