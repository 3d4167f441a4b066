/* Copy and wrap buttons on the code of an answer. */

const SPRITE = "/static/img/icons.svg";
let isInPage = false;

/* The icons come into the page, so that those drawn later are there without a connection too. */
fetch(SPRITE).then((response) => response.text()).then((text) => {
  const place = document.createElement("div");
  place.hidden = true;
  place.innerHTML = text.replaceAll(' id="', ' id="icon-');
  document.body.append(place);
  for (const template of document.querySelectorAll("template")) template.innerHTML = template.innerHTML.replaceAll(`${SPRITE}#`, "#icon-");
  isInPage = true;
}).catch(() => {});

export const iconAddress = (name) => (isInPage ? `#icon-${name}` : `${SPRITE}#${name}`);
export const icon = (name) => `<svg class="icon" aria-hidden="true"><use href="${iconAddress(name)}"></use></svg>`;

export async function copyText(text, button) {
  await navigator.clipboard.writeText(text);
  const before = button.innerHTML;
  if (button.dataset.copied) return;
  button.dataset.copied = "yes";
  button.innerHTML = button.classList.contains("icon-button") ? icon("check") : `${icon("check")}Copied`;
  setTimeout(() => { button.innerHTML = before; delete button.dataset.copied; }, 1600);
}

function tool(name, label, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.innerHTML = `${icon(name)}${label}`;
  button.addEventListener("click", () => act(button));
  return button;
}

/* Equips the blocks of code under `root` that have no buttons yet. */
export function equipCode(root) {
  for (const head of root.querySelectorAll(".code-head:not([data-equipped])")) {
    head.dataset.equipped = "yes";
    const block = head.parentElement;
    const code = block.querySelector("code");
    const wrap = tool("wrap", "Wrap", (button) => {
      button.setAttribute("aria-pressed", String(block.classList.toggle("is-wrapped")));
    });
    wrap.setAttribute("aria-pressed", "false");
    head.append(wrap, tool("copy", "Copy", (button) => copyText(code.textContent, button)));
  }
}

for (const page of document.querySelectorAll("[data-equip]")) equipCode(page);
