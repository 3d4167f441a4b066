/* What a button would spend, beside it before it is pressed: answer again, go on, send an edit. */

import { Problem, json } from "./api.js";
import { isGuest, roughly } from "./money.js";

export const costText = ({ expected_nanos, ceiling_nanos }) => `about ${roughly(expected_nanos)} credits, at most ${roughly(ceiling_nanos, "ceil")}`;

/* The figures of a call that may be made; null where it could not be, or nobody pays. */
export async function priceOf(body) {
  if (isGuest()) return null;
  try {
    return await json("POST", "/api/estimate", body);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    return null;
  }
}

/* Writes the price into `place`, or has it written, and keeps the ceiling there, which the call is then held to. */
export async function showPrice(place, body, write = (figures) => { place.textContent = figures ? costText(figures) : ""; }) {
  const asked = JSON.stringify(body);
  if (!place || place.dataset.asked === asked) return;
  place.dataset.asked = asked;
  delete place.dataset.ceiling;
  const figures = await priceOf(body);
  if (place.dataset.asked !== asked) return;
  write(figures);
  if (figures) place.dataset.ceiling = figures.ceiling_nanos;
  else delete place.dataset.asked; // asked again the next time
}

/* The same of the rest of an answer: the button itself says what it will come to. */
export function showPriceOfRest(article) {
  const [button, place] = ["[data-go-on]", "[data-go-on-price]"].map((name) => article.querySelector(name));
  return showPrice(place, { message_id: article.dataset.id, goes_on: true }, (figures) => {
    button.textContent = figures ? `Continue for about ${roughly(figures.expected_nanos)} credits` : "Continue";
    place.textContent = figures ? `at most ${roughly(figures.ceiling_nanos, "ceil")}` : "";
  });
}

/* Nothing can be told yet but `text`. */
export function showNoPrice(place, text) {
  place.textContent = text;
  delete place.dataset.asked;
  delete place.dataset.ceiling;
}

/* The same for exactly what was asked about. */
export const ceilingFor = (place, body) => (place.dataset.asked === JSON.stringify(body) ? ceilingIn(place) : {});

/* The ceiling that stands beside a button, for the call that it makes. */
export function ceilingIn(place) {
  return place?.dataset.ceiling ? { max_cost_nanos: Number(place.dataset.ceiling) } : {};
}
