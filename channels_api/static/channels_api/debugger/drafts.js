// What was typed for each action, kept for as long as the tab is: a reload loses it only where it has
// a password.

const PREFIX = `channels-api:${location.pathname}:`;

// { pk, text } as it was typed, also where it is no valid JSON; null for nothing.
export function readDraft(action) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + action.fragment));
  } catch {
    return null; // storage may be refused, by the browser's settings
  }
}

export function keepDraft(action, draft) {
  try {
    sessionStorage.setItem(PREFIX + action.fragment, JSON.stringify(draft));
  } catch {
    // Full, or refused: the page works without.
  }
}

export function dropDraft(action) {
  try {
    sessionStorage.removeItem(PREFIX + action.fragment);
  } catch {
    // As above.
  }
}

// Whether the data of an action has a password, somewhere inside: it is typed anew, and not stored.
export function hasPassword(schema, resolve, seen = new Set()) {
  if (schema === null || typeof schema !== "object" || seen.has(schema)) return false;
  seen.add(schema); // a schema may contain itself
  if (schema.format === "password") return true;
  const parts = schema.$ref ? [resolve(schema.$ref)] : Object.values(schema);
  return parts.some((part) => hasPassword(part, resolve, seen));
}
