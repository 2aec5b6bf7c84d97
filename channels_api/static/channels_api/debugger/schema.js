// The project's AsyncAPI document, as the page reads it: sockets, their streams, their actions.

export class Schema {
  #document;

  constructor(document) {
    this.#document = document;
    this.title = document.info?.title ?? "Channels API";
    this.sockets = Object.entries(document["x-sockets"] ?? {}).map(([name, { address }]) => this.#socket(name, address));
  }

  // The component that a "$ref" points to; undefined for one that points nowhere.
  resolve(ref) {
    const path = ref.replace(/^#\//, "").split("/");
    return path.reduce((found, key) => found?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], this.#document);
  }

  // What `#questions/create` means, or `#socket/questions/create` of another socket than the first.
  find(fragment) {
    const parts = fragment.replace(/^#/, "").split("/").map(decode);
    const [action, stream, name] = parts.reverse();
    const socket = name === undefined ? this.sockets[0] : this.sockets.find((each) => each.name === name);
    return socket?.actions.find((each) => each.stream.name === stream && each.name === action);
  }

  #socket(name, address) {
    const socket = { name, address, streams: [], actions: [] };
    for (const operation of Object.values(this.#document.operations ?? {})) {
      const called = operation["x-action"];
      if (called?.socket === name) this.#add(socket, operation, called);
    }
    socket.tasks = socket.streams.find((stream) => stream.tasks)?.name;
    return socket;
  }

  #add(socket, operation, called) {
    let stream = socket.streams.find((each) => each.name === called.stream);
    if (!stream) {
      stream = { ...this.#stream(socket, called.stream), name: called.stream, actions: [] };
      socket.streams.push(stream);
    }
    const action = { ...called, description: operation.description, stream, socket };
    // A subscription may be to one row, and a row's actions are to one.
    action.takesPk = called.detail || (called.standard && /subscribe$/.test(called.name));
    action.fragment = fragmentOf(this.#isFirst(socket) ? [] : [socket.name], stream.name, called.name);
    stream.actions.push(action);
    socket.actions.push(action);
  }

  // Streams of other sockets than the first may have its socket's name before their own.
  #stream(socket, name) {
    const streams = this.#document["x-streams"] ?? {};
    const found = [streams[name], streams[`${socket.name}.${name}`]];
    return found.find((stream) => stream?.socket === socket.name) ?? found[0] ?? {};
  }

  #isFirst(socket) {
    return socket.name === Object.keys(this.#document["x-sockets"])[0];
  }
}

function fragmentOf(before, ...names) {
  return `#${[...before, ...names].map(encodeURIComponent).join("/")}`;
}

// A fragment that was typed by hand may be no proper one.
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
