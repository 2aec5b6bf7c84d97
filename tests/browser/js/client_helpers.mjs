// What the tests of the client share: a proxy that cuts connections, a socket without a network, and
// patience.

import { once } from "node:events";
import net from "node:net";
import { test as plainTest } from "node:test";

import { WebSocket } from "ws";

import { connect } from "../../../channels_api/static/channels_api/client.js";

export const SERVER = process.env.CLIENT_SERVER;
const PATIENCE = 20_000;

// Without a limit, a promise that is never settled holds up all tests, and none is named.
export function test(name, body) {
  plainTest(name, { timeout: 60_000 }, body);
}

// A browser says by itself where a page comes from.
export class OriginSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { origin: `http://${new URL(url).host}` });
  }
}

// Returns what the condition gives, as soon as that is true.
export async function until(condition, what = condition) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`It did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

// Connects for the time of a test; comes back soon after a cut.
export function open(t, url = SERVER, options = {}) {
  const client = connect(url, { WebSocket: OriginSocket, minPause: 20, maxPause: 100, ...options });
  t.after(() => client.close());
  return client;
}

export function isOpen(client) {
  return until(() => client.state === "open", "the client is open");
}

// Frames of one direction, parsed, as they come.
export function record(client, direction) {
  const frames = [];
  client.onFrame((way, text) => way === direction && frames.push(JSON.parse(text)));
  return frames;
}

// A link between a client and the server that can be cut, held down, and made to stand still.
export class Link {
  accepted = 0;
  isDown = false;
  #pairs = new Set();

  static async open(t) {
    const link = new Link();
    link.server = net.createServer({ pauseOnConnect: true }, (near) => link.#join(near));
    link.server.listen(0, "127.0.0.1");
    await once(link.server, "listening");
    link.url = `ws://127.0.0.1:${link.server.address().port}${new URL(SERVER).pathname}`;
    t.after(() => {
      link.cut();
      link.server.close();
    });
    return link;
  }

  cut() {
    for (const pair of this.#pairs) pair.forEach((socket) => socket.destroy());
  }

  down() {
    this.isDown = true;
    this.cut();
  }

  up() {
    this.isDown = false;
  }

  // Nothing passes, and nobody is told: as behind a router that has forgotten the connection.
  stall() {
    for (const pair of this.#pairs) {
      for (const socket of pair) {
        socket.removeAllListeners("data");
        socket.pause();
      }
    }
  }

  #join(near) {
    if (this.isDown) {
      near.destroy();
      return;
    }
    this.accepted += 1;
    const far = net.connect(new URL(SERVER).port, "127.0.0.1");
    const pair = [near, far];
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      pair.forEach((socket) => socket.destroy());
    };
    for (const [from, to] of [pair, [far, near]]) {
      from.on("data", (data) => to.write(data));
      from.on("error", end);
      from.on("close", end);
      from.resume();
    }
  }
}

// A WebSocket class without a network: the test is the server.
export function fakeSockets() {
  return class FakeSocket {
    static made = [];
    sent = [];

    constructor(url, protocols) {
      Object.assign(this, { url, protocols });
      FakeSocket.made.push(this);
    }

    static get last() {
      return FakeSocket.made.at(-1);
    }

    send(text) {
      this.sent.push(JSON.parse(text));
    }

    close() {
      this.isClosed = true;
    }

    // What a server does.

    accept() {
      this.onopen();
    }

    say(frame) {
      this.onmessage({ data: JSON.stringify(frame) });
    }

    shut(code) {
      this.onclose({ code });
    }

    // Answers a frame that was sent, with more than a status where the test has more to say.
    answer({ stream, payload }, status, data = null, errors = []) {
      const { action, request_id } = payload;
      this.say({ stream, payload: { action, errors, data, response_status: status, request_id } });
    }

    get payloads() {
      return this.sent.filter((frame) => frame.payload).map(({ payload }) => payload);
    }
  };
}

// Promises that were settled have told so.
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}
