// Rows that replies have shown, for a test that needs one which its own reply does not show.

import { rowsIn } from "./snippet_test.js";

const MOST = 1000;

export class Seen {
  #streams = new Map();

  add(stream, data) {
    const rows = this.rowsOf(stream);
    for (const row of rowsIn(data, stream.key)) rows.set(row[stream.key], row);
    if (rows.size > MOST) rows.clear();
  }

  // By their keys.
  rowsOf(stream) {
    if (!this.#streams.has(stream)) this.#streams.set(stream, new Map());
    return this.#streams.get(stream);
  }
}
