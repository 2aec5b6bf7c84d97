// The rows of one stream as this page knows them: listed once, then kept up to date by events.

export class Replica {
  rows = new Map();
  #loading = false;
  #listed = new Set();
  #heard = new Set();
  #shifted = false;

  // To be called before the subscription is asked for; the list is asked for after it. So no change
  // falls between the two, but an event may overtake a list that was read before it.
  begin() {
    this.#loading = true;
    this.#listed.clear();
    this.#heard.clear();
  }

  beginPages() {
    this.#shifted = false;
  }

  list(rows) {
    for (const row of rows) {
      this.#listed.add(row.id);
      // What an event told since begin() is at least as new as the list, a deletion too.
      if (!this.#heard.has(row.id)) this.rows.set(row.id, row);
    }
  }

  // Whether rows may have moved to a page that was fetched before: then fetch all again.
  get shifted() {
    return this.#shifted;
  }

  finish() {
    for (const pk of this.rows.keys()) {
      // Deleted while the page was not connected.
      if (!this.#listed.has(pk) && !this.#heard.has(pk)) this.rows.delete(pk);
    }
    this.#loading = false;
  }

  apply({ action, pk, data }) {
    if (this.#loading) {
      this.#heard.add(pk);
      if (action !== "create") this.#shifted = true;
    }
    if (action === "delete") {
      this.rows.delete(pk);
    } else {
      this.rows.set(pk, data);
    }
  }
}
