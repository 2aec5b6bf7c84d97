// The page at /: lists the polls, subscribes to them, and shows every change as it is told.

import { Board, element } from "./cards.js";
import { Replica } from "./replica.js";
import { Report } from "./report.js";
import { Connection, RequestError } from "./socket.js";

const FRAMES_KEPT = 100;
const LONGEST_TEXT = 200;

const $ = (id) => document.getElementById(id);

const questions = new Replica();
const choices = new Replica();
const replicas = { questions, choices };
let drawing = false;

const actions = {
  vote: (pk) => attempt(() => connection.request("choices", "vote", { pk })),
  addChoice: (question, choice_text) =>
    attempt(() => connection.request("choices", "create", { data: { question, choice_text } })),
  rename: async (pk) => {
    const question_text = await askForText(questions.rows.get(pk).question_text);
    if (question_text === null) return;
    await attempt(() => connection.request("questions", "patch", { pk, data: { question_text } }));
  },
  remove: async (pk) => {
    if (!confirm(`Delete “${questions.rows.get(pk).question_text}” for everybody?`)) return;
    await attempt(() => connection.request("questions", "delete", { pk }));
  },
};
if (document.body.dataset.user) {
  actions.reset = (pk) => attempt(() => connection.request("questions", "reset", { pk }));
}
const board = new Board($("polls"), actions);

const url = new URL("/ws/", location.href);
url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(url, { state: showState, open: begin, event: hear, frame: logFrame });
const report = new Report(connection);

function begin() {
  Object.keys(replicas).forEach(subscribe);
  report.resume();
}

// Nothing is shown from the replies to our own changes: the events tell of them too, as they tell
// everybody else, and in the order in which things happened.
function hear(stream, event) {
  replicas[stream].apply(event);
  draw();
}

// A new connection: what was missed is told, or everything.
async function subscribe(stream) {
  const replica = replicas[stream];
  await attempt(async () => {
    // The events follow the reply: nothing else may wait for it.
    replica.begin(await connection.request(stream, "subscribe", { data: replica.wish }));
    draw();
  });
}

async function addPoll(question_text, texts) {
  const question = await connection.request("questions", "create", { data: { question_text } });
  for (const choice_text of texts) {
    await connection.request("choices", "create", { data: { question: question.id, choice_text } });
  }
}

// Runs `work` and shows what is wrong with it, if anything is; tells whether it went well.
async function attempt(work) {
  try {
    await work();
    showFault("");
    return true;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    showFault(error.message);
    return false;
  }
}

function showFault(text) {
  $("fault").textContent = text;
  $("fault").hidden = !text;
}

function showState(name, code) {
  const words = {
    connecting: "Connecting",
    open: "Live",
    waiting: "Offline, trying again",
    refused: `Closed by the server (${code}): reload the page`,
  };
  $("state").dataset.state = name;
  $("state").textContent = words[name];
}

// Once for all that happened since the last frame of the screen.
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    board.show(questions.rows, choices.rows);
    $("empty").hidden = !questions.loaded || questions.rows.size > 0;
  });
}

function logFrame(direction, text) {
  $("frames").prepend(element("li", direction, text));
  if ($("frames").children.length > FRAMES_KEPT) $("frames").lastElementChild.remove();
}

// The text that the user made of it, or null if there is no change to make.
function askForText(text) {
  const dialog = $("rename");
  const input = dialog.querySelector("input");
  input.value = text;
  dialog.returnValue = ""; // Escape leaves it as it was the last time
  dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      const changed = dialog.returnValue === "save" && input.value !== text;
      resolve(changed ? input.value : null);
    };
  });
}

$("cancel").addEventListener("click", () => $("rename").close());

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const { question_text, choices: lines } = Object.fromEntries(new FormData(form));
  const texts = [...new Set(lines.split("\n").map((line) => line.trim()).filter(Boolean))];
  // Before anything is sent: a poll whose third choice is refused would stand there with two.
  if (!question_text.trim() || !texts.length || texts.some((text) => text.length > LONGEST_TEXT)) {
    showFault(`A poll needs a question and a choice; a choice has ${LONGEST_TEXT} characters at most.`);
    return;
  }
  const submit = form.querySelector("button");
  submit.disabled = true;
  if (await attempt(() => addPoll(question_text, texts))) form.reset();
  submit.disabled = false;
});
