// The debugger: puts its parts together, and keeps the place in the address.

import { ActionPanel } from "./action.js";
import { describeState } from "./connection.js";
import { showSnippet } from "./copying.js";
import { FrameLog } from "./log.js";
import { Recovery } from "./recovery.js";
import { Schema } from "./schema.js";
import { Seen } from "./seen.js";
import { Session } from "./session.js";
import { listenToKeys } from "./shortcuts.js";
import { StreamList } from "./streams.js";

const CUT = 10_000;

const $ = (id) => document.getElementById(id);
const { schema: schemaUrl, prefix, user } = document.body.dataset;

const log = new FrameLog($("log"));
const recovery = new Recovery($("recovery"));
const streams = new StreamList($("streams"), { onSocket: (socket) => visit(socket) });
const seen = new Seen();
const sessions = new Map();
let schema = null;
let session = null;
let panel = null;

start();

async function start() {
  try {
    schema = new Schema(await readSchema());
  } catch (error) {
    showFault(`The streams can't be listed. ${error.message}`);
    $("state").hidden = true;
    return;
  }
  if (!schema.sockets.length) {
    showFault("There is no socket: ASGI_APPLICATION routes none to a WebsocketDemultiplexer.");
    return;
  }
  $("title").textContent = schema.title;
  document.title = `${schema.title}: debugger`;
  panel = new ActionPanel($("action"), {
    resolve: (ref) => schema.resolve(ref),
    send: (request) => send(request),
    follow: (request) => session.follow(request),
    copy: (kind, request, reply) => showSnippet(kind, callOf(request, reply)),
  });
  addEventListener("hashchange", () => {
    visitFragment();
    $("action").scrollIntoView({ block: "start" }); // on a phone the list fills the screen
  });
  visitFragment();
}

async function readSchema() {
  const response = await fetch(schemaUrl);
  const document = await response.json();
  if (!response.ok) throw new Error(document.error);
  return document;
}

function visitFragment() {
  if (location.hash.length < 2) {
    visit(schema.sockets[0]);
    return;
  }
  const action = schema.find(location.hash);
  keepPlaceForLogin();
  open(action?.socket ?? schema.sockets[0]);
  streams.mark(action);
  if (action) panel.show(action);
  else panel.showNothing("The address names an action that no stream has. Choose one from the list.");
}

// Whoever logs in comes back to the same action.
function keepPlaceForLogin() {
  for (const link of document.querySelectorAll("#user a")) {
    const url = new URL(link.href);
    url.searchParams.set("next", location.pathname + location.hash);
    link.href = url.href;
  }
}

// A socket's first action, without a new step in the history.
function visit(socket) {
  open(socket);
  const first = socket.actions.find((action) => action.name === "list") ?? socket.actions[0];
  if (!first) {
    panel.showNothing("This socket has no actions.");
    return;
  }
  history.replaceState(null, "", first.fragment);
  visitFragment();
}

// Makes a socket the one that is shown; it is connected when it is shown first, and stays so.
function open(socket) {
  if (session?.socket === socket) return;
  if (!sessions.has(socket)) sessions.set(socket, connectTo(socket));
  session = sessions.get(socket);
  streams.show(schema.sockets, socket);
  for (const each of sessions.values()) {
    each.live.element.hidden = each.tasks.element.hidden = each !== session;
  }
  showState();
}

function connectTo(socket) {
  const made = new Session(socket, prefix, {
    onLive: () => reveal("subscriptions"),
    onTask: () => reveal("tasks"),
  });
  made.api.onFrame((direction, text) => log.add(direction, text));
  made.api.onState(() => showState());
  $("subscriptions").append(made.live.element);
  $("tasks").append(made.tasks.element);
  return made;
}

function reveal(id) {
  $(id).hidden = false;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $(id).scrollIntoView({ block: "nearest", behavior: calm ? "auto" : "smooth" });
}

function showState() {
  if (!session) return; // one that is being made
  const { state, closeCode } = session.api;
  $("state").dataset.state = state;
  $("state-text").textContent = describeState(state, closeCode);
  $("cut").hidden = state === "closed";
  $("cut").disabled = state !== "open";
}

async function send(request) {
  const exchange = await session.send(request);
  seen.add(streamOf(request), exchange.reply.data);
  return exchange;
}

function streamOf(request) {
  return session.socket.streams.find((stream) => stream.name === request.stream);
}

// What the snippets are made of.
function callOf(request, reply) {
  const stream = streamOf(request);
  const { standard, detail } = stream.actions.find((action) => action.name === request.action);
  const client = new URL("../client.js", import.meta.url).href;
  const { url } = session.api;
  const { model, key } = stream;
  const about = { model, key, inputs: inputsOf(stream), rows: seen.rowsOf(stream) };
  return { url, client, origin: location.origin, ...request, reply, user, standard, detail, ...about };
}

// The fields that clients may write.
function inputsOf(stream) {
  const data = stream.actions.find((action) => action.standard && action.name === "create")?.data;
  const target = data?.$ref ? schema.resolve(data.$ref) : data;
  return Object.keys(target?.properties ?? {});
}

function showFault(text) {
  $("fault").textContent = text;
  $("fault").hidden = !text;
}

// Not by the address, which holds the place.
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("action").focus();
});
$("cut").addEventListener("click", () => {
  recovery.cut(session.api, CUT);
  reveal("recovery");
});
$("help").addEventListener("click", () => $("shortcuts").showModal());
for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
listenToKeys({
  "?": () => $("shortcuts").showModal(),
  "/": () => log.focusFilter(),
  s: () => streams.focus(),
});
