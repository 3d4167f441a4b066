/* What the Enter key means where a message is written. */

const hasTouchKeyboard = matchMedia("(pointer: coarse) and (hover: none)");

/* Enter that ends a composition (Chinese, Japanese, Korean) is not a command; Safari says so by the key code alone. */
function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/* Apple's keyboards say ⌘ where others say Ctrl. */
export function nameKeys() {
  if (!/^(Mac|iP)/.test(navigator.platform)) return;
  for (const key of document.querySelectorAll("kbd")) key.textContent = key.textContent.replace("Ctrl", "⌘");
}

export function isEnter(event) {
  return event.key === "Enter" && !isComposing(event);
}

/* On a phone Return is a new line, and the button sends. */
export function isSend(event) {
  return isEnter(event) && !event.shiftKey && !hasTouchKeyboard.matches;
}
