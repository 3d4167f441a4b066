/* What is deleted is gone from its list at once; from the server when the time to undo is over, or the page is left. */

const TIME_TO_UNDO = 6000;
const going = new Map();

/* `path` is where it is deleted, `find()` its line in the list, `label` says that it was; `gone()` once it is. */
export function deleteSoon(path, find, label, gone = () => {}) {
  const again = () => deleteSoon(path, find, label, gone);
  const timer = setTimeout(() => deleteNow(path), TIME_TO_UNDO);
  going.set(path, { find, gone, again, timer });
  find().hidden = true;
  toast(label, "Undo", () => {
    clearTimeout(timer);
    going.delete(path);
    bringBack(find());
  });
}

async function deleteNow(path, isLeaving = false) {
  const { find, gone, again, timer } = going.get(path);
  clearTimeout(timer);
  going.delete(path);
  const token = document.querySelector("meta[name=csrf-token]").content;
  const answer = await fetch(path, { method: "DELETE", keepalive: true, headers: { "X-CSRFToken": token } }).catch(() => null);
  if (isLeaving) return;
  if (answer?.ok || answer?.status === 404) {
    find()?.remove();
    gone();
  } else {
    bringBack(find());
    toast("We couldn't delete it.", "Try again", again);
  }
}
addEventListener("pagehide", () => { for (const path of going.keys()) deleteNow(path, true); });

function bringBack(item) {
  item.hidden = false;
  item.querySelector("a").focus();
}

/* Says something with one thing to do about it, for a while. */
function toast(label, action, act) {
  const place = document.querySelector(".flashes") ?? document.body.appendChild(Object.assign(document.createElement("div"), { className: "flashes" }));
  place.setAttribute("role", "status");
  const box = document.createElement("div");
  box.className = "flash";
  box.innerHTML = "<span></span><button class='link-button' type='button'></button>";
  box.firstChild.textContent = label;
  box.lastChild.textContent = action;
  box.lastChild.addEventListener("click", () => { box.remove(); act(); });
  place.append(box);
  setTimeout(() => box.remove(), TIME_TO_UNDO);
}
