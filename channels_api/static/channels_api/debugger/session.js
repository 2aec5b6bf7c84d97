// One socket of the project: its connection, its subscriptions, its tasks.

import { connect } from "../client.js";
import { LivePanel } from "./live.js";
import { TaskPanel } from "./task.js";

export class Session {
  #heard = "";

  // `url` is that of the socket: a path of this site.
  constructor(socket, url, { onLive, onTask }) {
    this.socket = socket;
    this.onTask = onTask;
    this.onLive = onLive;
    this.api = connect(url, socket.tasks ? { tasks: socket.tasks } : {});
    this.api.onFrame((direction, text) => direction === "in" && (this.#heard = text));
    const streams = Object.fromEntries(socket.streams.map((stream) => [stream.name, stream]));
    this.live = new LivePanel(this.api, streams);
    this.tasks = new TaskPanel();
  }

  // Sends a request: { reply, text, milliseconds }. Where no reply comes, the status is 0. `text` is
  // the reply as it came: it is the frame heard last, as whoever waits for a reply goes on at once.
  async send({ stream, action, pk, data }) {
    const begun = performance.now();
    const reply = await this.#ask(stream, action, { pk, data });
    const text = this.#heard;
    const milliseconds = performance.now() - begun;
    if (reply.response_status === 202 && reply.data?.id && stream !== this.socket.tasks) {
      this.#followTask(reply.data.id, `${stream} / ${action}`);
    }
    return { reply, text, milliseconds };
  }

  // Shows what goes on, from now on: rows in a table, or a task's states.
  follow({ stream, pk, data }) {
    if (stream === this.socket.tasks) {
      this.#followTask(pk, "task");
    } else {
      this.live.subscribe(stream, { pk, filter: data?.filter });
      this.onLive();
    }
  }

  close() {
    this.api.close();
    this.live.element.remove();
    this.tasks.element.remove();
  }

  async #ask(stream, action, fields) {
    try {
      return await this.api.stream(stream).request(action, fields);
    } catch (error) {
      return { action, errors: [error.message], data: null, response_status: 0 };
    }
  }

  #followTask(id, title) {
    // Without a stream of tasks there is no other way to it than the frames in the log.
    if (!this.socket.tasks) return;
    this.tasks.follow(this.api.task(id), title);
    this.onTask();
  }
}
