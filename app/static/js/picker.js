/* The choice of a model: a group of radio buttons that opens above the message. */

import { isEnter } from "./keys.js";
import { recallOwn, rememberOwn } from "./page.js";

const FAVOURITES = "favourite-models";

export class Picker {
  constructor() {
    this.panel = document.getElementById("picker");
    this.button = document.getElementById("picker-button");
    this.title = this.button.querySelector("[data-chosen-title]");
    this.once = null;
    this.changed = () => {};
    this.button.addEventListener("click", () => (this.panel.hidden ? this.open() : this.close()));
    this.search = this.panel.querySelector("input[type=search]");
    this.favourites = new Set(recallOwn(FAVOURITES).split("\n").filter(Boolean));
    this.panel.addEventListener("change", (event) => { if (event.target.matches("[type=radio]")) this.show(); });
    this.panel.addEventListener("click", (event) => {
      const star = event.target.closest("[data-favourite]");
      if (star) this.favour(star.dataset.favourite);
      else if (event.detail && event.target.matches("[type=radio]")) this.choose();
    });
    this.search.addEventListener("input", () => this.find());
    this.order();
    this.panel.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("pointerdown", (event) => {
      if (!this.panel.hidden && !this.panel.contains(event.target) && !this.button.contains(event.target)) this.close(false);
    });
  }

  get options() { return [...this.panel.querySelectorAll("[type=radio]:not(:disabled)")]; }
  get chosen() { return this.panel.querySelector("[type=radio]:checked"); }
  get model() { return this.chosen?.value ?? ""; }
  titleOf(model) { return this.panel.querySelector(`input[value="${CSS.escape(model)}"]`)?.dataset.title ?? model; }

  /* `once(model)`: what to do with this one choice, instead of only remembering it. */
  open(once = null) {
    this.once = once;
    this.panel.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.search.value = "";
    this.find();
    this.chosen?.focus();
    this.chosen?.scrollIntoView({ block: "nearest" });
  }

  close(backToButton = true) {
    this.panel.hidden = true;
    this.once = null;
    this.button.setAttribute("aria-expanded", "false");
    if (backToButton) document.getElementById("content").focus();
  }

  /* Only the models in whose name, id or provider every typed word is. */
  find() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const group of this.panel.querySelectorAll("[data-group]")) {
      const rows = [...group.querySelectorAll(".picker-row")];
      for (const row of rows) {
        const text = `${row.dataset.provider} ${row.textContent} ${row.querySelector("input").value}`.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
      group.hidden = rows.every((row) => row.hidden);
    }
  }

  favour(model) {
    if (!this.favourites.delete(model)) this.favourites.add(model);
    rememberOwn(FAVOURITES, [...this.favourites].join("\n"));
    this.order();
  }

  /* Favourites stand first, under a heading of their own; each goes back to its provider. */
  order() {
    const top = this.panel.querySelector("[data-favourites]");
    for (const row of this.panel.querySelectorAll(".picker-row")) {
      const isFavourite = this.favourites.has(row.querySelector("input").value);
      row.querySelector("[data-favourite]").setAttribute("aria-pressed", String(isFavourite));
      const home = isFavourite ? top : this.panel.querySelector(`[data-group="${CSS.escape(row.dataset.provider)}"]`);
      if (row.parentElement !== home) home.append(row);
    }
    this.find();
  }

  key(event) {
    if (event.target.matches("button")) return;
    if (isEnter(event)) {
      event.preventDefault();
      if (event.target === this.search) this.options.find((input) => !input.closest("[hidden]"))?.click();
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
