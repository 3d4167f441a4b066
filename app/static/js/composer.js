/* The message being written: its draft, its size, and what it will cost. */

import { leftOutText } from "./answer.js";
import { Problem, json } from "./api.js";
import { iconAddress } from "./code.js";
import { Files } from "./attach.js";
import { ImageOptions } from "./images.js";
import { isSend } from "./keys.js";
import { isGuest } from "./money.js";
import { recallOwn, rememberOwn } from "./page.js";
import { costText } from "./prices.js";
import { messageOf } from "./refusals.js";
import { when } from "./times.js";

const PAUSE = 300;
/* A second click within so many milliseconds is part of a double click on Send, and no wish to stop. */
const DOUBLE_CLICK = 500;

/* Another price begins within a day. */
const laterText = (later) => `From ${when(later.effective_from)}: ${costText(later)}`;

export class Composer {
  constructor({ picker, chat, settings, send, stop }) {
    this.form = document.getElementById("composer");
    this.field = document.getElementById("content");
    this.button = document.getElementById("send");
    this.note = document.getElementById("estimate");
    this.picker = picker;
    this.chat = chat;
    this.settings = settings;
    this.isRunning = false;
    this.promise = null;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.isRunning) send();
      else if (performance.now() - this.startedAt > DOUBLE_CLICK) stop();
    });
    this.field.addEventListener("input", () => this.written());
    this.field.addEventListener("keydown", (event) => {
      if (!isSend(event)) return;
      event.preventDefault();
      if (!this.isRunning) send();
    });
    this.initImages();
    this.field.value ||= recallOwn(this.draftKey);
    this.files = new Files({ changed: () => this.written(), key: () => this.draftKey });
    this.files.restore();
    this.written();
  }

  /* The button that has the message make images, and what it asks for them. */
  initImages() {
    this.imagesButton = document.getElementById("make-images");
    const place = document.getElementById("image-options");
    if (!place) return;
    this.images = new ImageOptions(place, () => this.written());
    this.imagesButton.addEventListener("click", async () => {
      const isOn = !this.makesImages;
      this.imagesButton.setAttribute("aria-pressed", String(isOn));
      place.hidden = !isOn;
      this.field.placeholder = isOn ? "Describe the image" : "Ask anything";
      if (isOn) await this.images.load();
      this.written();
      this.field.focus();
    });
  }

  get makesImages() { return this.imagesButton?.getAttribute("aria-pressed") === "true"; }
  get text() { return this.field.value.trim(); }
  get asked() { return JSON.stringify([this.text, this.makesImages, this.picker.model, this.files.ids, this.settings()]); }
  get draftKey() { return `draft:${this.chat() || "new"}`; }

  /* The ceiling that was shown for exactly this message, in nanos; null where none was. */
  get ceiling() {
    const shown = this.promise;
    return shown && shown.asked === this.asked ? shown.ceiling_nanos : null;
  }

  put(text) {
    this.field.value = text;
    this.written();
    this.field.focus();
  }

  /* Where the cursor is; a slash alone has only asked for it. */
  insert(text) {
    if (this.text === "/") this.field.value = "";
    const { value, selectionStart: start, selectionEnd: end } = this.field;
    this.put(value.slice(0, start) + text + value.slice(end));
  }

  written() {
    rememberOwn(this.draftKey, this.field.value);
    this.fit();
    this.allow();
    clearTimeout(this.timer);
    if (this.makesImages) {
      this.promise = null;
      this.note.textContent = this.images.priceText;
      return;
    }
    if (!this.text) {
      this.promise = null;
      this.note.textContent = "";
      return;
    }
    this.timer = setTimeout(() => this.estimate(), PAUSE);
  }

  /* Where the browser does not size the field by itself. */
  fit() {
    if (CSS.supports("field-sizing", "content")) return;
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
  }

  async estimate() {
    const { asked, text, picker: { model }, files: { ids } } = this;
    const chat = this.chat();
    const body = { content: text, model, ...this.settings(), ...(chat && { chat_id: chat }), ...(ids.length && { attachments: ids }) };
    try {
      const figures = await json("POST", "/api/estimate", body);
      if (asked !== this.asked) return;
      this.promise = { asked, ...figures };
      this.note.textContent = isGuest() ? "free to try" : costText(figures);
      if (figures.later && !isGuest()) this.note.textContent += `. ${laterText(figures.later)}`;
      if (figures.left_out) this.note.textContent += `. ${leftOutText(figures.left_out).replace("did not read", "will not read")}`;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (asked !== this.asked) return;
      this.promise = null;
      this.note.textContent = problem.code === "offline" ? "" : messageOf(problem);
    }
  }

  /* The message is on its way: out of the field, but not out of the draft until the server has it. */
  take() {
    const taken = { text: this.text, files: this.makesImages ? [] : this.files.takeAll() };
    clearTimeout(this.timer);
    this.field.value = "";
    this.fit();
    this.note.textContent = "";
    this.allow();
    return taken;
  }

  /* Refused: the words are where they were typed; files that the server no longer has are let go. */
  giveBack({ text, files }, problem) {
    if (!this.field.value) this.field.value = text;
    if (!problem?.errors?.attachments) this.files.giveBack(files);
    this.files.keep();
    this.written();
  }

  /* The server has the message: its draft is not needed anymore. */
  forget(key) {
    rememberOwn(key, "");
    rememberOwn(`files:${key}`, "");
  }

  running(isRunning) {
    if (isRunning && !this.isRunning) this.startedAt = performance.now();
    this.isRunning = isRunning;
    this.button.classList.toggle("is-stop", isRunning);
    this.button.setAttribute("aria-label", isRunning ? "Stop the answer" : "Send");
    this.button.querySelector("use").setAttribute("href", iconAddress(isRunning ? "stop" : "send"));
    this.allow();
  }

  allow() {
    this.button.disabled = !this.isRunning && (!this.text || this.files.isBusy);
  }
}
