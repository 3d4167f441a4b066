/* A refusal in place: what happened, when it goes on, that the message is kept, and the ways out. */

import { json } from "./api.js";
import { creditsText, roughly } from "./money.js";
import { fresh, when } from "./times.js";

const BUY = ["Buy credits", "/billing#buy"];
const UPGRADE = ["Change plan", "/pricing"];
const OTHER = ["Choose a model", "picker"];
const MEMBERS = ["Your limit", "/account#limit"];
const RAISE = ["Raise", "raise"];
const AGAIN = ["Try again", "again"];
const RELOAD = ["Reload the page", "reload"];
const SIGN_IN = ["Sign in", `/login?next=${location.pathname}${location.search}`];

/* The ways out of each code, where there is more or less than another try; the words are the server's, whose first sentence is the title. */
const WAYS = {
  account_frozen: [],
  email_unverified: [["Open settings", "/settings"]],
  plan_inactive: [UPGRADE],
  model_not_found: [OTHER],
  model_not_for_sale: [OTHER],
  images_not_taken: [OTHER],
  model_not_allowed: [OTHER, UPGRADE],
  operation_not_in_plan: [UPGRADE],
  chat_limit_reached: [UPGRADE],
  document_limit_reached: [UPGRADE],
  image_limit_reached: [UPGRADE],
  files_full: [],
  member_limit_reached: [MEMBERS],
  chat_budget_reached: [RAISE],
  own_limit_reached: [RAISE, ["Your limit", "/account#own-limit"]],
  absorbed_limit: [],
  credits_reserved: [AGAIN, BUY],
  spending_paused: [["Review and resume", "/billing/breaker"]],
  daily_limit_reached: [BUY, UPGRADE],
  window_limit_reached: [BUY, UPGRADE],
  subscription_unpaid: [["Fix payment", "/billing"]],
  out_of_credits: [BUY, UPGRADE],
  request_too_large: [BUY, UPGRADE],
  price_changed: [["Send at the new price", "again"]],
  provider_error: [AGAIN, ["Try another model", "picker"]],
  other_account: [RELOAD],
  csrf_failed: [RELOAD],
  not_signed_in: [SIGN_IN],
  not_found: [["Start a new one", location.pathname.split("/", 2).join("/")]],
  too_large: [],
};
/* What this page knows better than whoever answers any request. */
const TITLES = {
  offline: "You're offline",
  not_signed_in: "You've been signed out",
  not_found: "That was deleted",
};
const FIELDS = { content: "Your message", attachments: "Your files", document_id: "This chat's document", system_prompt: "What this chat's model is told" };
const SPENDING = new Set(["/billing#buy", "/pricing", "/billing", "/billing/breaker"]);

/* `acts` has `again` and what else the page can do, such as `picker`; `canManage` is whether this person may buy. */
export function showRefusal(place, problem, acts, canManage) {
  const [title, rest] = titleAndRest(problem);
  const box = fresh("refusal-template").firstElementChild;
  const [label, kept] = box.querySelectorAll("p");
  box.dataset.code = problem.code;
  box.querySelector("h2").textContent = title;
  label.textContent = rest;
  const isInBox = document.getElementById("content")?.value;
  kept.textContent = `${resumes(problem)}${isInBox ? "Your message is still in the box below." : "What you wrote is kept."}`;
  const open = waysOut(waysOf(problem), problem, canManage).filter(([, target]) => target.startsWith("/") || target === "reload" || acts[target]);
  box.querySelector(".actions").append(...open.map((way, place) => button(way, place === 0, problem, acts, box)));
  if (problem.code === "member_limit_reached") box.querySelector(".actions").before(moreForm(box));
  box.querySelector(".icon-button").addEventListener("click", () => box.remove());
  place.replaceChildren(box);
}

/* What a step would cost, with the button that takes it. */
export function showOffer(place, text, label, act) {
  const box = fresh("offer-template").firstElementChild;
  box.querySelector("p").textContent = text;
  const [yes, no] = box.querySelectorAll("button");
  yes.textContent = label;
  yes.addEventListener("click", () => { box.remove(); act(); });
  no.addEventListener("click", () => box.remove());
  place.replaceChildren(box);
  yes.focus();
}

/* Only what helps: a model that would pass first, with its price; credits only where the plan and the person may buy. */
function waysOut(ways, problem, canManage) {
  const cheaper = problem.model_ceiling_nanos ? [[`Send with ${problem.model_title}, up to ${roughly(problem.model_ceiling_nanos, "ceil")} credits`, "cheaper"]] : [];
  const mayBuy = canManage && !(problem.way_out === "upgrade");
  const other = problem.code === "images_not_taken" && problem.model ? [[`Switch to ${problem.model_title}`, "switch"]] : [];
  return [...cheaper, ...other, ...ways.filter((way) => (way === BUY ? mayBuy : canManage || !SPENDING.has(way[1])))];
}

/* A guest's way out is an account, and where only others are in the way, a little patience. */
function waysOf(problem) {
  if (problem.errors?.content || problem.errors?.document_id) return [OTHER];
  if (problem.way_out !== "signup") return WAYS[problem.code] ?? [AGAIN];
  const signUp = ["Sign up for free", `/signup?next=${location.pathname}`];
  return (problem.retryAfter ?? 60) < 60 ? [signUp, AGAIN] : [signUp];
}

function titleAndRest(problem) {
  const text = messageOf(problem), title = TITLES[problem.code];
  return title ? [title, text] : (/^(.+?)(?:\.\s+(.+)|\.?)$/s.exec(text) ?? ["", text]).slice(1);
}

/* Of input that cannot be taken, what is wrong with it; of anything else, what the server says. */
export function messageOf({ errors, detail }, names = FIELDS) {
  const wrong = Object.entries(errors ?? {}).map(([field, label]) => `${names[field] ?? field} ${label.join(" ")}`.trim());
  return wrong.length ? wrong.join(" ") : detail;
}

/* The server's sentence names no time: people read it by their own clock. */
function resumes({ code, resets_at: moment, needed_nanos: needed, available_nanos: available }) {
  const parts = [];
  if (needed !== undefined && available !== undefined) parts.push(`You have ${creditsText(available)} available.`);
  if (moment && code !== "out_of_credits") parts.push(`Resets ${when(moment)}.`);
  return parts.length ? `${parts.join(" ")} ` : "";
}

/* Half as much again, and enough for this message; whole credits. */
const raised = ({ limit_nanos: limit, used_nanos: used, needed_nanos: needed = 0 }) => String(Math.ceil(Math.max(limit * 1.5, used + needed) / 1e6));

/* A member asks the owners and admins of the team, where the limit is met. */
function moreForm(box) {
  const form = fresh("more-template").firstElementChild;
  const [amount, reason, submit, said] = form.querySelectorAll("input, button, p");
  amount.addEventListener("input", () => { submit.textContent = `Ask for ${amount.value || "more"}${amount.value ? " more" : ""}`; });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      await json("POST", "/api/limit-requests", { amount_credits: amount.value, reason: reason.value });
      form.replaceChildren(said);
      said.textContent = "You asked for more. You'll get an email with the answer.";
    } catch (problem) {
      submit.disabled = false;
      said.textContent = messageOf(problem);
    }
  });
  return form;
}

function button([label, target], isMain, problem, acts, box) {
  const isLink = target.startsWith("/");
  const element = document.createElement(isLink ? "a" : "button");
  element.className = `button button-small${isMain ? " button-main" : ""}`;
  element.textContent = target === "raise" ? `Raise to ${creditsText(raised(problem) * 1e6)} and send` : label;
  if (isLink) {
    element.href = problem.code === "subscription_unpaid" && problem.pay_url ? problem.pay_url : target;
    return element;
  }
  element.type = "button";
  element.addEventListener("click", () => {
    if (target === "reload") location.reload();
    else acts[target]?.(problem, raised(problem));
    if (["again", "cheaper", "raise"].includes(target)) box.remove();
  });
  return element;
}
