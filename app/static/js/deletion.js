/* What is deleted is gone from its list at once; from the server when the time to undo is over, or the page is left. */

import { request } from "./api.js";
import { fresh } from "./times.js";

const TIME_TO_UNDO = 6000;
const going = new Map();

/* `path` is where it is deleted, `find()` its line in the list, `label` says that it was; `gone()` once it is.
   A search may put other lines in the list meanwhile: the line that was hidden is the one that comes back. */
export function deleteSoon(path, find, label, gone = () => {}) {
  const item = find();
  const again = () => deleteSoon(path, () => find() ?? item, label, gone);
  const back = () => {
    item.hidden = false;
    find()?.querySelector("a").focus();
  };
  const timer = setTimeout(() => deleteNow(path), TIME_TO_UNDO);
  going.set(path, { find, gone, again, back, timer });
  item.hidden = true;
  toast(label, "Undo", () => {
    clearTimeout(timer);
    going.delete(path);
    back();
  });
}

async function deleteNow(path, isLeaving = false) {
  if (!going.has(path)) return;
  const { find, gone, again, back, timer } = going.get(path);
  clearTimeout(timer);
  going.delete(path);
  const problem = await request("DELETE", path, { keepalive: true }).then(() => null, (failure) => failure);
  if (isLeaving) return;
  if (!problem || problem.status === 404) {
    find()?.remove();
    gone();
  } else {
    back();
    toast(problem.status === 409 ? problem.detail : "We couldn't delete it.", "Try again", again);
  }
}
addEventListener("pagehide", () => { for (const path of going.keys()) deleteNow(path, true); });

/* Says something with one thing to do about it, for a while. */
export function toast(label, action, act) {
  const place = document.querySelector(".flashes") ?? document.body.appendChild(Object.assign(document.createElement("div"), { className: "flashes" }));
  place.setAttribute("role", "status");
  const box = fresh("toast-template").firstElementChild;
  box.firstChild.textContent = label;
  box.lastChild.textContent = action;
  box.lastChild.addEventListener("click", () => { box.remove(); act(); });
  place.append(box);
  setTimeout(() => box.remove(), TIME_TO_UNDO);
}
