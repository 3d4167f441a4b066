/* What every page does: local times, appearance, menus, confirmations, copying. Pages work without it. */

import { localise } from "./times.js";

const ENDS = /^\/(logout|settings\/sessions\/end|settings\/delete)$/;
const APPEARANCES = { "": "Automatic", light: "Light", dark: "Dark" };

export function remember(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch { /* storage is closed: it is forgotten with the page */ }
}

function recall(key) {
  try { return localStorage.getItem(key) ?? ""; } catch { return ""; }
}

/* What is kept for a person is theirs: under their mark ("person account"), and gone when they sign out or somebody
   else comes. */
const { content: owner = "", dataset: { guest } = {} } = document.querySelector('meta[name="owner"]') ?? {};
const OWN = "own:";

export function rememberOwn(key, value) { if (owner) remember(`${OWN}${owner}:${key}`, value); }
export function recallOwn(key) { return owner ? recall(`${OWN}${owner}:${key}`) : ""; }

/* A guest's drafts follow the chats to the person whom the guest turned out to be. */
function takeOver() {
  try {
    for (const key of Object.keys(localStorage)) {
      const own = key.startsWith(`${OWN}${guest}:`) && key.slice(`${OWN}${guest}:`.length);
      if (own && !recallOwn(own)) rememberOwn(own, recall(key));
    }
  } catch { /* storage is closed: there is nothing */ }
}

function forgetAllBut(kept) {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key !== "theme" && !(kept && key.startsWith(`${OWN}${kept}`))) localStorage.removeItem(key);
    }
  } catch { /* storage is closed: there is nothing */ }
}

function showAppearance() {
  const name = document.documentElement.dataset.theme ?? "";
  for (const target of document.querySelectorAll("[data-theme-name]")) target.textContent = APPEARANCES[name];
}

function nextAppearance() {
  const names = Object.keys(APPEARANCES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
  if (next) document.documentElement.dataset.theme = next;
  else delete document.documentElement.dataset.theme;
  remember("theme", next);
  showAppearance();
}

function reveal(button) {
  const field = document.getElementById(button.dataset.reveal);
  const shown = field.type === "text";
  field.type = shown ? "password" : "text";
  button.firstChild.textContent = shown ? "Show" : "Hide";
  button.setAttribute("aria-pressed", String(!shown));
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  await navigator.clipboard.writeText(source.value ?? source.textContent);
  const label = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1600);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-theme-toggle], [data-dismiss], [data-reveal], [data-copy], [data-back]");
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  if (!button) return;
  if ("themeToggle" in button.dataset) nextAppearance();
  else if ("dismiss" in button.dataset) button.closest(".flash, .notice").remove();
  else if (button.dataset.reveal) reveal(button);
  else if (button.dataset.copy) copy(button);
  else history.back();
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  event.preventDefault();
  menu.open = false;
  menu.querySelector("summary").focus();
});

/* A second click on the same button while the first is on its way sends nothing. */
const SAME_CLICK = 2000;
document.addEventListener("submit", (event) => {
  const { confirm: question, sentAt } = event.target.dataset;
  if (Date.now() - sentAt < SAME_CLICK) return event.preventDefault();
  event.target.dataset.sentAt = Date.now();
  if (question && !confirm(question)) event.preventDefault();
  else if (ENDS.test(new URL(event.target.action).pathname)) forgetAllBut("");
});

/* What was chosen before signing up goes on by itself; once, so that "back" does not lead there again. */
const onward = document.querySelector("form[data-go]");
if (onward && !sessionStorage.getItem(location.href)) {
  sessionStorage.setItem(location.href, "gone");
  onward.requestSubmit();
}
/* From a payment to the message that waits. */
const toChat = document.querySelector("[data-to-chat]");
if (toChat) toChat.href = recallOwn("waiting") || toChat.href;
for (const label of document.querySelectorAll(".flash-good, .flash-message")) setTimeout(() => label.remove(), 8000);
for (const button of document.querySelectorAll("[data-reveal]")) button.hidden = false;
for (const button of document.querySelectorAll("[data-back]")) button.hidden = history.length < 2;
if (owner && guest) takeOver();
if (owner) forgetAllBut(owner.startsWith("guest ") ? `${owner}:` : `${owner.split(" ")[0]} `);
showAppearance();
localise(document);
