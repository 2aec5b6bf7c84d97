// One choice of a poll: a bar that is a button, and moves when somebody votes.

import { button, count, element, setText } from "./dom.js";

export class ChoiceBar {
  root = element("li");
  #text = element("span", "text");
  #numbers = element("span", "numbers");
  #added = element("span", "added");
  #votes = element("span", "votes");
  #share = element("b", "share");
  #button;
  #shown = null;
  #sending = 0;

  constructor(vote) {
    this.#button = button("choice", "", () => this.#vote(vote));
    this.#added.ariaHidden = "true";
    this.#numbers.append(this.#added, this.#votes, this.#share);
    this.#button.append(element("span", "unseen", "Vote for "), this.#text, this.#numbers);
    this.root.append(this.#button);
  }

  show({ choice_text, votes }, total, leads) {
    const share = total ? votes / total : 0;
    setText(this.#text, choice_text);
    setText(this.#votes, count(votes, "vote"));
    setText(this.#share, `${Math.round(share * 100)} %`);
    // The CSP refuses style attributes in the page, and allows a script to set a property.
    this.#button.style.setProperty("--share", share);
    this.#button.classList.toggle("leads", leads);
    if (this.#shown !== null && votes > this.#shown) this.#tell(votes - this.#shown);
    this.#shown = votes;
  }

  #tell(added) {
    this.#added.textContent = `+${added}`;
    this.#added.animate([{ opacity: 1 }, { opacity: 1, offset: 0.8 }, { opacity: 0 }], 2000);
  }

  // Nothing is counted here: the event tells of our own vote too, as it tells everybody else.
  async #vote(vote) {
    this.#sending += 1;
    this.#button.classList.add("sending");
    await vote();
    this.#sending -= 1;
    this.#button.classList.toggle("sending", this.#sending > 0);
  }
}
