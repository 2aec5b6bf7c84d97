// "Copy as": the code goes to the clipboard, and is shown.

import { SNIPPETS } from "./snippets.js";

const $ = (id) => document.getElementById(id);

export async function showSnippet(kind, call) {
  const { make, title, note } = SNIPPETS[kind];
  const text = make(call);
  $("snippet-text").value = text;
  $("snippet-note").textContent = note;
  $("snippet-title").textContent = `As ${title}`;
  $("snippet").showModal();
  $("snippet-text").scrollTop = 0;
  if (await copied(text)) $("snippet-title").textContent = `Copied as ${title}`;
  else $("snippet-text").select();
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // refused, or not there: a page that came over http from another machine
  }
}
