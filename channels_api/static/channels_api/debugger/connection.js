// What the connection is at, in words.

const WORDS = { connecting: "Connecting…", open: "Open", waiting: "Lost; waiting to try again", closed: "Closed" };

const REASONS = {
  1000: "normally",
  1001: "the server goes away",
  1006: "no word of farewell, or refused",
  1012: "the server restarts",
  4400: "too many frames that are no requests",
  4401: "not, or no longer, logged in",
  4403: "forbidden origin",
  4408: "this page was silent for too long",
  4409: "this page was too slow",
  4413: "frames that were too large",
  4429: "a flood of frames",
  4503: "the server is overloaded",
};

export function describeState(state, code) {
  if (state === "open" || state === "connecting" || code === null) return WORDS[state];
  const reason = REASONS[code] ? `${code}: ${REASONS[code]}` : code;
  return `${WORDS[state]} (${reason})${state === "closed" ? ". Reload the page to try again" : ""}`;
}
