// One WebSocket for all streams: requests are promises, events go to a callback, and a connection
// that was lost is made again.

// The server closed for a reason that another try would not change.
const REFUSALS = new Set([4400, 4401, 4403, 4413]);
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15000;

// A reply that says no, or no reply at all (status 0).
export class RequestError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// `handlers` has four functions:
//   state(name, code)      "connecting", "open", "waiting" (to try again) or "refused" (for good)
//   open()                 a new connection: nothing is subscribed yet
//   event(stream, payload) something that a subscription told
//   frame(direction, text) every frame as it is, "out" or "in"
export class Connection {
  #url;
  #handlers;
  #socket = null;
  #pending = new Map();
  #lastId = 0;
  #failures = 0;

  constructor(url, handlers) {
    this.#url = url;
    this.#handlers = handlers;
    this.#connect();
  }

  // The reply's data. Rejects with a RequestError if the reply is an error or can't come any more.
  request(stream, action, fields = {}) {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      return Promise.reject(new RequestError("Not connected: nothing was sent."));
    }
    const request_id = ++this.#lastId;
    const text = JSON.stringify({ stream, payload: { action, request_id, ...fields } });
    return new Promise((resolve, reject) => {
      this.#pending.set(request_id, { resolve, reject });
      this.#socket.send(text);
      this.#handlers.frame("out", text);
    });
  }

  // Starts a task, or subscribes to one: `onState` is given the data of each reply that says that it
  // is under way, and the promise is that of the last one.
  task(stream, action, fields, onState) {
    const done = this.request(stream, action, fields);
    const pending = this.#pending.get(this.#lastId);
    if (pending) pending.onState = onState;
    return done;
  }

  #connect() {
    this.#handlers.state("connecting");
    this.#socket = new WebSocket(this.#url);
    this.#socket.onopen = () => {
      this.#handlers.state("open");
      this.#handlers.open();
    };
    this.#socket.onmessage = (message) => this.#received(message.data);
    this.#socket.onclose = (close) => this.#closed(close.code);
  }

  #received(text) {
    this.#handlers.frame("in", text);
    const { stream, payload } = JSON.parse(text);
    if ("response_status" in payload) {
      this.#replied(payload);
    } else {
      this.#handlers.event(stream, payload);
    }
  }

  #replied({ request_id, response_status, errors, data }) {
    const request = this.#pending.get(request_id);
    if (response_status === 202 && request?.onState) {
      request.onState(data);
      return;
    }
    this.#pending.delete(request_id);
    if (response_status < 400) {
      // Not when the socket opens: a server that lets us in only to close would be asked nonstop.
      this.#failures = 0;
      request?.resolve(data);
    } else {
      request?.reject(new RequestError(errors.flatMap(sentences).join(" "), response_status));
    }
  }

  #closed(code) {
    for (const { reject } of this.#pending.values()) {
      reject(new RequestError("The connection was lost before the answer came."));
    }
    this.#pending.clear();
    if (REFUSALS.has(code)) {
      this.#handlers.state("refused", code);
      return;
    }
    this.#handlers.state("waiting", code);
    // Any time within the pause, so that pages that a restart cut off don't all come back at once.
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#failures++, LONGEST_PAUSE);
    setTimeout(() => this.#connect(), Math.random() * pause);
  }
}

// The errors of a reply are sentences or, of validation, objects such as {"field": ["sentence"]}.
function sentences(error) {
  if (error === null || typeof error !== "object") return [String(error)];
  return Object.entries(error).flatMap(([field, messages]) =>
    [messages].flat().map((message) => {
      const text = typeof message === "string" ? message : JSON.stringify(message);
      return field === "non_field_errors" ? text : `${field}: ${text}`;
    }),
  );
}
