/* One answer on the page: its blocks while it streams, its foot when it is done, and what went wrong. */

import { fileItem } from "./attach.js";
import { equipCode } from "./code.js";
import { count, creditsText, isGuest } from "./money.js";
import { fresh } from "./times.js";

const PATIENCE = 160;

export class Answer {
  constructor(article) {
    this.article = article;
    this.prose = article.querySelector("[data-prose]");
    this.blocks = [];
    this.text = "";
    this.tail = "";
    this.timer = null;
  }

  static make(title) {
    const article = fresh("answer-template").firstElementChild;
    article.querySelector("[data-model-title]").textContent = title;
    article.setAttribute("aria-label", `Answer from ${title}`);
    return new Answer(article);
  }

  get id() { return this.article.dataset.id; }
  get makesImages() { return "images" in this.article.dataset; }
  get hasWords() { return this.prose.textContent.trim() !== ""; }

  /* The stream begins, or begins again from its first character. */
  start({ message_id: id, call_id: call, model, left_out: leftOut }) {
    Object.assign(this.article.dataset, { id, call, model, status: "running" });
    this.showLeftOut(leftOut);
    this.text = "";
    this.forgetTail();
    this.waitFor("Thinking…");
    if (!this.blocks.length) this.prose.replaceChildren();
  }

  /* What the answer waits for before its first words. */
  waitFor(label) {
    const place = this.article.querySelector("[data-thinking] span");
    if (place) place.textContent = label;
  }

  /* Words that are not rendered yet. The server's next block brings them; if it takes long, they are shown as they are. */
  add(text) {
    this.text += text;
    this.tail += text;
    this.timer ??= setTimeout(() => this.showTail(), PATIENCE);
  }

  /* What the server has rendered. It is silent about a block that has not changed, so bare words are taken off that too. */
  set(index, html) {
    this.article.querySelector("[data-thinking]")?.remove();
    const known = this.blocks[index];
    this.takeTailOff(known);
    if (known) {
      if (known.html !== html || known.hasTail) this.fill(known, html);
      return;
    }
    if (index) equipCode(this.blocks[index - 1].element);
    this.blocks[index] = this.append(html);
  }

  append(html) {
    const element = this.prose.appendChild(document.createElement("div"));
    element.className = "block";
    return this.fill({ element }, html);
  }

  fill(block, html) {
    block.element.innerHTML = html;
    return Object.assign(block, { html, hasTail: false });
  }

  showTail() {
    this.timer = null;
    const last = this.blocks.at(-1)?.element;
    if (!last) return;
    let place = last;
    while (place.lastElementChild) place = place.lastElementChild;
    place.append(this.tail);
    this.blocks.at(-1).hasTail = true;
    this.tail = "";
  }

  /* From the last block, unless that is the one to be filled anyway. */
  takeTailOff(except) {
    this.forgetTail();
    const last = this.blocks.at(-1);
    if (last?.hasTail && last !== except) this.fill(last, last.html);
  }

  forgetTail() {
    clearTimeout(this.timer);
    this.timer = null;
    this.tail = "";
  }

  /* `done` or `error` has come. */
  end(name, fields) {
    this.takeTailOff();
    this.article.querySelector("[data-thinking]")?.remove();
    this.article.removeAttribute("aria-busy");
    this.article.dataset.status = name === "done" ? "done" : fields.code;
    equipCode(this.prose);
    this.showFoot(fields);
    if (fields.images) this.showImages(fields.images);
    if (name === "error") this.showProblem(fields);
    else if (fields.note) this.showNote(fields);
  }

  /* What was made. */
  showImages(images) {
    const list = Object.assign(document.createElement("ul"), { className: "files" });
    list.setAttribute("aria-label", "Images");
    list.append(...images.map((image) => fileItem(image)));
    this.prose.after(list);
    this.article.querySelector(".answer-cost span").textContent = images.length === 1 ? "1 image at a fixed price" : `${images.length} images at a fixed price`;
  }

  /* Why it ended, where it did not just end; and the way on. */
  showNote({ note, can_go_on: canGoOn }) {
    const box = fresh("note-template").firstElementChild;
    box.firstChild.textContent = note;
    if (!canGoOn) box.replaceChildren(box.firstChild);
    this.article.append(box);
  }

  /* Earlier messages that no longer fit into what the model reads. */
  showLeftOut(number) {
    this.article.querySelector("[data-left-out]")?.remove();
    if (!number) return;
    this.remark("leftOut", leftOutText(number));
  }

  showFoot(fields) {
    const foot = this.article.querySelector("[data-foot]");
    foot.replaceChildren(fresh("foot-template"));
    if (this.makesImages) for (const button of foot.querySelectorAll("button")) button.remove();
    const cost = foot.querySelector(".answer-cost");
    if (isGuest()) {
      cost.querySelector("b").textContent = "Free to try";
      return;
    }
    cost.href = `/billing/calls/${fields.call_id}`;
    cost.querySelector("b").textContent = fields.cost_nanos ? creditsText(fields.cost_nanos) : "Not charged";
    cost.querySelector("span").textContent = this.makesImages ? "" : tokens(fields);
  }

  showProblem({ code, detail }) {
    if (code === "stopped") return this.remark("problem", "You stopped this answer.");
    const box = fresh(this.makesImages ? "image-problem-template" : "problem-template").firstElementChild;
    if (detail) box.firstChild.textContent = detail;
    this.article.append(box);
  }

  /* A line under the answer; `mark` is what it is found by. */
  remark(mark, label) {
    const line = document.createElement("p");
    line.className = "small muted";
    line.dataset[mark] = "";
    line.textContent = label;
    this.article.append(line);
  }

  /* The connection is lost (it comes back by itself), or is back. */
  dropped(isBack) {
    this.article.querySelector("[data-dropped]")?.remove();
    if (isBack) return;
    this.remark("dropped", this.id ? "Connection lost. The answer continues; reconnecting…" : "Can't reach the server. Trying again…");
  }
}

export function leftOutText(number) {
  return `The model did not read the first ${number === 1 ? "message" : `${count(number)} messages`}: the chat is longer than its context window.`;
}

function tokens({ input_tokens: taken, output_tokens: made, estimated }) {
  if (taken === undefined) return "";
  return `${count(taken)} tokens in, ${count(made)} out${estimated ? " (estimated)" : ""}`;
}

/* `files` are list items of what goes with it. */
export function makeQuestion(text, files = []) {
  const article = fresh("question-template").firstElementChild;
  article.querySelector(".files").append(...files);
  article.querySelector(".question-text").textContent = text;
  return article;
}
