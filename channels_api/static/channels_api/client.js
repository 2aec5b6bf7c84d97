// The client of channels_api: REST, subscriptions and tasks over one WebSocket. One ES module, for
// browsers and for Node; client.d.ts says what there is, and what it promises.

const SUBPROTOCOL = "channels-api.v1";
// The server closed for a reason that another try would not change.
const REFUSALS = new Set([4400, 4401, 4403, 4413]);
// Replies that another try may change.
const TEMPORARY = new Set([429, 503, 504]);
// What changes nothing may be sent twice, when it is not known whether it arrived.
const READS = new Set(["retrieve", "list"]);
// A subscription that comes back names the rows that it holds. With more of them, or more bytes in
// all, the server would refuse that; where no rows are hidden it can do without.
const MOST_HELD = 1000;
const MOST_BYTES = 65_536 - 1024; // of which some are around the data
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
// Tries of a subscription that has never begun, where something stands against it that may pass.
const MOST_TRIES = 5;
// Intervals without any frame after which a connection is taken for lost.
const SILENT_INTERVALS = 2.2;
// Milliseconds of silence after which a server that has not pinged yet is asked for a sign of life.
const PROBE_AFTER = 30_000;
// Requests that are sent in a second, and at once after a silence: a little less than what a server
// takes unless it is told otherwise. Beyond it, it answers nobody in particular.
const RATE = 80;
const BURST = 160;

const DEFAULTS = {
  protocols: [],
  token: null,
  maxQueued: 1000,
  maxInFlight: 32,
  timeout: 60_000,
  tasks: "tasks",
  minPause: 1000,
  maxPause: 30_000,
};

export class RequestError extends Error {
  constructor(message, status = 0, errors = [], data = null) {
    super(message);
    this.name = this.constructor.name;
    this.status = status;
    this.errors = errors;
    this.data = data;
  }

  get fields() {
    const fields = {};
    for (const error of this.errors) {
      for (const [field, found] of Object.entries(isObject(error) ? error : { non_field_errors: error })) {
        fields[field] = [...(fields[field] ?? []), ...sentences(found)];
      }
    }
    return fields;
  }
}

export class ConnectionLost extends RequestError {}

export function connect(url, options) {
  return new Client(url, options);
}

export class Client {
  #options;
  #socket = null;
  #state = "connecting";
  #closeCode = null;
  #lastId = 0;
  // Requests that are to be sent; those that wait for their reply; and what hears of that which
  // follows a reply: all by their ids.
  #queue = [];
  #pending = new Map();
  #followers = new Map();
  // What hears of replies that nobody waits for any more.
  #late = new Map();
  // What begins again on each new connection: subscriptions and tasks.
  #lasting = new Set();
  #stateListeners = new Set();
  #frameListeners = new Set();
  #failures = 0;
  #tokens = BURST;
  #refilled = 0;
  #heard = 0;
  #timers = { connect: 0, send: 0, silence: 0 };

  constructor(url, options = {}) {
    this.#options = { WebSocket: globalThis.WebSocket, ...DEFAULTS, ...options };
    if (!this.#options.WebSocket) {
      throw new TypeError('There is no WebSocket here: pass one, such as { WebSocket } of the package "ws".');
    }
    this.url = socketAddress(url);
    this.#connect();
    globalThis.addEventListener?.("online", this.#online);
  }

  get state() {
    return this.#state;
  }

  get closeCode() {
    return this.#closeCode;
  }

  stream(name) {
    return new Stream(this, name);
  }

  task(id) {
    return new Task(this, { id });
  }

  close() {
    if (this.#state === "closed") return;
    this.#drop();
    this.#end(1000);
  }

  reconnect(after = 0) {
    if (this.#state === "closed") return;
    this.#drop();
    this.#lose();
    this.#wait(after);
  }

  onState(listener) {
    return listen(this.#stateListeners, listener);
  }

  onFrame(listener) {
    return listen(this.#frameListeners, listener);
  }

  // What follows is for the classes of this module.

  get _tasks() {
    return this.stream(this.#options.tasks);
  }

  // Sends a request as soon as it may be sent. `done(reply)` is called with its reply, `failed(error)`
  // where there will be none; `follow(payload)` with what comes after the reply: events, and later
  // states of a task. What is `first` goes before the others, and means something on this connection
  // only. Returns what forgets all of it; a reply that comes nonetheless is for `late`. Asked to do so
  // only if it was not sent yet, that tells whether it did.
  _send({ stream, action, pk, data }, { done, failed, follow = null, late = () => {}, first = false }) {
    const id = ++this.#lastId;
    const payload = { action, request_id: id };
    if (pk !== undefined) payload.pk = pk;
    if (data !== undefined) payload.data = data;
    const text = JSON.stringify({ stream, payload });
    const request = { id, stream, text, safe: READS.has(action), first, done, failed, follow, late };
    const forget = (ifUnsent = false) => this.#forget(request, ifUnsent);
    if (this.#state === "closed") {
      failed(new ConnectionLost(`The connection is closed: ${action} was not sent.`));
    } else if (this.#queue.length >= this.#options.maxQueued && !first) {
      failed(new RequestError(`Too many requests wait: ${this.#options.maxQueued} may.`));
    } else {
      this.#enqueue(request);
      this.#sendMore();
    }
    return forget;
  }

  // `lasting.begin()` is called now, if there is a connection, and on each new one; `lasting.lost()`
  // when it is lost; `lasting.ended(error, code)` when there will be none.
  _keep(lasting) {
    if (this.#state === "closed") {
      // Later, as all else is told: whoever makes it does not have it yet.
      queueMicrotask(() => lasting.ended(new ConnectionLost("The connection is closed.")));
      return;
    }
    this.#lasting.add(lasting);
    if (this.#state === "open") lasting.begin();
  }

  _release(lasting) {
    this.#lasting.delete(lasting);
  }

  // A pause before the try with this number, from 0: any time up to twice that of the one before, so
  // that those whom a restart cut off don't all come back at once.
  _pause(tries) {
    const { minPause, maxPause } = this.#options;
    return Math.random() * Math.min(minPause * 2 ** tries, maxPause);
  }

  // The connection

  #connect() {
    clearTimeout(this.#timers.connect);
    const { WebSocket, protocols } = this.#options;
    const socket = new WebSocket(this.url, [SUBPROTOCOL, ...protocols]);
    this.#socket = socket;
    // A server that stands still takes connections and says nothing.
    this.#timers.connect = later(() => this.#giveUp(), this.#options.timeout);
    this.#become("connecting");
    // Of a socket that was dropped nothing is heard any more.
    const current = (handler) => (event) => socket === this.#socket && handler(event);
    socket.onopen = current(() => this.#authenticate(socket));
    socket.onmessage = current((message) => this.#received(message.data));
    socket.onclose = current((close) => this.#closed(close.code));
    // Node's sockets throw where nobody listens; that it closes is told as well.
    socket.onerror = () => {};
  }

  // Before all else: the server lets the frames behind a token wait for it.
  #authenticate(socket) {
    const { token } = this.#options;
    if (token === null) {
      this.#opened();
      return;
    }
    const found = new Promise((resolve) => resolve(typeof token === "function" ? token() : token));
    found.then(
      (text) => {
        if (socket !== this.#socket) return; // it was lost meanwhile
        // Not by #write: who listens to frames need not hear it.
        socket.send(JSON.stringify({ authenticate: text }));
        this.#opened();
      },
      () => socket === this.#socket && this.#giveUp(),
    );
  }

  #opened() {
    clearTimeout(this.#timers.connect);
    this.#heard = performance.now();
    this.#listen(null);
    this.#state = "open";
    for (const lasting of [...this.#lasting]) {
      // A listener of frames may have ended it meanwhile, or the connection.
      if (this.#state === "open" && this.#lasting.has(lasting)) lasting.begin();
    }
    this.#sendMore();
    // Not before: what listeners subscribe to has begun already, and must not begin twice.
    if (this.#state === "open") this.#become("open");
  }

  #closed(code) {
    this.#socket = null;
    this.#closeCode = code;
    if (REFUSALS.has(code)) {
      this.#end(code);
      return;
    }
    this.#lose();
    this.#wait(this._pause(this.#failures++));
  }

  #giveUp() {
    this.reconnect(this._pause(this.#failures++));
  }

  #wait(pause) {
    clearTimeout(this.#timers.connect);
    this.#timers.connect = setTimeout(() => this.#connect(), pause);
    this.#become("waiting");
  }

  // Without the closing handshake: on a connection that is dead it would not come to an end.
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#timers.connect);
    this.#closeCode = 1006;
    socket?.close();
  }

  // What was sent and not answered can't be answered any more.
  #lose() {
    clearTimeout(this.#timers.silence);
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    this.#followers.clear();
    this.#late.clear();
    lost.forEach((request) => clearTimeout(request.timer));
    for (const lasting of [...this.#lasting]) lasting.lost();
    // An unsubscribe that waits would end another subscription: each connection names them anew.
    this.#queue = [...lost.filter(({ safe }) => safe), ...this.#queue.filter(({ first }) => !first)];
    for (const { safe, failed } of lost) {
      if (!safe) failed(new ConnectionLost("The connection was lost before the reply came."));
    }
  }

  #end(code) {
    globalThis.removeEventListener?.("online", this.#online);
    const error = new ConnectionLost(`The connection was closed (${code}).`);
    this.#closeCode = code;
    this.#state = "closed";
    Object.values(this.#timers).forEach(clearTimeout);
    const requests = [...this.#pending.values(), ...this.#queue];
    this.#pending.clear();
    this.#followers.clear();
    this.#late.clear();
    this.#queue = [];
    for (const { failed, timer } of requests) {
      clearTimeout(timer);
      failed(error);
    }
    for (const lasting of [...this.#lasting]) lasting.ended(error, code);
    this.#lasting.clear();
    this.#tell(this.#stateListeners, "closed", code);
  }

  #become(state) {
    this.#state = state;
    this.#tell(this.#stateListeners, state, this.#closeCode);
  }

  #online = () => {
    if (this.#state === "waiting") this.#connect();
  };

  // Frames

  #received(text) {
    this.#failures = 0; // not when it opens: a server that lets us in only to close would be asked nonstop
    this.#heard = performance.now();
    this.#tell(this.#frameListeners, "in", text);
    if (this.#state !== "open") return; // a listener has closed or cut it
    const { ping, interval = null, payload } = frameOf(text);
    if (ping !== undefined) {
      this.#write(JSON.stringify({ pong: ping }));
      this.#listen(interval);
    } else if (isObject(payload) && "response_status" in payload) {
      this.#replied(payload);
    } else if (isObject(payload)) {
      this.#followers.get(payload.request_id)?.(payload);
    }
  }

  #replied(reply) {
    const request = this.#pending.get(reply.request_id) ?? this.#refused(reply);
    if (reply.request_id === null && reply.response_status === 429) this.#holdBack(reply);
    if (!request) {
      (this.#followers.get(reply.request_id) ?? this.#late.get(reply.request_id))?.(reply);
      this.#late.delete(reply.request_id);
      return;
    }
    this.#restart(request);
    this.#settle(request);
    if (request.follow && reply.response_status < 400) this.#followers.set(request.id, request.follow);
    request.done(reply);
    this.#sendMore();
  }

  // A frame that is too large is not read by the server, so the reply does not say which it was. What
  // it took is smaller than what it refused: it was the largest.
  #refused({ request_id, response_status }) {
    if (request_id !== null || response_status !== 413) return undefined;
    return [...this.#pending.values()].sort((one, other) => byteLength(other.text) - byteLength(one.text))[0];
  }

  // Too many frames came for this server, whatever rate it was given. Which one it refused is not
  // known; the others wait for as long as it says.
  #holdBack({ errors }) {
    const [, seconds] = /available in (\d+) second/.exec(sentences(errors).join(" ")) ?? [];
    this.#tokens = -RATE * (seconds ?? 1);
    this.#refilled = performance.now();
  }

  #enqueue(request) {
    const end = request.first ? this.#queue.findIndex((other) => !other.first) : -1;
    this.#queue.splice(end < 0 ? this.#queue.length : end, 0, request);
  }

  #sendMore() {
    clearTimeout(this.#timers.send);
    while (this.#state === "open" && this.#queue.length && this.#pending.size < this.#options.maxInFlight) {
      if (!this.#takeToken()) {
        this.#timers.send = setTimeout(() => this.#sendMore(), 1000 / RATE);
        return;
      }
      const request = this.#queue.shift();
      this.#pending.set(request.id, request);
      this.#time(request);
      this.#write(request.text);
    }
  }

  #time(request) {
    clearTimeout(request.timer);
    request.timer = later(() => this.#missed(request), this.#options.timeout);
  }

  // The server answers a stream's frames one after another: the time of those behind one begins when
  // it is answered.
  #restart(answered) {
    const sent = [...this.#pending.values()];
    const behind = sent.slice(sent.indexOf(answered) + 1);
    for (const request of behind) if (request.stream === answered.stream) this.#time(request);
  }

  #missed(request) {
    this.#settle(request);
    this.#late.set(request.id, request.late);
    request.failed(new ConnectionLost(`No reply came within ${this.#options.timeout / 1000} seconds.`));
    // If nothing else came either since it was sent, it is the connection that is dead.
    if (performance.now() - this.#heard >= this.#options.timeout) this.#giveUp();
    else this.#sendMore();
  }

  #takeToken() {
    const now = performance.now();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#refilled) / 1000) * RATE);
    this.#refilled = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  #settle(request) {
    clearTimeout(request.timer);
    this.#pending.delete(request.id);
  }

  #forget(request, ifUnsent) {
    const isUnsent = this.#queue.includes(request);
    if (ifUnsent && !isUnsent) return false;
    this.#queue = this.#queue.filter((other) => other !== request);
    this.#followers.delete(request.id);
    // Its reply still comes, and takes its place until then.
    Object.assign(request, { done: request.late, failed() {}, follow: null, safe: false });
    return isUnsent;
  }

  #write(text) {
    this.#socket.send(text);
    this.#tell(this.#frameListeners, "out", text);
  }

  // Each ping says within how many seconds another one follows. Where nothing at all comes for
  // longer, the connection is dead, whatever the socket says. Null: there was none yet, and perhaps
  // this server sends none.
  #listen(interval) {
    clearTimeout(this.#timers.silence);
    const limit = interval === null ? PROBE_AFTER : interval * 1000 * SILENT_INTERVALS;
    const left = limit - (performance.now() - this.#heard);
    if (left > 0) this.#timers.silence = setTimeout(() => this.#listen(interval), left);
    else if (interval === null) this.#probe();
    else this.#giveUp();
  }

  // It need not be a stream that is there: no answer at all is what counts.
  #probe() {
    const done = () => this.#listen(null);
    this._send({ stream: "ping", action: "ping" }, { first: true, done, failed() {} });
  }

  #tell(listeners, ...values) {
    for (const listener of [...listeners]) guarded(listener, ...values);
  }
}

export class Stream {
  #client;

  constructor(client, name) {
    this.#client = client;
    this.name = name;
  }

  create(data, options) {
    return this.action("create", { data, ...options });
  }

  retrieve(pk, options) {
    return this.action("retrieve", { pk, ...options });
  }

  list(filters, options) {
    return this.action("list", { data: filters, ...options });
  }

  update(pk, data, options) {
    return this.action("update", { pk, data, ...options });
  }

  patch(pk, data, options) {
    return this.action("patch", { pk, data, ...options });
  }

  async delete(pk, options) {
    await this.action("delete", { pk, ...options });
  }

  async action(name, fields) {
    const reply = await this.request(name, fields);
    if (reply.response_status >= 400) throw refusal(reply);
    return reply.data;
  }

  task(name, { pk, data } = {}) {
    return new Task(this.#client, { request: { stream: this.name, action: name, pk, data } });
  }

  subscribe(options) {
    return new Subscription(this.#client, this.name, options);
  }

  request(action, { pk, data, signal } = {}) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      let forget = () => {};
      const abort = () => {
        forget();
        reject(signal.reason);
      };
      const settle = (settled) => (value) => {
        signal?.removeEventListener("abort", abort);
        settled(value);
      };
      signal?.addEventListener("abort", abort);
      const fields = { stream: this.name, action, pk, data };
      forget = this.#client._send(fields, { done: settle(resolve), failed: settle(reject) });
    });
  }
}

export class Subscription {
  #client;
  #stream;
  #options;
  #asked;
  #rows = new Map();
  // The keys of rows by their primary keys, where an event has told both; and whether the keys are
  // the primary keys: of a field that was named, null until an event shows it.
  #keys = new Map();
  #arePks;
  #position = null;
  #state = "pending";
  #ready = deferred();
  // The name that the server gave it, and the number of its last frame.
  #name = null;
  #n = 0;
  #forget = () => {};
  #tries = 0;
  #timer = 0;

  constructor(client, stream, options = {}) {
    this.#client = client;
    this.#stream = stream;
    this.#options = options;
    this.#arePks = options.key === undefined || null;
    // As it is now: a filter that is changed later would not be that of the rows that are held.
    this.#asked = JSON.parse(JSON.stringify({ pk: options.pk, filter: options.filter }));
    // Who hears of errors need not wait for `ready` as well.
    if (options.onError) optional(this.#ready);
    this.#client._keep(this);
  }

  get rows() {
    return this.#rows;
  }

  get position() {
    return this.#position;
  }

  get state() {
    return this.#state;
  }

  get ready() {
    return this.#ready.promise;
  }

  close() {
    if (this.#state === "closed") return;
    this.#unsubscribe();
    this.#end();
    optional(this.#ready).reject(new RequestError("The subscription was closed."));
  }

  // Called by the client

  begin() {
    const { pk, filter } = this.#asked;
    const data = this.#wish({ action: "*", ...(filter && { filter }) });
    this.#n = 0;
    this.#forget = this.#client._send(
      { stream: this.#stream, action: "subscribe", pk, data },
      {
        first: true,
        done: (reply) => this.#begun(reply),
        failed: () => this.#tryAgain(),
        follow: (event) => this.#hear(event),
        // It was closed or given up meanwhile, and the server would tell of changes for ever.
        late: ({ data }) => data && this.#leave(data.subscription),
      },
    );
  }

  lost() {
    clearTimeout(this.#timer);
    this.#forget();
    this.#name = null;
    if (this.#state === "live") this.#state = "stale";
  }

  ended(error, code) {
    if (code === 1000) this.close(); // who closes the client need not be told
    else this.#fail(error);
  }

  // Where it stands, so that the server tells what it missed; or that it needs all rows.
  #wish(asked) {
    if (!this.#position) return { ...asked, snapshot: true };
    const wish = { ...asked, since: this.#position };
    const have = this.#heldPks();
    const whole = { ...wish, have };
    const fits = have.length <= MOST_HELD && byteLength(JSON.stringify(whole)) <= MOST_BYTES;
    // What is no primary key would be taken for a row that is gone.
    return fits && !have.includes(undefined) ? whole : wish;
  }

  // The primary keys of the rows, undefined where it is not known.
  #heldPks() {
    const pks = new Map([...this.#keys].map(([pk, key]) => [key, pk]));
    return [...this.#rows.keys()].map((key) => pks.get(key) ?? (this.#arePks ? key : undefined));
  }

  #begun(reply) {
    if (reply.response_status >= 400) {
      this.#refused(reply);
      return;
    }
    const { subscription, epoch, seq, recovered, reason, snapshot } = reply.data;
    const isFirst = this.#state === "pending";
    this.#name = subscription;
    this.#tries = 0;
    this.#state = "live";
    if (!recovered && !this.#replace(snapshot)) return;
    this.#position = { epoch, seq };
    this.#ready.resolve(this); // before a listener may close it
    this.#changed(recovered ? { type: "resume" } : { type: isFirst ? "snapshot" : "reset", reason });
  }

  #refused(reply) {
    const { response_status: status } = reply;
    const mayPass = TEMPORARY.has(status) && this.#tries < MOST_TRIES;
    // What went well before is no fault of the binding's: its database may be away.
    if (mayPass || (this.#position && (TEMPORARY.has(status) || status === 500))) {
      this.#tryAgain();
      return;
    }
    const gone = status === 404 && this.#asked.pk !== undefined;
    // The row that was watched has been deleted meanwhile, or is hidden now.
    if (gone) for (const key of [...this.#rows.keys()]) this.#remove(key);
    this.#fail(refusal(reply));
  }

  #tryAgain() {
    if (this.#state === "closed") return;
    if (this.#state === "live") this.#state = "stale";
    this.#timer = setTimeout(() => {
      if (this.#client.state === "open") this.begin();
    }, this.#client._pause(this.#tries++));
  }

  #hear(event) {
    if (event.n !== ++this.#n) {
      this.#anew();
      return;
    }
    const { action, pk, data, epoch, seq } = event;
    if (action === "reset") {
      this.#reset(event);
      return;
    }
    this.#position = { epoch, seq };
    if (action === "delete") this.#delete(pk);
    else this.#put(action, pk, data);
  }

  // A frame is missing: what was in it is told again.
  #anew() {
    this.#unsubscribe();
    this.#state = "stale";
    this.begin();
  }

  #reset({ reason, snapshot, epoch, seq }) {
    const isOver = snapshot === null || reason === "forbidden";
    if (snapshot !== null && !this.#replace(snapshot)) return;
    this.#position = { epoch, seq };
    this.#changed({ type: "reset", reason });
    if (isOver) this.#fail(ending(reason));
  }

  #replace(rows) {
    const keyed = rows.map((row) => [this.#key(row), row]);
    if (keyed.some(([key]) => key === undefined)) {
      this.#unsubscribe();
      this.#fail(new RequestError('The rows have no "id" and no "pk": say which field is their key, as `key`.'));
      return false;
    }
    this.#rows.clear(); // the same map for ever, for whoever has it
    this.#keys.clear();
    for (const [key, row] of keyed) this.#rows.set(key, row);
    return true;
  }

  #key(row) {
    const { key } = this.#options;
    if (typeof key === "function") return key(row);
    return key === undefined ? (row.id ?? row.pk) : row[key];
  }

  // Snapshots know rows by their keys, events by their primary keys, which need not look the same.
  #put(type, pk, row) {
    const key = this.#key(row) ?? pk;
    const held = this.#keys.get(pk) ?? key;
    const previous = this.#rows.get(held);
    if (held !== key) this.#rows.delete(held); // it is called otherwise now
    this.#arePks = this.#arePks !== false && String(key) === String(pk);
    this.#keys.set(pk, key);
    this.#rows.set(key, row);
    this.#changed({ type, pk: key, row, previous });
  }

  #delete(pk) {
    const key = this.#keys.get(pk) ?? this.#keyLike(pk);
    if (key === undefined && this.#isKeyedOtherwise(pk)) {
      this.#unsubscribe();
      this.#fail(new RequestError("It is not known which row was deleted: say what their primary key is, as `key`."));
      return;
    }
    this.#keys.delete(pk);
    this.#remove(key ?? pk);
  }

  #remove(key) {
    const previous = this.#rows.get(key);
    this.#rows.delete(key);
    this.#changed({ type: "delete", pk: key, row: undefined, previous });
  }

  // The key of a row that no event has told of, but a snapshot: it may be text where events have a number.
  #keyLike(pk) {
    if (this.#arePks === false) return undefined;
    if (this.#rows.has(pk)) return pk;
    return [...this.#rows.keys()].find((key) => String(key) === String(pk));
  }

  // Whether a row that is here may have this primary key all the same. Where the keys are primary
  // keys none has it: the row was never here, which is nothing unusual.
  #isKeyedOtherwise(pk) {
    const told = new Set(this.#keys.values());
    const key = [...this.#rows.keys()].find((held) => !told.has(held));
    return key !== undefined && (this.#arePks === false || !isAlike(key, pk));
  }

  #changed(change) {
    if (this.#options.onChange) guarded(this.#options.onChange, change);
  }

  #unsubscribe() {
    this.#forget();
    if (this.#name !== null) this.#leave(this.#name);
    this.#name = null;
  }

  #leave(subscription) {
    const request = { stream: this.#stream, action: "unsubscribe", data: { subscription } };
    this.#client._send(request, { first: true, done() {}, failed() {} });
  }

  #fail(error) {
    if (this.#state === "closed") return;
    this.#end();
    this.#ready.reject(error);
    if (this.#options.onError) guarded(this.#options.onError, error);
  }

  #end() {
    clearTimeout(this.#timer);
    this.#forget();
    this.#state = "closed";
    this.#client._release(this);
  }
}

export class Task {
  #client;
  #id;
  #state = null;
  // The newest state, and a promise of the next: a chain along which each iterator walks by itself.
  #latest = link(null);
  #result = optional(deferred());
  #over = false;
  #forget = () => {};
  #tries = 0;
  #timer = 0;

  constructor(client, { request = null, id = null }) {
    this.#client = client;
    this.#id = id;
    this.#client._keep(this);
    if (request) this.#ask(request);
  }

  get id() {
    return this.#id;
  }

  get state() {
    return this.#state;
  }

  get result() {
    return this.#result.promise;
  }

  async *[Symbol.asyncIterator]() {
    for (let at = this.#latest; at; at = await at.next.promise) {
      if (at.state) yield at.state;
    }
  }

  async cancel() {
    if (this.#id === null && this.#forget(true)) {
      this.#latest.next.resolve(null); // it has no states
      this.#fail(new RequestError(ENDS.get("REVOKED"), 410));
      return;
    }
    if (this.#id === null) await this.#latest.next.promise;
    const reply = await this.#client._tasks.request("delete", { pk: this.#id });
    if (reply.response_status !== 410) throw refusal(reply);
  }

  // Called by the client

  begin() {
    if (this.#id === null) return; // what begins it was sent, or waits to be
    this.#ask({ stream: this.#client._tasks.name, action: "subscribe", pk: this.#id });
  }

  lost() {
    if (this.#id === null) return; // if it was sent, it fails as any request
    clearTimeout(this.#timer);
    this.#forget();
  }

  ended(error) {
    this.#fail(error);
  }

  #ask(request) {
    const hear = (reply) => this.#hear(reply);
    const failed = (error) => this.#failed(error);
    this.#forget = this.#client._send(request, { first: this.#id !== null, done: hear, failed, follow: hear });
  }

  #hear(reply) {
    const { action, data, response_status } = reply;
    if (!isTask(reply)) {
      const nothing = new RequestError(`The action ${action} began no task.`, response_status);
      this.#failed(response_status < 400 ? nothing : refusal(reply));
      return;
    }
    this.#tries = 0;
    this.#id = data.id;
    this.#tell(data);
    if (response_status === 202) return;
    this.#latest.next.resolve(null);
    if (response_status < 400) this.#result.resolve(data.result);
    else this.#result.reject(refusal(reply, ENDS.get(data.state)));
    this.#end();
  }

  #tell(state) {
    const next = link(state);
    this.#state = state;
    this.#latest.next.resolve(next);
    this.#latest = next;
  }

  // What has begun goes on, although it can't be asked for just now.
  #failed(error) {
    // Without a status there was no reply.
    const mayPass = TEMPORARY.has(error.status) || error.status === 500 || error.status === 0;
    if (this.#id === null || !mayPass) {
      this.#fail(error);
      return;
    }
    this.#timer = setTimeout(() => {
      if (this.#client.state === "open") this.begin();
    }, this.#client._pause(this.#tries++));
  }

  #fail(error) {
    if (this.#over) return;
    this.#latest.next.reject(error);
    this.#result.reject(error);
    this.#end();
  }

  #end() {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#forget();
    this.#client._release(this);
  }
}

// States that a task does not leave, and what is said of them where the server does not.
const ENDS = new Map([
  ["SUCCESS", ""],
  ["FAILURE", "The task failed."],
  ["REVOKED", "The task was cancelled."],
  ["IGNORED", "The task has left no result."],
]);

// What is no frame is empty: a newer server may say what this client does not know.
function frameOf(text) {
  try {
    const frame = JSON.parse(text);
    return isObject(frame) ? frame : {};
  } catch {
    return {};
  }
}

function isTask({ data, response_status }) {
  const hasState = isObject(data) && typeof data.id === "string" && typeof data.state === "string";
  return hasState && (response_status === 202 || ENDS.has(data.state));
}

function link(state) {
  return { state, next: optional(deferred()) };
}

// A promise that can be settled from outside.
function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

// That it fails is no error of a page that does not wait for it.
function optional(made) {
  made.promise.catch(() => {});
  return made;
}

// Timers take no longer times, Infinity least of all: they end at once. So long nobody waits.
function later(callback, milliseconds) {
  return milliseconds < 2 ** 31 ? setTimeout(callback, milliseconds) : 0;
}

function listen(listeners, listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// A callback that fails is reported like any error that nobody caught, and stops nothing here.
function guarded(callback, ...values) {
  try {
    callback(...values);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function socketAddress(url) {
  const address = new URL(url, globalThis.location?.href);
  if (address.protocol === "http:") address.protocol = "ws:";
  if (address.protocol === "https:") address.protocol = "wss:";
  address.hash = "";
  return address.href;
}

function refusal({ response_status, errors, data }, otherwise = `The server answered ${response_status}.`) {
  const message = errors.flatMap((error) => sentences(error)).join(" ");
  return new RequestError(message || otherwise, response_status, errors, data);
}

function ending(reason) {
  if (reason === "forbidden") return new RequestError("This may not be seen any more.", 403);
  return new RequestError("There are too many rows to be sent at once: narrow the filter.", 413);
}

// The sentences of an error, which may stand below names of fields.
function sentences(error) {
  if (Array.isArray(error)) return error.flatMap((each) => sentences(each));
  if (!isObject(error)) return [String(error)];
  return Object.entries(error).flatMap(([field, found]) =>
    sentences(found).map((text) => (field === "non_field_errors" ? text : `${field}: ${text}`)),
  );
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Whether both can be keys of one model: numbers, and UUIDs as events hold them, are told from others.
function isAlike(key, pk) {
  if (typeof pk === "number") return Number.isFinite(Number(key));
  return !UUID.test(pk) || UUID.test(key);
}

function byteLength(text) {
  return new TextEncoder().encode(text).length;
}
