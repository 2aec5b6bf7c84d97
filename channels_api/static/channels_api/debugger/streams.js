// The list of streams and their actions. Each action is a link, so that it can be kept and sent on.

import { element } from "./dom.js";

export class StreamList {
  #nav;

  constructor(nav, { onSocket }) {
    this.#nav = nav;
    this.onSocket = onSocket;
    nav.addEventListener("keydown", (event) => this.#move(event));
  }

  // Lists the streams of one socket; the others can be chosen. `form` asks for what its address needs.
  show(sockets, socket, form) {
    this.#nav.replaceChildren(
      ...(sockets.length > 1 ? [this.#chooser(sockets, socket)] : []),
      ...(form ? [form] : []),
      ...socket.streams.map((stream, index) => this.#stream(stream, `stream-${index}`)),
    );
    if (!socket.streams.length) this.#nav.append(element("p", { class: "faint", text: "This socket has no streams." }));
  }

  mark(action) {
    for (const link of this.#links()) {
      if (link.getAttribute("href") === action?.fragment) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.#nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  focus() {
    (this.#nav.querySelector("[aria-current]") ?? this.#links()[0])?.focus();
  }

  #chooser(sockets, chosen) {
    const options = sockets.map((socket) =>
      element("option", { value: socket.name, selected: socket === chosen, text: socket.address }),
    );
    const choose = (event) => this.onSocket(sockets.find((socket) => socket.name === event.target.value));
    return element("label", { class: "field" }, "Socket", element("select", { id: "socket", onchange: choose }, ...options));
  }

  #stream(stream, id) {
    return element(
      "section",
      { class: "stream", "aria-labelledby": id, dataset: { stream: stream.name } },
      element("h2", { id, text: stream.name }),
      element("ul", {}, ...stream.actions.map((action) => element("li", {}, link(action)))),
    );
  }

  #links() {
    return [...this.#nav.querySelectorAll("a")];
  }

  #move(event) {
    const links = this.#links();
    const at = links.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (at < 0 || next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    links[Math.max(0, Math.min(next, links.length - 1))].focus();
  }
}

function link(action) {
  return element(
    "a",
    { href: action.fragment, class: action.standard ? null : "custom" },
    element("span", { text: action.name }),
    action.detail ? element("small", { text: "pk", title: "acts on one row" }) : null,
  );
}
