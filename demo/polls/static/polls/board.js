// The polls on the page: a card for each question, a bar for each of its choices.

import { ChoiceBar } from "./choice.js";
import { arrange, button, count, element, setText } from "./dom.js";

// A poll with more choices shows these first, and a button for the others.
const CHOICES_SHOWN = 8;

export class Board {
  #root;
  #actions;
  #cards = new Map();

  constructor(root, actions) {
    this.#root = root;
    this.#actions = actions;
  }

  // `questions` and `choices` are the rows by key.
  show(questions, choices) {
    const newestFirst = [...questions.values()].sort(
      (a, b) => Date.parse(b.pub_date) - Date.parse(a.pub_date) || b.id - a.id,
    );
    const byQuestion = new Map(newestFirst.map((question) => [question.id, []]));
    for (const choice of [...choices.values()].sort((a, b) => a.id - b.id)) {
      byQuestion.get(choice.question)?.push(choice);
    }
    for (const pk of this.#cards.keys()) if (!questions.has(pk)) this.#cards.delete(pk);
    arrange(this.#root, newestFirst.map((question) => this.#show(question, byQuestion.get(question.id))));
  }

  #show(question, choices) {
    if (!this.#cards.has(question.id)) {
      this.#cards.set(question.id, new Card(question.id, this.#actions));
    }
    const card = this.#cards.get(question.id);
    card.show(question, choices);
    return card.root;
  }
}

class Card {
  root = element("article", "card");
  #title = element("h2");
  #standing = element("p", "standing");
  #choices = element("ul", "choices");
  #asked = element("time", "faint");
  #all = button("link", "", () => this.#showAll());
  #bars = new Map();
  #limit = CHOICES_SHOWN;
  #last = null;
  #pk;
  #actions;

  constructor(pk, actions) {
    this.#pk = pk;
    this.#actions = actions;
    this.#title.id = `poll-${pk}`;
    this.root.setAttribute("aria-labelledby", this.#title.id);
    this.root.append(this.#title, this.#standing, this.#choices, this.#all, this.#tools());
  }

  show(question, choices) {
    this.#last = [question, choices];
    const total = choices.reduce((sum, choice) => sum + choice.votes, 0);
    const leaders = leadersOf(choices);
    setText(this.#title, question.question_text);
    setText(this.#standing, standing(choices, leaders, total));
    this.#showDate(question.pub_date);
    const shown = choices.slice(0, this.#limit);
    arrange(this.#choices, shown.map((choice) => this.#bar(choice, total, leaders.includes(choice))));
    setText(this.#all, `Show all ${choices.length} choices`);
    this.#all.hidden = shown.length === choices.length;
    const present = new Set(choices.map((choice) => choice.id));
    for (const pk of this.#bars.keys()) if (!present.has(pk)) this.#bars.delete(pk);
  }

  #bar(choice, total, leads) {
    if (!this.#bars.has(choice.id)) {
      this.#bars.set(choice.id, new ChoiceBar(() => this.#actions.vote(choice.id)));
    }
    const bar = this.#bars.get(choice.id);
    bar.show(choice, total, leads);
    return bar.root;
  }

  #showAll() {
    this.#limit = Infinity;
    this.show(...this.#last);
    // The button is gone, and with it the focus: it goes on to what the button has brought.
    this.#choices.children[CHOICES_SHOWN]?.firstElementChild.focus();
  }

  #showDate(date) {
    this.#asked.dateTime = date;
    const words = new Date(date).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
    setText(this.#asked, `Asked ${words}`);
  }

  #tools() {
    const { rename, remove, reset } = this.#actions;
    const details = element("details", "tools");
    const summary = element("summary");
    summary.append(this.#asked, element("span", "link", "Edit"));
    const row = element("div", "row");
    row.append(button("plain", "Rename", () => rename(this.#pk)));
    if (reset) row.append(button("plain", "Reset the votes", () => reset(this.#pk)));
    row.append(button("plain danger", "Delete", () => remove(this.#pk)));
    details.append(summary, this.#addForm(), row);
    return details;
  }

  #addForm() {
    const form = element("form", "row");
    const input = element("input");
    Object.assign(input, { placeholder: "Another choice", maxLength: 200, required: true, autocomplete: "off" });
    input.ariaLabel = "Another choice";
    form.append(input, element("button", "plain", "Add"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const text = input.value;
      // What was typed while it was under way stays.
      if ((await this.#actions.addChoice(this.#pk, text)) && input.value === text) form.reset();
    });
    return form;
  }
}

function leadersOf(choices) {
  const most = Math.max(0, ...choices.map((choice) => choice.votes));
  return most ? choices.filter((choice) => choice.votes === most) : [];
}

function standing(choices, leaders, total) {
  if (!choices.length) return "No choices yet. Edit the poll to add some.";
  if (!leaders.length) return "No votes yet. Be the first.";
  const ahead = leaders.length === 1 ? `“${leaders[0].choice_text}” leads` : `${leaders.length} choices are tied`;
  return `${count(total, "vote")}: ${ahead}`;
}
