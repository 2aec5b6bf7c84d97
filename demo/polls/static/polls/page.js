// The page at /: keeps a replica of the polls, and shows every change as it is told.

import { connect, RequestError } from "../channels_api/client.js";
import { Board } from "./board.js";
import { FieldErrors, FormDialog } from "./dialogs.js";
import { $, count, setText } from "./dom.js";
import { showFrames } from "./frames.js";
import { Report } from "./report.js";

const LONGEST_TEXT = 200;
const SEARCH_PAUSE = 200; // milliseconds without a key, before what was typed is searched

const STATES = {
  connecting: "Connecting",
  open: "Live",
  waiting: "Offline: reconnecting",
  closed: "Closed by the server: reload the page",
};

const api = connect("/ws/");
const dialogs = {
  ask: new FormDialog($("ask")),
  rename: new FormDialog($("rename")),
  remove: new FormDialog($("remove")),
};

// A question's row holds its choices, but a vote changes the choice: only that stream tells of it.
const choices = api.stream("choices").subscribe({ onChange: draw, onError: showError });
// The subscription whose rows are shown, and the one that was asked for last.
let questions = null;
let wanted = null;
let drawing = false;

// Nothing is shown from the replies to our own changes: the events tell of them too, as they tell
// everybody else, and in the order in which things happened.
const actions = {
  vote: (pk) => attempt(() => api.stream("choices").action("vote", { pk })),
  addChoice: (question, choice_text) =>
    attempt(() => api.stream("choices").create({ question, choice_text })),
  rename: (pk) => {
    const { question_text } = questions.rows.get(pk);
    dialogs.rename.open({ question_text }, (values) => api.stream("questions").patch(pk, values));
  },
  remove: (pk) => {
    setText($("remove-question"), questions.rows.get(pk).question_text);
    dialogs.remove.open({}, async () => {
      await api.stream("questions").delete(pk);
      // The button that opened the dialog goes with its poll, and the focus would be lost with it.
      $("remove").addEventListener("close", () => $("polls").focus({ preventScroll: true }), { once: true });
    });
  },
};
if (document.body.dataset.user) {
  actions.reset = (pk) => attempt(() => api.stream("questions").action("reset", { pk }));
}
const board = new Board($("polls"), actions);

new Report(api);
showFrames(api, $("frames").querySelector("ol"));
api.onState(showState);
showState(api.state);
search("");

// What was found before stays on the page until what is found now is here.
function search(text) {
  if (wanted !== questions) wanted.close();
  const found = api.stream("api-questions").subscribe({
    filter: text ? { search: text } : {},
    onChange: () => {
      if (questions !== found) {
        questions?.close();
        questions = found;
      }
      draw();
    },
    onError: showError,
  });
  wanted = found;
}

async function ask({ question_text, choice_text }) {
  const texts = [...new Set(choice_text.split("\n").map((line) => line.trim()).filter(Boolean))];
  // Before anything is sent: a poll whose third choice is refused would stand there with two.
  const errors = {};
  if (!question_text.trim()) errors.question_text = ["What is the question?"];
  if (!texts.length) errors.choice_text = ["A poll needs at least one choice."];
  if (texts.some((text) => text.length > LONGEST_TEXT)) {
    errors.choice_text = [`A choice has ${LONGEST_TEXT} characters at most.`];
  }
  if (Object.keys(errors).length) throw new FieldErrors(errors);
  const question = await api.stream("questions").create({ question_text });
  for (const text of texts) if (!(await actions.addChoice(question.id, text))) return;
}

// Runs `work` and shows what is wrong with it, if anything is; tells whether it went well.
async function attempt(work) {
  try {
    await work();
    $("fault").hidden = true;
    return true;
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    showError(error);
    return false;
  }
}

function showError(error) {
  setText($("fault"), Object.values(error.fields).flat().join(" ") || error.message);
  $("fault").hidden = false;
}

function showState(state) {
  const isOffline = state === "waiting" || (state === "connecting" && questions !== null);
  $("state").dataset.state = state;
  setText($("state"), isOffline ? STATES.waiting : STATES[state]);
  $("offline").hidden = !isOffline;
  $("hint").hidden = isOffline;
}

// Once for all that happened since the last frame of the screen.
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (questions && choices.state !== "pending") show(questions.rows, choices.rows);
  });
}

function show(questionRows, choiceRows) {
  board.show(questionRows, choiceRows);
  const shown = [...choiceRows.values()].filter((choice) => questionRows.has(choice.question));
  const votes = shown.reduce((sum, choice) => sum + choice.votes, 0);
  setText($("totals"), `${count(questionRows.size, "poll")}, ${count(votes, "vote")}`);
  setText($("empty"), $("search").value ? "No poll has these words." : "No polls yet. Ask the first question.");
  $("empty").hidden = questionRows.size > 0;
}

let typing;
$("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => search($("search").value.trim()), SEARCH_PAUSE);
});
$("ask-open").addEventListener("click", () => dialogs.ask.open({}, ask));
