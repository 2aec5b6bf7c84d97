// The debugger: puts its parts together, and keeps the place in the address.

import { ActionPanel } from "./action.js";
import { addressOf, parameterForm } from "./address.js";
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
const { schema: schemaUrl, prefix, user, staff, superuser, cookie } = document.body.dataset;

const log = new FrameLog($("log"));
const recovery = new Recovery($("recovery"));
const streams = new StreamList($("streams"), { onSocket: (socket) => visit(socket) });
const seen = new Seen();
const sessions = new Map();
let schema = null;
// The socket whose streams are listed, and the session that requests go to.
let listed = null;
let session = null;
let panel = null;

start();

async function start() {
  try {
    schema = new Schema(await readSchema());
  } catch (error) {
    showFault(`The streams can't be listed. ${error.message}`);
    $("state").hidden = $("layout").hidden = true;
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
  const isOpen = open(action?.socket ?? schema.sockets[0]);
  streams.mark(action);
  if (!isOpen) panel.showNothing("Which socket?", "Its address has parameters: fill them in, above the list of streams.");
  else if (action) panel.show(action);
  else panel.showNothing("No such action", "The address names an action that no stream has. Choose one from the list.");
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
  const first = socket.actions.find((action) => action.name === "list") ?? socket.actions[0];
  if (!first) {
    open(socket);
    panel.showNothing("No actions", "The streams of this socket have none.");
    return;
  }
  history.replaceState(null, "", first.fragment);
  visitFragment();
}

// Makes a socket the one that is shown; it is connected when it is shown first, and stays so. Not
// where its address is not complete: false, then.
function open(socket) {
  if (listed !== socket) streams.show(schema.sockets, socket, parameterForm(socket, () => reopen(socket)));
  listed = socket;
  if (session?.socket === socket) return true;
  const address = addressOf(socket);
  if (address === null) return false;
  if (!sessions.has(socket)) sessions.set(socket, connectTo(socket, address));
  session = sessions.get(socket);
  for (const each of sessions.values()) {
    each.live.element.hidden = each.tasks.element.hidden = each !== session;
  }
  showState();
  return true;
}

// Another room, say: what there was of the one before is gone.
function reopen(socket) {
  const before = sessions.get(socket);
  before?.close();
  sessions.delete(socket);
  if (session === before) session = null;
  visitFragment();
}

function connectTo(socket, address) {
  const made = new Session(socket, prefix + address.replace(/^\//, ""), {
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
  // Before the reply: when it comes, another socket may be shown, which has no such stream.
  const stream = streamOf(request);
  const exchange = await session.send(request);
  seen.add(stream, exchange.reply.data);
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
  // A test has no server in front of it that adds the prefix.
  const path = `/${new URL(url).pathname.slice(prefix.length)}`;
  const { model, key } = stream;
  const about = { model, key, inputs: inputsOf(stream), rows: seen.rowsOf(stream) };
  const who = { user, isStaff: Boolean(staff), isSuperuser: Boolean(superuser), cookie };
  return { url, path, client, origin: location.origin, ...request, reply, ...who, standard, detail, ...about };
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
