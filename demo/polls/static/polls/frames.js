// The drawer of frames: what the socket said and heard, the newest first.

import { element } from "./dom.js";

const FRAMES_KEPT = 100;
// A snapshot may hold a thousand rows: nobody reads them here, and the page should stay quick.
const CHARACTERS_SHOWN = 2000;

export function showFrames(api, list) {
  api.onFrame((direction, text) => {
    const rest = text.length > CHARACTERS_SHOWN ? "…" : "";
    list.prepend(element("li", direction, text.slice(0, CHARACTERS_SHOWN) + rest));
    if (list.children.length > FRAMES_KEPT) list.lastElementChild.remove();
  });
}
