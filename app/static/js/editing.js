/* A question on the page becomes a field, and is sent again. */

import { isSend } from "./keys.js";
import { ceilingIn, showPrice } from "./prices.js";
import { fresh } from "./times.js";

const PAUSE = 300;

/* `model()` is the one that will be asked. */
export function editQuestion(article, resend, model, text = article.querySelector(".question-text").textContent) {
  if (article.querySelector("form")) return;
  const form = fresh("edit-template").firstElementChild;
  const field = form.querySelector("textarea");
  field.value = text;
  const shown = [...article.children].filter((child) => !child.matches(".files"));
  const cancel = () => { form.remove(); for (const child of shown) child.hidden = false; };
  const place = form.querySelector(".estimate");
  const price = () => { if (field.value.trim()) showPrice(place, { message_id: article.dataset.id, content: field.value, model: model() }); };
  let timer = null;
  for (const child of shown) child.hidden = true;
  article.append(form);
  field.focus();
  price();
  field.addEventListener("input", () => {
    delete place.dataset.ceiling;
    delete place.dataset.asked; // what is on its way is of other words
    clearTimeout(timer);
    timer = setTimeout(price, PAUSE);
  });
  form.querySelector("button[type=button]").addEventListener("click", cancel);
  form.addEventListener("submit", (event) => { event.preventDefault(); cancel(); resend(article, field.value, ceilingIn(place)); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.stopPropagation(); cancel(); }
    if (isSend(event)) { event.preventDefault(); form.requestSubmit(); }
  });
}
