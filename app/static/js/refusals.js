/* A refusal in place: what happened, when it goes on, that the message is kept, and the ways out. */

import { icon } from "./code.js";
import { creditsText } from "./money.js";
import { when } from "./times.js";

const BUY = ["Buy credits", "/billing#buy"];
const UPGRADE = ["Change the plan", "/pricing"];
const CHEAPER = ["Cheaper model", "picker"];
const AGAIN = ["Try again", "again"];
const RELOAD = ["Load again", "reload"];
const SIGN_IN = ["Sign in", "/login?next=/chat"];

/* code: [title, ways out]; the words are the server's. */
const FACES = {
  account_frozen: ["This account is on hold", []],
  email_unverified: ["Confirm your address", [["To settings", "/settings"]]],
  plan_inactive: ["The plan has ended", [UPGRADE]],
  model_not_found: ["That model is gone", [["Choose a model", "picker"]]],
  model_not_for_sale: ["That model is not on sale", [["Choose a model", "picker"]]],
  images_not_taken: ["That model sees no images", [["Choose a model", "picker"]]],
  model_not_allowed: ["Not in your plan", [["Choose a model", "picker"], UPGRADE]],
  too_many_calls: ["Answers are still being written", [AGAIN]],
  chat_limit_reached: ["This month's chats are used", [UPGRADE]],
  member_limit_reached: ["Your monthly limit is reached", []],
  absorbed_limit: ["Paused until tomorrow", []],
  recharge_in_progress: ["Your recharge is being paid", [AGAIN]],
  credits_reserved: ["The rest is held by running answers", [AGAIN, BUY]],
  daily_limit_reached: ["Today's credits are used", [BUY, UPGRADE, CHEAPER]],
  subscription_unpaid: ["The last payment did not go through", [["Mend the payment", "/billing"]]],
  out_of_credits: ["Out of credits", [BUY, UPGRADE, CHEAPER]],
  request_too_large: ["More than the balance allows", [CHEAPER, BUY]],
  price_changed: ["The price has changed", [["Send at the new price", "again"]]],
  rate_limited: ["A little slower", [AGAIN]],
  busy: ["Busy right now", [AGAIN]],
  provider_error: ["The model's provider did not answer", [AGAIN, ["Another model", "picker"]]],
  offline: ["No connection", [AGAIN]],
  csrf_failed: ["This page was open for too long", [RELOAD]],
  not_signed_in: ["You were signed out", [SIGN_IN]],
  too_large: ["Too long for one message", []],
};
const FIELDS = { content: "The message", attachments: "The files" };
const SPENDING = new Set(["/billing#buy", "/pricing", "/billing"]);

/* `acts` has `again` and `picker`; `canManage` is whether this person may buy. */
export function showRefusal(place, problem, acts, canManage) {
  const [title, ways] = faceOf(problem) ?? ["That could not be sent", [AGAIN]];
  const box = document.createElement("section");
  box.className = "refusal";
  box.setAttribute("role", "alert");
  box.innerHTML = `${icon("warning")}<div class="refusal-body"><h2></h2><p></p><p class="kept"></p><div class="actions"></div></div><button class="icon-button" type="button" aria-label="Dismiss">${icon("close")}</button>`;
  const [label, kept] = box.querySelectorAll("p");
  box.dataset.code = problem.code;
  box.querySelector("h2").textContent = title;
  label.textContent = messageOf(problem);
  kept.textContent = `${resumes(problem)}Your message is kept.`;
  box.querySelector(".actions").append(...ways.filter((way) => canManage || !SPENDING.has(way[1])).map((way, place) => button(way, place === 0, problem, acts, box)));
  if (!canManage && ways.some((way) => SPENDING.has(way[1]))) kept.textContent += " An owner or admin of the account can add credits.";
  box.querySelector(".icon-button").addEventListener("click", () => box.remove());
  place.replaceChildren(box);
}

/* A guest's way out is an account, and where only others are in the way, a little patience. */
function faceOf(problem) {
  if (problem.way_out !== "signup") return FACES[problem.code];
  const signUp = ["Sign up, free", `/signup?next=${location.pathname}`];
  return ["Go on with an account", (problem.retryAfter ?? 60) < 60 ? [signUp, AGAIN] : [signUp]];
}

/* Of input that cannot be taken, what is wrong with it; of anything else, what the server says. */
export function messageOf({ errors, detail }) {
  const wrong = Object.entries(errors ?? {}).map(([field, label]) => `${FIELDS[field] ?? field} ${label.join(" ")}`);
  return wrong.length ? wrong.join(" ") : detail;
}

function resumes({ resets_at: moment, needed_nanos: needed, available_nanos: available }) {
  const parts = [];
  if (needed !== undefined && available !== undefined) parts.push(`It may need ${creditsText(needed)}; ${creditsText(available)} are available.`);
  if (moment) parts.push(`It resumes ${when(moment)}.`);
  return parts.length ? `${parts.join(" ")} ` : "";
}

function button([label, target], isMain, problem, acts, box) {
  const isLink = target.startsWith("/");
  const element = document.createElement(isLink ? "a" : "button");
  element.className = `button button-small${isMain ? " button-main" : ""}`;
  element.textContent = target === "picker" && problem.model ? `Ask ${problem.model}` : label;
  if (isLink) {
    element.href = problem.upgrade_url && target === "/billing" ? problem.upgrade_url : target;
    return element;
  }
  element.type = "button";
  element.addEventListener("click", () => {
    if (target === "reload") location.reload();
    else acts[target](problem);
    if (target === "again") box.remove();
  });
  return element;
}
