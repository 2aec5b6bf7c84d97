// The polls on the page. Text from the server goes through textContent only.

export function element(tag, className = "", text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

function button(className, text, onClick) {
  const node = element("button", className, text);
  node.type = "button";
  node.addEventListener("click", onClick);
  return node;
}

// Makes `nodes` the children of `parent`. What is in its place stays untouched, and so keeps focus.
function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) {
    if (!wanted.has(child)) child.remove();
  }
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

class ChoiceBar {
  root;
  #text = element("span", "text");
  #votes = element("span", "votes");

  constructor(pk, actions) {
    this.root = button("choice", "", () => actions.vote(pk));
    this.root.append(this.#text, this.#votes);
  }

  show(choice, total) {
    const share = total ? choice.votes / total : 0;
    setText(this.#text, choice.choice_text);
    setText(this.#votes, `${count(choice.votes, "vote")}, ${Math.round(share * 100)} %`);
    this.root.style.setProperty("--share", share);
  }
}

class Card {
  root = element("article", "card");
  #title = element("h2");
  #choices = element("div", "choices");
  #about = element("p", "about");
  #bars = new Map();
  #actions;

  constructor(pk, actions) {
    this.#actions = actions;
    const tools = element("div", "tools");
    tools.append(
      this.#about,
      button("plain", "Rename", () => actions.rename(pk)),
      button("plain", "Delete", () => actions.remove(pk)),
    );
    if (actions.reset) tools.append(button("plain", "Reset votes", () => actions.reset(pk)));
    this.root.append(this.#title, this.#choices, this.#addForm(pk, actions), tools);
  }

  show(question, choices) {
    const total = choices.reduce((sum, choice) => sum + choice.votes, 0);
    const asked = new Date(question.pub_date).toLocaleString(undefined, {
      dateStyle: "medium",
      timeStyle: "short",
    });
    setText(this.#title, question.question_text);
    setText(this.#about, `${count(total, "vote")}, asked ${asked}`);
    arrange(this.#choices, choices.map((choice) => this.#bar(choice, total)));
    const present = new Set(choices.map((choice) => choice.id));
    for (const pk of this.#bars.keys()) if (!present.has(pk)) this.#bars.delete(pk);
  }

  #bar(choice, total) {
    if (!this.#bars.has(choice.id)) this.#bars.set(choice.id, new ChoiceBar(choice.id, this.#actions));
    const bar = this.#bars.get(choice.id);
    bar.show(choice, total);
    return bar.root;
  }

  #addForm(pk, actions) {
    const form = element("form", "add");
    const input = element("input");
    Object.assign(input, { placeholder: "Another choice", maxLength: 200, required: true, autocomplete: "off" });
    input.setAttribute("aria-label", "Another choice");
    form.append(input, element("button", "plain", "Add"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await actions.addChoice(pk, input.value)) form.reset();
    });
    return form;
  }
}

export class Board {
  #root;
  #actions;
  #cards = new Map();

  constructor(root, actions) {
    this.#root = root;
    this.#actions = actions;
  }

  // `questions` and `choices` are the rows by pk.
  show(questions, choices) {
    const newestFirst = [...questions.values()].sort(
      (a, b) => Date.parse(b.pub_date) - Date.parse(a.pub_date) || b.id - a.id,
    );
    const byQuestion = new Map(newestFirst.map((question) => [question.id, []]));
    for (const choice of [...choices.values()].sort((a, b) => a.id - b.id)) {
      byQuestion.get(choice.question)?.push(choice);
    }
    for (const pk of this.#cards.keys()) if (!questions.has(pk)) this.#cards.delete(pk);
    arrange(this.#root, newestFirst.map((question) => this.#card(question, byQuestion.get(question.id))));
  }

  #card(question, choices) {
    if (!this.#cards.has(question.id)) {
      this.#cards.set(question.id, new Card(question.id, this.#actions));
    }
    const card = this.#cards.get(question.id);
    card.show(question, choices);
    return card.root;
  }
}
