/* The chat page: sends, follows, stops, answers again, edits; everything else is in the modules that it imports. */

import { Answer, makeQuestion } from "./answer.js";
import { Problem, json, request } from "./api.js";
import { copyText, equipCode } from "./code.js";
import { fileItem } from "./attach.js";
import { Composer } from "./composer.js";
import { toast } from "./deletion.js";
import { editQuestion } from "./editing.js";
import { nameKeys } from "./keys.js";
import { creditsText, isGuest, showBalance } from "./money.js";
import { rememberOwn } from "./page.js";
import { Picker } from "./picker.js";
import { ceilingIn, costText, priceOf, showPrice, showPriceOfRest } from "./prices.js";
import { showOffer, showRefusal } from "./refusals.js";
import { Scroll } from "./scroll.js";
import { SetUp } from "./set_up.js";
import { Sidebar } from "./sidebar.js";
import { ask, follow } from "./stream.js";
import { localise } from "./times.js";
import { awaitTitle, copyTotal, firstWords, showTotal } from "./total.js";
import { WORDS as TOPPING_UP, pastRecharge } from "./topping_up.js";

const messages = document.getElementById("messages");
const refusal = document.getElementById("refusal");
const announcer = document.getElementById("announcer");
const canManage = Boolean(messages.dataset.manager);
const signUp = document.querySelector("[data-sign-up]");
const prompts = document.getElementById("prompts");
const temporary = document.getElementById("temporary");
const tabs = new BroadcastChannel("tollgate");

let chat = messages.dataset.chat || null;
let running = null;
let wantsStop = false;
let wake = () => {};

const picker = new Picker();
const setUp = new SetUp({ chat: () => chat, changed: () => composer.written() });
const composer = new Composer({ picker, chat: () => chat, settings: () => setUp.settings, send, stop });
const sidebar = new Sidebar({ changed: () => refresh() });
const scroll = new Scroll();
const contentOf = new WeakMap();
const chosenModel = () => picker.model;

function announce(label) {
  announcer.textContent = label;
}

/* A budget or a limit of one's own was in the way: it is raised, and the message is sent. */
async function raise(problem, credits, again) {
  if (problem.code === "own_limit_reached") await json("PUT", "/api/own-limit", { limit_credits: credits, period: problem.limit_kind });
  else if (chat) await json("PATCH", `/api/chats/${chat}`, { budget_credits: credits });
  else setUp.kept = { ...setUp.kept, budget_credits: credits };
  if (problem.code === "chat_budget_reached") setUp.showBudget(credits);
  again();
}

/* Sending: the question and a waiting answer are shown at once; a refusal takes them back and keeps the words. */
async function send(most = composer.ceiling) {
  if (prompts?.matches(":popover-open")) return prompts.querySelector("button").click();
  if (composer.makesImages) return sendForImages();
  const { text, draftKey, files: { ids, isBusy } } = composer;
  const { model } = picker;
  if (!text || running || isBusy) return;
  const body = { content: text, model, ...(most !== null && { max_cost_nanos: most }), ...(ids.length && { attachments: ids }) };
  const taken = composer.take();
  const question = makeQuestion(text, taken.files.map((file) => fileItem(file)));
  const answer = Answer.make(picker.titleOf(model));
  const restore = replaceFrom(document.getElementById("welcome"), [question, answer.article]);
  scroll.toEnd();
  await attempt(answer, async () => {
    const isNew = !chat;
    const [path, sent] = isNew ? ["/api/chats", { ...body, ...setUp.settings }] : [`/api/chats/${chat}/messages`, body];
    await run(answer, "POST", path, sent, (fields) => {
      question.dataset.id = fields.user_message_id;
      composer.forget(draftKey);
      if (isNew && !chat) opened(fields.chat_id, text);
    });
    if (isNew && !isGuest() && !temporary) awaitTitle(chat, (title) => sidebar.titled(chat, title, true));
  }, (problem) => { restore(); composer.giveBack(taken, problem); }, (problem) => send(problem?.model_ceiling_nanos));
}

/* The same for images: their price was shown, and nothing above it is paid. Files wait for a message that takes them. */
async function sendForImages() {
  const { text, draftKey, images } = composer;
  if (!text || running || images.nanos === null) return;
  const place = chat ? { chat_id: chat } : { new_chat: setUp.settings };
  const body = { prompt: text, ...images.asked, max_cost_nanos: images.nanos, ...place };
  const taken = composer.take();
  const question = makeQuestion(text);
  const answer = Answer.make(images.title);
  answer.article.dataset.images = "";
  answer.waitFor("Drawing…");
  const restore = replaceFrom(document.getElementById("welcome"), [question, answer.article]);
  scroll.toEnd();
  await attempt(answer, () => run(answer, "POST", "/api/images", body, (fields) => {
    question.dataset.id = fields.user_message_id;
    composer.forget(draftKey);
    if (!chat) opened(fields.chat_id, text);
    composer.files.keep();
    answer.waitFor("Drawing…");
  }), (problem) => { restore(); composer.giveBack(taken, problem); }, () => send());
}

/* The first message was accepted: there is a chat, called by its first words until a model has written a title. */
function opened(id, text) {
  chat = id;
  messages.dataset.chat = chat;
  history.replaceState(null, "", `/chat/${chat}`);
  if (temporary) temporary.hidden = false;
  else {
    sidebar.add(chat, firstWords(text));
    sidebar.titled(chat, firstWords(text), true);
  }
  signUp?.setAttribute("href", `/signup?next=/chat/${chat}`);
}

/* Answering again replaces the answer and what came after it; the earlier version is kept. */
async function regenerate(article, model = null, most = ceilingIn(article.querySelector("[data-again-price]"))) {
  if (running) return;
  const chosen = model ?? article.dataset.model;
  const answer = Answer.make(picker.titleOf(chosen));
  const restore = replaceFrom(article, [answer.article]);
  await attempt(answer, async () => {
    await run(answer, "POST", `/api/messages/${article.dataset.id}/regenerate`, { ...(model && { model }), ...most });
    await refresh();
  }, restore, (problem) => regenerate(article, problem?.model ?? model, {}));
}

/* Another model: its price for this answer first, beside the button that asks for it. */
async function offerAgain(article, model) {
  const figures = await priceOf({ message_id: article.dataset.id, model });
  if (!figures) return regenerate(article, model, {});
  const title = picker.titleOf(model);
  showOffer(refusal, `${title}: ${costText(figures)}.`, "Answer again", () => regenerate(article, model, { max_cost_nanos: figures.ceiling_nanos }));
}

/* The prices of what the last answer offers: again, and the rest of it. Of others as the pointer or the focus comes. */
function priceAnswer(article) {
  if (!article?.dataset.id || article.dataset.status === "running") return;
  if (article.querySelector("[data-regenerate]")) showPrice(article.querySelector("[data-again-price]"), { message_id: article.dataset.id });
  if (article === lastAnswer()) showPriceOfRest(article);
}

const lastAnswer = () => [...messages.querySelectorAll(".answer")].at(-1);

/* The rest of an answer that its limit cut off, in its place: the same message goes on. */
async function goOn(article, model = null, most = ceilingIn(article.querySelector("[data-go-on-price]"))) {
  if (running) return;
  const answer = Answer.make(picker.titleOf(article.dataset.model));
  const restore = replaceFrom(article, [answer.article]);
  await attempt(answer, async () => {
    await run(answer, "POST", `/api/messages/${article.dataset.id}/continue`, { ...(model && { model }), ...most });
    await refresh();
  }, restore, (problem) => goOn(article, problem?.model ?? model, {}));
}

async function resend(article, text, most = {}) {
  if (running || !text.trim()) return;
  const answer = Answer.make(picker.titleOf(picker.model));
  const question = makeQuestion(text, [...article.querySelectorAll(".files > li")].map((file) => file.cloneNode(true)));
  const restore = replaceFrom(article, [question, answer.article]);
  await attempt(answer, async () => {
    await run(answer, "PUT", `/api/messages/${article.dataset.id}`, { content: text, model: picker.model, ...most }, (fields) => {
      question.dataset.id = fields.user_message_id;
    });
    await refresh();
  }, () => { restore(); editQuestion(article, resend, chosenModel, text); }, () => resend(article, text));
}

/* Puts `fresh` where `first` and all after it were, or at the end; returns what brings them back. */
function replaceFrom(first, fresh) {
  const all = [...messages.children];
  const old = first ? all.slice(all.indexOf(first)) : [];
  for (const element of old) element.remove();
  messages.append(...fresh);
  return () => {
    for (const element of fresh) element.remove();
    messages.append(...old);
  };
}

/* Runs `work`; a Problem before the answer began undoes it on the page and is explained in place. */
async function attempt(answer, work, undo, again) {
  refusal.replaceChildren();
  try {
    await pastRecharge(work, (seconds) => toppedUp(answer, seconds));
  } catch (problem) {
    over();
    if (!(problem instanceof Problem)) throw problem;
    if (answer.id) {
      answer.end("error", { code: problem.code, detail: `${problem.detail} Reload the page to see the answer.`, call_id: answer.article.dataset.call });
      return;
    }
    undo(problem);
    rememberOwn("waiting", location.pathname + location.search);
    showRefusal(refusal, problem, { again, cheaper: () => { picker.select(problem.model); again(problem); }, switch: () => picker.select(problem.model), picker: () => picker.open(), raise: (asked, credits) => raise(asked, credits, again) }, canManage);
    scroll.keep();
  }
}

async function run(answer, method, path, body, started = () => {}) {
  await watch(answer, (ears) => ask(method, path, body, ears), (fields) => {
    started(fields);
    rememberOwn("waiting", "");
    tabs.postMessage({ chat });
  });
}

/* Shows the events of an answer as they come. */
async function watch(answer, listen, started = () => {}) {
  begin(answer);
  const heard = (name, fields) => {
    if (name === "start") {
      answer.start(fields);
      started(fields);
      announce("Answer started.");
      if (wantsStop) stop();
    } else if (name === "delta") answer.add(fields.text);
    else if (name === "block") answer.set(fields.index, fields.html);
    else ended(answer, name, fields);
  };
  try {
    await listen({ heard, dropped: (isBack) => answer.dropped(isBack) });
  } finally {
    over();
  }
}

function begin(answer, label = "") {
  running = answer;
  wantsStop = false;
  composer.running(true);
  announce(label);
}

function over() {
  running = null;
  composer.running(false);
}

/* Waits while a recharge is being paid; false where it was stopped. */
function toppedUp(answer, seconds) {
  if (wantsStop) return false;
  begin(answer, TOPPING_UP);
  answer.waitFor(TOPPING_UP);
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000, true);
    wake = () => { clearTimeout(timer); resolve(false); };
  });
}

function ended(answer, name, fields) {
  contentOf.set(answer.article, answer.text);
  answer.end(name, fields);
  showBalance(fields.available_nanos);
  showTotal(chat);
  tabs.postMessage({ chat, available: fields.available_nanos });
  priceAnswer(answer.article);
  announce(name === "done" ? `Answer finished. ${fields.cost_nanos ? creditsText(fields.cost_nanos) : "Not charged"}.` : fields.detail || "The answer ended early.");
}

async function stop() {
  if (!running) return;
  wantsStop = true;
  wake();
  if (running.id) await json("POST", `/api/messages/${running.id}/stop`).catch(() => {});
}

/* Brings the thread and the list to what the server has: after another version, or what another tab did. */
async function refresh(page = fetch(location.href)) {
  const response = await Promise.resolve(page).catch(() => null);
  if (!response?.ok || running) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  if (running) return;
  messages.replaceChildren(...fresh.getElementById("messages").children);
  if (!sidebar.search.value) for (const id of ["chats", "folders"]) document.getElementById(id).replaceChildren(...fresh.getElementById(id).children);
  localise(document);
  copyTotal(fresh);
  showBalance(Number(fresh.getElementById("balance")?.dataset.nanos));
  equipCode(messages);
  scroll.keep();
  priceAnswer(lastAnswer());
  followRunning();
}

async function followRunning() {
  const article = messages.querySelector('.answer[data-status="running"]');
  if (!article || running) return;
  const answer = new Answer(article);
  try {
    await watch(answer, (ears) => follow(article.dataset.id, ears));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    answer.end("error", { code: problem.code, detail: problem.detail, call_id: article.dataset.call });
  }
}

async function copyAnswer(article, button) {
  let text = contentOf.get(article);
  if (text === undefined) {
    const { messages: all } = await json("GET", `/api/chats/${chat}`);
    text = all.find(({ id }) => id === article.dataset.id)?.content ?? "";
  }
  copyText(text, button);
}

async function showVersion(id) {
  if (running) return;
  await refresh(await request("POST", `/chat/${chat}/version`, { form: { message_id: id } }));
}

/* A temporary chat is kept, or deleted before its time is over. */
async function endTemporary(isKept) {
  try {
    await (isKept ? json("PATCH", `/api/chats/${chat}`, { is_temporary: false }) : request("DELETE", `/api/chats/${chat}`));
    location.assign(isKept ? location.pathname : "/chat");
  } catch (problem) {
    toast(problem.detail, "Try again", () => endTemporary(isKept));
  }
}

temporary?.addEventListener("click", ({ target }) => { if (target.matches("button")) endTemporary("keep" in target.dataset); });

/* To the message that a search led to, which another version may hide. */
async function goToFound() {
  const [hash, id] = /^#m(\d+)$/.exec(location.hash) ?? [];
  if (!hash) return;
  const find = () => messages.querySelector(hash);
  if (!find()) await showVersion(id).catch(() => {});
  scroll.isPinned = false;
  sidebar.show(false);
  find()?.focus();
}

prompts?.addEventListener("click", ({ target: { dataset } }) => { if (dataset.suggestion) composer.insert(dataset.suggestion); });
composer.field.addEventListener("input", () => prompts?.[composer.text === "/" ? "showPopover" : "hidePopover"]({ source: composer.field }));

messages.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const article = button.closest(".message");
  const has = (name) => name in button.dataset;
  if (has("suggestion")) composer.put(button.dataset.suggestion);
  else if (has("copyQuestion")) copyText(article.querySelector(".question-text").textContent, button);
  else if (has("copyAnswer")) copyAnswer(article, button);
  else if (has("edit")) edit(article);
  else if (has("askAgain")) edit(article.previousElementSibling);
  else if (has("regenerateWith")) picker.open((model) => offerAgain(article, model));
  else if (has("regenerate")) regenerate(article);
  else if (has("goOn")) goOn(article);
  else if (has("version")) showVersion(button.dataset.version);
});

for (const moment of ["pointerover", "focusin"]) {
  messages.addEventListener(moment, (event) => {
    if (event.target.closest("[data-regenerate]")) priceAnswer(event.target.closest(".answer"));
  });
}

/* Whether Escape closes something else: a dialog, a menu, the list on a phone, what is typed elsewhere. */
function closes({ target, defaultPrevented }) {
  const isElsewhere = target !== composer.field && target.matches("input, textarea, select");
  return defaultPrevented || isElsewhere || document.querySelector("dialog[open], :popover-open")
    || document.querySelector(".sidebar-scrim").getClientRects().length > 0;
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, textarea, select");
  const command = event.ctrlKey || event.metaKey;
  if (command && event.key.toLowerCase() === "k") { event.preventDefault(); sidebar.show(true); sidebar.search.select(); }
  else if (command && event.shiftKey && event.key.toLowerCase() === "o") { event.preventDefault(); location.assign("/chat"); }
  else if (event.key === "Escape" && running && !closes(event)) stop();
  else if (event.key === "Escape") sidebar.show(false);
  else if (event.key === "/" && !isTyping) { event.preventDefault(); composer.field.focus(); }
  else if (event.key === "?" && !isTyping) help();
  else if (event.key === "ArrowUp" && event.target === composer.field && !composer.field.value) editLast(event);
});

function editLast(event) {
  const last = [...messages.querySelectorAll(".question")].at(-1);
  if (!last || running) return;
  event.preventDefault();
  edit(last);
}

/* In its place; what images were asked for goes into the field, with its price. */
function edit(question) {
  if (question.nextElementSibling?.dataset.images === undefined) return editQuestion(question, resend, chosenModel);
  if (!composer.makesImages) composer.imagesButton.click();
  composer.put(question.querySelector(".question-text").textContent);
}

function help() {
  document.getElementById("help").showModal();
}

tabs.addEventListener("message", ({ data }) => {
  showBalance(data.available);
  if (data.chat === chat && !running) refresh();
});

for (const button of document.querySelectorAll("[data-help]")) button.addEventListener("click", help);
picker.changed = () => { composer.written(); priceAnswer(lastAnswer()); };
priceAnswer(lastAnswer());
equipCode(messages);
nameKeys();
followRunning();
for (const button of messages.querySelectorAll("[data-suggestion]")) button.disabled = false;
if (location.hash) goToFound();
else if (matchMedia("(min-width: 821px)").matches) composer.field.focus();
addEventListener("hashchange", goToFound);
