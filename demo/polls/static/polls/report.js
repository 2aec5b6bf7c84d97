// The report: a task that takes seconds, its progress, its end, and how to cancel it.

const $ = (id) => document.getElementById(id);

export class Report {
  #connection;
  #task = null;

  constructor(connection) {
    this.#connection = connection;
    $("report-start").addEventListener("click", () => this.#follow("questions", "report"));
    $("report-cancel").addEventListener("click", () => this.#cancel());
  }

  // A new connection: what was under way goes on, and so do we.
  resume() {
    if (this.#task) this.#follow("tasks", "subscribe", { pk: this.#task });
  }

  async #follow(stream, action, fields = {}) {
    this.#show("Waiting for a worker", 0);
    try {
      const done = await this.#connection.task(stream, action, fields, (data) => this.#progress(data));
      this.#end(sentence(done.result));
    } catch (error) {
      if (error.status === 0 && this.#task) {
        this.#show("Not connected: the report goes on without us");
      } else {
        this.#end(error.status === 410 ? "Cancelled." : error.message);
      }
    }
  }

  #progress({ id, state, meta }) {
    this.#task = id;
    if (state === "PROGRESS") this.#show(`Counting, ${meta.current} of ${meta.total}`, meta.current / meta.total);
  }

  async #cancel() {
    if (!this.#task) return;
    try {
      await this.#connection.request("tasks", "delete", { pk: this.#task });
    } catch (error) {
      // 410 is how a task says that it is gone, and 400 that it has been faster.
      if (![410, 400].includes(error.status)) this.#show(error.message);
    }
  }

  #show(text, share) {
    $("report-text").textContent = text;
    if (share !== undefined) $("report-progress").value = share;
    this.#run(true);
  }

  #end(text) {
    this.#task = null;
    $("report-text").textContent = text;
    this.#run(false);
  }

  #run(running) {
    $("report-start").disabled = running;
    $("report-cancel").hidden = !running;
    $("report-progress").hidden = !running;
  }
}

function sentence({ questions, votes, leaders }) {
  const ahead = leaders.map(({ question, choice, votes }) => `“${choice}” leads “${question}” with ${votes}`);
  return `${questions} polls, ${votes} votes. ${ahead.join("; ")}.`;
}
