/* The editor: saves by itself, asks models, shows what they propose, keeps or drops it. */

import { Problem, json, request } from "./api.js";
import { fileItem } from "./attach.js";
import { ImageOptions } from "./images.js";
import { count, creditsText, showBalance } from "./money.js";
import { ceilingFor, showNoPrice, showPrice as showPriceIn } from "./prices.js";
import { messageOf, showRefusal } from "./refusals.js";
import { ask } from "./stream.js";

const PAUSE = 900;
const id = (name) => document.getElementById(name);
const page = id("document");
const FIELDS = { content: "The text", title: "The title" };
const path = `/api/documents/${page.dataset.id}`;
const body = id("body");
const title = id("title");
const state = { revision: Number(page.dataset.revision), text: "hasReturns" in page.dataset ? null : body.defaultValue, title: title.defaultValue, shown: null, running: null, isStale: false };
let timer, saving = Promise.resolve(true);

/* Saving */

function say(text) { id("saved").textContent = text; }

function countWords() {
  const words = body.value.split(/\s+/).filter(Boolean).length;
  id("words").textContent = words === 1 ? "1 word" : `${count(words)} words`;
}

function save() {
  clearTimeout(timer);
  saving = saving.then(saveNow, saveNow);
  return saving;
}

async function saveNow() {
  const [text, name] = [body.value, title.value];
  if (text === state.text && name === state.title) return true;
  if (state.isStale) return false;
  say("Saving…");
  try {
    const sent = { title: name, ...(text === state.text ? {} : { content: text, revision: state.revision }) };
    const saved = await json("PATCH", path, sent);
    Object.assign(state, { revision: saved.revision, text, title: name });
    say("Saved");
    return true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    state.isStale = problem.code === "document_changed";
    const mayPass = problem.status === 0 || problem.status === 429 || problem.status >= 500;
    const why = mayPass ? "Not saved yet" : `Not saved. ${messageOf(problem, FIELDS)}`;
    say(state.isStale ? "Changed in another tab: copy what you typed, then reload this page." : why);
    if (mayPass) timer = setTimeout(save, 5000);
    return false;
  }
}

for (const field of [body, title]) {
  field.addEventListener("input", () => {
    countWords();
    clearTimeout(timer);
    say("");
    timer = setTimeout(save, PAUSE);
  });
  field.addEventListener("blur", () => save());
}
addEventListener("beforeunload", (event) => {
  if (body.value !== state.text || title.value !== state.title) { save(); event.preventDefault(); }
});

id("preview").addEventListener("click", async (event) => {
  const isOn = event.currentTarget.getAttribute("aria-pressed") !== "true";
  event.currentTarget.setAttribute("aria-pressed", String(isOn));
  if (isOn) {
    await save();
    id("rendered").innerHTML = await (await request("GET", `/documents/${page.dataset.id}/preview`)).text();
  }
  id("rendered").hidden = !isOn;
  body.hidden = isOn;
});

/* Asking */

/* Where the selection begins and ends, in code points, as the server counts them. */
function selection() {
  const points = (end) => [...body.value.slice(0, end)].length;
  return { start: points(body.selectionStart), end: points(body.selectionEnd) };
}
let selected = selection();
body.addEventListener("select", () => { selected = selection(); showPrice(); });
for (const name of ["keyup", "mouseup", "blur"]) body.addEventListener(name, () => { selected = selection(); });

function wish() {
  const operation = id("operation").value;
  const sent = { instructions: id("instructions").value, model: id("model").value, revision: state.revision };
  if (operation === "refine_selection" || (operation === "image_prompt" && selected.start < selected.end)) Object.assign(sent, selected);
  if (operation === "repurpose") sent.kind = id("kind").value;
  return [operation, sent];
}

function priced() {
  const [operation, sent] = wish();
  return { document_id: page.dataset.id, ...sent, operation };
}

/* What is still missing before a price can be told; nothing where all is there. */
function missing(operation, { instructions, kind, start, end }) {
  if (operation === "refine_selection" && start === end) return "Select the passage first.";
  const isEnough = operation === "image_prompt" || (operation === "repurpose" && kind);
  return isEnough || instructions.trim() ? null : "";
}

let asking;
function showPriceSoon() { clearTimeout(asking); asking = setTimeout(showPrice, 400); }
async function showPrice() {
  id("ask").querySelector("[data-kinds]").hidden = id("operation").value !== "repurpose";
  const [operation, asked] = wish();
  const lack = body.value.trim() ? missing(operation, asked) : "Write something first.";
  if (lack !== null) showNoPrice(id("price"), lack);
  else if (await save()) await showPriceIn(id("price"), priced());
}
for (const name of ["operation", "kind", "model"]) id(name).addEventListener("change", showPrice);
id("instructions").addEventListener("input", showPriceSoon);

/* The price that was shown is the most that it costs. */
async function go(most) {
  if (!(await save())) return;
  const [operation, asked] = wish();
  const sent = { ...asked, ...(most ?? ceilingFor(id("price"), priced())) };
  id("refusal").replaceChildren();
  id("go").disabled = true;
  let told = "", end = null;
  try {
    await ask("POST", `${path}/${operation.replaceAll("_", "-")}`, sent, {
      heard: (name, event) => {
        if (name === "start") { told = ""; begun(event); }
        if (name === "delta") { told += event.text; id("diff").textContent = told; }
        if (name === "done" || name === "error") end = event;
      },
    });
    await ended(operation, end);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.errors) showNoPrice(id("price"), messageOf(problem, FIELDS));
    else showRefusal(id("refusal"), problem, { again: () => go({}), cheaper, picker: () => id("model").focus() }, "canManage" in page.dataset);
  } finally {
    id("go").disabled = false;
    id("stop").hidden = true;
  }
}
function cheaper({ model, model_ceiling_nanos: most }) {
  id("model").value = model;
  go({ max_cost_nanos: most });
}
id("ask").addEventListener("submit", (event) => { event.preventDefault(); go(); });

function begun(event) {
  state.running = event.revision_id ?? null;
  id("stop").hidden = !state.running;
  id("proposal").hidden = false;
  for (const name of ["keep", "drop"]) id(name).hidden = true;
  id("receipt").textContent = "Writing …";
  id("diff").textContent = "";
}

async function ended(operation, end) {
  if (!end) return;
  showBalance(end.available_nanos);
  const cost = `${creditsText(end.cost_nanos)}${end.code ? `. ${end.detail}` : "."}`;
  if (operation === "repurpose") { location.assign(`/documents/${end.document_id}`); return; }
  if (operation === "image_prompt" && picture && !end.code) id("picture-prompt").value = id("diff").textContent;
  if (operation === "refine" || operation === "refine_selection") await look(end.revision_id);
  const receipt = Object.assign(document.createElement("a"), { href: `/billing/calls/${end.call_id}`, textContent: cost });
  id("receipt").replaceChildren("It cost ", receipt, ` ${noteOf(end)}`);
}
/* A proposal whose end is missing looks like one that leaves it out. */
function noteOf({ finish_reason: reason, shortened, note }) {
  return reason === "length" && !shortened ? "It was cut off: the end is missing. Refine a selection, or choose another model." : note ?? "";
}
id("stop").addEventListener("click", () => { if (state.running) json("POST", `/api/revisions/${state.running}/stop`); });

/* Images */

const picture = id("picture");
const options = picture && new ImageOptions(picture.querySelector("[data-image-options]"), () => { id("picture-price").textContent = options.priceText; });
options?.load();

async function makePicture() {
  const prompt = id("picture-prompt").value.trim();
  if (!prompt) { id("picture-price").textContent = "Say what it shows."; id("picture-prompt").focus(); return; }
  if (options.nanos === null) return;
  id("picture-refusal").replaceChildren();
  id("picture-go").disabled = true;
  id("picture-price").textContent = "Drawing …";
  let end = null;
  try {
    await ask("POST", "/api/images", { prompt, ...options.asked, max_cost_nanos: options.nanos, document_id: page.dataset.id }, {
      heard: (name, event) => { if (name === "done" || name === "error") end = event; },
    });
    if (end) pictured(end);
    else id("picture-price").textContent = "The connection was lost. Your images will be here when you reload the page.";
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    id("picture-price").textContent = "";
    showRefusal(id("picture-refusal"), problem, { again: makePicture, picker: () => options.model.focus() }, "canManage" in page.dataset);
  } finally {
    id("picture-go").disabled = false;
  }
}
picture?.addEventListener("submit", (event) => { event.preventDefault(); makePicture(); });

function pictured(end) {
  showBalance(end.available_nanos);
  const receipt = Object.assign(document.createElement("a"), { href: `/billing/calls/${end.call_id}`, textContent: creditsText(end.cost_nanos) });
  const told = end.code && !end.images ? [`${end.detail} `] : ["It cost ", receipt, "."];
  id("picture-price").replaceChildren(...told);
  for (const image of end.images ?? []) {
    const item = fileItem(image);
    item.insertAdjacentHTML("beforeend", '<span class="actions"><button class="button button-small" type="button" data-insert>Insert</button></span>');
    item.lastChild.append(receipt.cloneNode(true));
    id("pictures").prepend(item);
  }
}

/* Into the text, where the cursor was. */
id("pictures")?.addEventListener("click", (event) => {
  const link = event.target.closest("[data-insert]")?.closest("li").querySelector("a");
  if (!link) return;
  body.setRangeText(`![${link.title.replace(/[[\]]/g, "")}](${link.getAttribute("href")})`, body.selectionEnd, body.selectionEnd, "end");
  body.dispatchEvent(new Event("input"));
  body.focus();
});

/* Revisions */

async function look(revision) {
  const read = await json("GET", `/api/revisions/${revision}`);
  state.shown = read;
  id("proposal").hidden = false;
  id("proposal-title").textContent = read.state === "proposed" ? "Proposal" : "What this revision changed";
  id("diff").replaceChildren(...read.changes.map(({ kind, text }) => Object.assign(document.createElement({ same: "span", gone: "del", new: "ins" }[kind]), { textContent: text })));
  id("keep").hidden = read.is_shown && read.state === "kept";
  id("keep").textContent = read.state === "proposed" ? "Keep" : "Restore";
  id("drop").hidden = read.state !== "proposed";
  id("receipt").textContent = read.cost_nanos ? `It cost ${creditsText(read.cost_nanos)}.` : "";
  id("diff").scrollIntoView({ block: "nearest" });
}
id("revisions").addEventListener("click", (event) => {
  const item = event.target.closest("[data-look]")?.closest("[data-revision-id]");
  if (item) look(item.dataset.revisionId);
});

async function decide(decision) {
  if (!(await save())) return;
  try {
    await json("PUT", `/api/revisions/${state.shown.id}`, { state: decision, revision: state.revision });
    state.text = body.value;
    state.title = title.value;
    location.reload();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    id("receipt").textContent = problem.detail;
  }
}
id("keep").addEventListener("click", () => decide("kept"));
id("drop").addEventListener("click", () => decide("dropped"));

/* A draft that is still being written when the page opens is followed to its end. */
async function followDraft() {
  const read = await json("GET", path);
  const running = read.revisions.find((revision) => revision.status === "running" && revision.is_shown);
  if (!running) return;
  body.readOnly = true;
  say("Writing…");
  const poll = setInterval(async () => {
    const now = await json("GET", path).catch(() => null);
    if (!now) return;
    body.value = state.text = now.content;
    countWords();
    if (now.revisions.some((revision) => revision.status === "running")) return;
    clearInterval(poll);
    location.reload();
  }, 1000);
}

countWords();
followDraft();
if (body.value !== body.defaultValue || title.value !== title.defaultValue) timer = setTimeout(save, PAUSE); /* typed before this script was here */
const open = document.querySelector("#revisions [data-open]");
if (open) look(open.dataset.revisionId);
