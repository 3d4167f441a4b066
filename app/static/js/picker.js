/* The choice of a model: a group of radio buttons that opens above the message. */

import { isEnter } from "./keys.js";

export class Picker {
  constructor() {
    this.panel = document.getElementById("picker");
    this.button = document.getElementById("picker-button");
    this.title = this.button.querySelector("[data-chosen-title]");
    this.once = null;
    this.changed = () => {};
    this.button.addEventListener("click", () => (this.panel.hidden ? this.open() : this.close()));
    this.panel.addEventListener("change", () => this.show());
    this.panel.addEventListener("click", (event) => { if (event.detail && event.target.matches("input")) this.choose(); });
    this.panel.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("pointerdown", (event) => {
      if (!this.panel.hidden && !this.panel.contains(event.target) && !this.button.contains(event.target)) this.close(false);
    });
  }

  get options() { return [...this.panel.querySelectorAll("input:not(:disabled)")]; }
  get chosen() { return this.panel.querySelector("input:checked"); }
  get model() { return this.chosen?.value ?? ""; }
  titleOf(model) { return this.panel.querySelector(`input[value="${CSS.escape(model)}"]`)?.dataset.title ?? model; }

  /* `once(model)`: what to do with this one choice, instead of only remembering it. */
  open(once = null) {
    this.once = once;
    this.panel.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.chosen?.focus();
    this.chosen?.scrollIntoView({ block: "nearest" });
  }

  close(backToButton = true) {
    this.panel.hidden = true;
    this.once = null;
    this.button.setAttribute("aria-expanded", "false");
    if (backToButton) document.getElementById("content").focus();
  }

  key(event) {
    if (isEnter(event)) {
      event.preventDefault();
      this.choose();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.close();
    }
  }

  choose() {
    const { once, model } = this;
    this.close();
    if (once) once(model);
  }

  show() {
    this.title.textContent = this.chosen.dataset.title;
    this.changed(this.model);
  }

  select(model) {
    const option = this.options.find((input) => input.value === model);
    if (!option) return false;
    option.checked = true;
    this.show();
    return true;
  }
}
