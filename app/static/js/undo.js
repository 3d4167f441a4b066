/* Deletion with undo: out of the list at once; from the server when the time is over, or the page is left. */

const TIME_TO_UNDO = 6000;
const going = new Map();

/* `path` is what is deleted, `item` stands for it in the list; `gone()` once the server was told. */
export function removeLater(path, item, label, gone = () => {}) {
  item.hidden = true;
  going.set(path, setTimeout(() => removeNow(path).then(gone), TIME_TO_UNDO));
  toast(label, () => {
    keep(path);
    item.hidden = false;
    item.querySelector("a").focus();
  });
}

function keep(path) {
  clearTimeout(going.get(path));
  going.delete(path);
}

function removeNow(path) {
  keep(path);
  const token = document.querySelector("meta[name=csrf-token]").content;
  return fetch(path, { method: "DELETE", keepalive: true, headers: { "X-CSRFToken": token } });
}

function toast(label, undo) {
  const place = document.querySelector(".flashes") ?? document.body.appendChild(Object.assign(document.createElement("div"), { className: "flashes" }));
  place.setAttribute("role", "status");
  const box = document.createElement("div");
  box.className = "flash";
  box.innerHTML = "<span></span><button class='link-button' type='button'>Undo</button>";
  box.firstChild.textContent = label;
  box.lastChild.addEventListener("click", () => { box.remove(); undo(); });
  place.append(box);
  setTimeout(() => box.remove(), TIME_TO_UNDO);
}

addEventListener("pagehide", () => { for (const path of going.keys()) removeNow(path); });
