/* The list of chats: search, rename, delete with undo. */

import { Problem, json, request } from "./api.js";
import { deleteSoon } from "./deletion.js";
import { isEnter } from "./keys.js";
import { recallOwn, rememberOwn } from "./page.js";
import { Share } from "./share.js";
import { fresh } from "./times.js";

const PAUSE = 200;

export class Sidebar {
  /* `changed(response)`: the server's page after something was pinned or archived. */
  constructor({ changed }) {
    this.changed = changed;
    this.list = document.getElementById("chats");
    this.search = document.getElementById("search");
    this.menu = document.getElementById("chat-menu");
    this.share = new Share();
    this.everything = null;
    this.search.form.addEventListener("submit", (event) => event.preventDefault());
    this.search.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.find(), PAUSE);
    });
    this.list.addEventListener("click", (event) => {
      const button = event.target.closest("[data-chat-menu]");
      if (button) this.openMenu(button);
    });
    this.menu.addEventListener("click", (event) => {
      const { chat } = this.menu.dataset;
      this.menu.hidePopover();
      const has = (name) => event.target.closest(`[data-${name}]`);
      if (has("rename")) this.rename(chat);
      else if (has("delete")) this.remove(chat);
      else if (has("move")) this.move(chat);
      else if (has("share")) this.share.open(this.item(chat));
      else if (has("pin")) this.put(chat, "pin");
      else if (has("archive")) this.put(chat, "archive");
    });
    this.folder = document.getElementById("folder-dialog");
    this.folder.querySelector("[data-close]").addEventListener("click", () => this.folder.close());
    this.folder.querySelector("form").addEventListener("input", ({ target }) => target.setCustomValidity(""));
    this.folder.querySelector("form").addEventListener("submit", (event) => this.moved(event));
    document.getElementById("folders").addEventListener("click", (event) => { if (event.target.closest("[data-rename-folder]")) this.move(); });
    for (const button of document.querySelectorAll("[data-open-sidebar], [data-close-sidebar]")) {
      button.addEventListener("click", () => this.show("openSidebar" in button.dataset));
    }
  }

  show(isOpen) {
    document.body.classList.toggle("has-sidebar", isOpen);
    document.querySelector("[data-open-sidebar]")?.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.search.focus();
  }

  item(chat) { return this.list.querySelector(`[data-chat="${chat}"]`); }

  call(item, title) {
    const label = title || "New chat";
    item.querySelector("a").textContent = label;
    item.querySelector("[data-chat-menu]").setAttribute("aria-label", `Options for ${label}`);
  }

  /* The chat that was just begun. */
  add(chat, title) {
    const item = fresh("chat-template").firstElementChild;
    item.dataset.chat = chat;
    item.querySelector("a").href = `/chat/${chat}`;
    this.call(item, title);
    this.list.querySelector(".chat-list-empty")?.remove();
    this.list.prepend(item);
  }

  titled(chat, title, isOpen = false) {
    const item = this.item(chat);
    if (item) this.call(item, title);
    if (isOpen) document.title = `${title} · ${document.querySelector(".brand-name").textContent}`;
  }

  async find() {
    const label = this.search.value.trim();
    this.everything ??= [...this.list.children];
    if (!label) {
      this.list.replaceChildren(...this.everything);
      this.everything = null;
      return;
    }
    const found = await request("GET", `/chat/search?q=${encodeURIComponent(label)}&open=${location.pathname.slice(6)}`).then((response) => response.text(), told);
    if (label !== this.search.value.trim()) return;
    this.list.innerHTML = found.detail ? "<li class='chat-list-empty'></li>" : found;
    if (found.detail) this.list.firstChild.textContent = found.detail;
  }

  openMenu(button) {
    const { chat, pinned, archived } = button.closest(".chat-item").dataset;
    this.menu.dataset.chat = chat;
    this.menu.querySelector("[data-pin] span").textContent = pinned === undefined ? "Pin" : "Unpin";
    this.menu.querySelector("[data-archive] span").textContent = archived === undefined ? "Archive" : "Bring back";
    for (const link of this.menu.querySelectorAll("[data-export]")) link.href = `/chat/${chat}/export.${link.dataset.export}`;
    this.menu.showPopover();
    const { bottom, right, left } = button.getBoundingClientRect();
    const start = document.dir === "rtl" ? left : right - this.menu.offsetWidth;
    this.menu.style.top = `${Math.min(bottom + 4, innerHeight - this.menu.offsetHeight - 8)}px`;
    this.menu.style.left = `${Math.max(8, start)}px`;
    this.menu.querySelector("button").focus();
  }

  async put(chat, where) {
    await request("POST", `/chat/${chat}/${where}`);
    this.changed();
  }

  /* A chat goes into a folder; without one, the folder that is shown gets another name, which its form does. */
  move(chat) {
    const { elements } = this.folder.querySelector("form");
    this.folder.dataset.chat = chat ?? "";
    this.folder.querySelector("h2").textContent = chat ? "Move to folder" : "Rename folder";
    elements.folder.value = chat ? this.item(chat).dataset.folder ?? "" : elements.name.value;
    this.folder.showModal();
    elements.folder.select();
  }

  async moved(event) {
    const { chat } = this.folder.dataset;
    if (!chat) return;
    event.preventDefault();
    const field = event.target.elements.folder;
    const { folder, detail } = await json("PATCH", `/api/chats/${chat}`, { folder: field.value }).catch(told);
    field.setCustomValidity(detail ?? "");
    if (!field.reportValidity()) return;
    this.folder.close();
    const item = this.item(chat);
    if (folder) item.dataset.folder = folder;
    else delete item.dataset.folder;
    this.changed();
  }

  rename(chat) {
    const item = this.item(chat);
    const link = item.querySelector("a");
    const field = document.createElement("input");
    field.value = link.textContent;
    field.maxLength = 200;
    field.setAttribute("aria-label", "Chat title");
    link.hidden = true;
    item.prepend(field);
    field.select();
    let isOver = false;
    const finish = async (isKept) => {
      if (isOver) return;
      isOver = true;
      const title = field.value.trim();
      field.remove();
      link.hidden = false;
      link.focus();
      if (!isKept || !title || title === link.textContent) return;
      const before = link.textContent;
      this.call(item, title);
      await json("PATCH", `/api/chats/${chat}`, { title }).catch(() => this.call(item, before));
    };
    field.addEventListener("keydown", (event) => {
      if (isEnter(event)) finish(true);
      if (event.key === "Escape") { event.stopPropagation(); finish(false); }
    });
    field.addEventListener("blur", () => finish(true));
  }

  remove(chat) {
    if (recallOwn("waiting") === `/chat/${chat}`) rememberOwn("waiting", "");
    const leave = () => { if (location.pathname === `/chat/${chat}`) location.assign("/chat"); };
    deleteSoon(`/api/chats/${chat}`, () => this.item(chat), "Chat deleted.", leave);
  }
}

/* The problem itself, to be said in place. */
function told(problem) {
  if (problem instanceof Problem) return problem;
  throw problem;
}
