/* Files of the message being written: chosen, pasted or dropped, put up at once, shown with a way to take them off. */

import { icon } from "./code.js";
import { Problem, json } from "./api.js";
import { recallOwn, rememberOwn } from "./page.js";

const MOST = 5;
const LONGEST_SIDE = 2000;
const LARGEST = 3_500_000;
const SHRINKS = /^image\/(png|jpeg|webp)$/;

/* A file in the thread or in the message: an image as a picture of itself, a text by its name. */
export function fileItem({ id, name, media_type: type, excerpt }, source = `/api/attachments/${id}`) {
  const item = document.createElement("li");
  item.innerHTML = `<a class="file" target="_blank" rel="noopener">${type.startsWith("image/") ? "<img>" : `${icon("attach")}<span></span>`}</a>`;
  const link = item.firstChild;
  if (id) link.href = `/api/attachments/${id}`;
  link.title = name;
  if (link.querySelector("img")) Object.assign(link.querySelector("img"), { src: source, alt: name });
  else link.querySelector("span").textContent = excerpt ? `${name} (${excerpt})` : name;
  return item;
}

export class Files {
  /* `changed()` after each file that came or went; `key()` is what the draft is remembered by. */
  constructor({ changed, key }) {
    this.list = document.getElementById("files");
    this.note = document.getElementById("files-problem");
    this.input = document.getElementById("files-input");
    this.changed = changed;
    this.key = key;
    this.items = [];
    const field = document.getElementById("content");
    const target = document.getElementById("main");
    if (!this.input) return;
    document.getElementById("attach").addEventListener("click", () => this.input.click());
    this.input.addEventListener("change", () => { this.add(this.input.files); this.input.value = ""; field.focus(); });
    field.addEventListener("paste", (event) => this.take(event, event.clipboardData));
    for (const name of ["dragenter", "dragover"]) target.addEventListener(name, (event) => this.hover(event, true));
    for (const name of ["dragleave", "drop"]) target.addEventListener(name, (event) => this.hover(event, false));
    target.addEventListener("drop", (event) => this.take(event, event.dataTransfer));
  }

  get ids() { return this.items.filter(({ id }) => id).map(({ id }) => id); }
  get isBusy() { return this.items.some(({ id }) => !id); }

  hover(event, isOver) {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    document.getElementById("composer").classList.toggle("is-dropping", isOver);
  }

  take(event, { files }) {
    if (!files.length) return;
    event.preventDefault();
    this.add(files);
  }

  async add(files) {
    this.say("");
    for (const file of [...files]) {
      if (this.items.length >= MOST) {
        this.say(`You can attach up to ${MOST} files to a message. Send the others with the next one.`);
        return;
      }
      await this.put(file);
    }
  }

  async put(file) {
    const held = { name: file.name, media_type: file.type || "text/plain" };
    this.items.push(held);
    try {
      const source = await dataAddress(await shrunk(file));
      this.show(held, source);
      const data = source.slice(source.indexOf(",") + 1);
      Object.assign(held, await json("POST", "/api/attachments", { name: file.name, data }));
      held.element.replaceWith(this.element(held, source));
      document.getElementById("announcer").textContent = `${held.name} is attached${held.excerpt ? `: ${held.excerpt}` : ""}.`;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.drop(held);
      this.say(`${file.name} ${problem.errors?.data?.[0] ?? `could not be attached. ${problem.detail}`}`);
    }
    this.keep();
  }

  show(held, source) {
    this.list.append(this.element(held, source));
    this.changed();
  }

  element(held, source) {
    const item = fileItem(held, source);
    item.setAttribute("aria-busy", String(!held.id));
    const button = document.createElement("button");
    button.className = "icon-button";
    button.type = "button";
    button.innerHTML = icon("close");
    button.setAttribute("aria-label", `Remove ${held.name}`);
    button.addEventListener("click", () => { this.drop(held); this.keep(); document.getElementById("content").focus(); });
    item.append(button);
    item.querySelector("img")?.addEventListener("error", () => this.drop(held));
    held.element = item;
    return item;
  }

  drop(held) {
    held.element?.remove();
    this.items = this.items.filter((item) => item !== held);
    this.changed();
  }

  say(label) { this.note.textContent = label; }

  /* The draft's files are remembered by their ids; the server has them for a day. */
  keep() {
    const kept = this.items.filter(({ id }) => id).map(({ id, name, media_type, excerpt }) => ({ id, name, media_type, excerpt }));
    rememberOwn(`files:${this.key()}`, kept.length ? JSON.stringify(kept) : "");
    this.changed();
  }

  restore() {
    let kept = [];
    try { kept = JSON.parse(recallOwn(`files:${this.key()}`) || "[]"); } catch { /* not ours: forgotten */ }
    this.giveBack(kept);
  }

  /* Takes all files out, to be sent; they stay in the draft until the server has them. */
  takeAll() {
    const { items } = this;
    this.say("");
    this.items = [];
    this.list.replaceChildren();
    return items;
  }

  giveBack(items) {
    for (const held of items) {
      this.items.push(held);
      this.show(held);
    }
  }
}

/* A picture that is larger than models look at is made smaller here: quicker to send, and cheaper. */
async function shrunk(file) {
  if (!SHRINKS.test(file.type)) return file;
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return file;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  if (scale === 1 && file.size <= LARGEST) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const asBlob = (type) => new Promise((resolve) => { canvas.toBlob(resolve, type, 0.86); });
  const same = file.type === "image/png" ? await asBlob("image/png") : null;
  return same && same.size <= LARGEST ? same : asBlob("image/jpeg");
}

function dataAddress(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Problem({ detail: "It couldn't be read." }));
    reader.readAsDataURL(blob);
  });
}
