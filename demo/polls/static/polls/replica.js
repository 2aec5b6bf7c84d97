// The rows of one stream as this page knows them: a snapshot, then kept up to date by events. After
// a lost connection it goes on where it was, for as long as the server can tell what it missed.

export class Replica {
  rows = new Map();
  loaded = false;
  #position = null;

  // The data of the subscribe that begins it, or goes on with it.
  get wish() {
    if (!this.#position) return { action: "*", snapshot: true };
    return { action: "*", since: this.#position, have: [...this.rows.keys()] };
  }

  // The data of the reply to it: the events that it missed follow, or all rows stand in it.
  begin({ recovered, snapshot, epoch, seq }) {
    if (!recovered) this.#replace(snapshot);
    this.#position = { epoch, seq };
    this.loaded = true;
  }

  apply({ action, pk, data, snapshot, epoch, seq }) {
    if (action === "reset") {
      this.#replace(snapshot ?? []);
    } else if (action === "delete") {
      this.rows.delete(pk);
    } else {
      this.rows.set(pk, data);
    }
    this.#position = { epoch, seq };
  }

  #replace(rows) {
    this.rows = new Map(rows.map((row) => [row.id, row]));
  }
}
