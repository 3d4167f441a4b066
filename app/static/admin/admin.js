/* The admin in the browser: asks before what cannot be undone, and says what a price is worth while it is typed. */
"use strict";

function fold() {
  const menu = document.querySelector(".menu-fold");
  if (menu && window.matchMedia("(max-width: 52rem)").matches) menu.open = false;
}

/* A part of a payment takes its part of the credits; what is typed is read as the server reads it, and decided there. */
function refundQuestion({ dataset, elements }) {
  const typed = (elements.amount?.value ?? "").replace(/[$€£¥\s]/g, "").replace(/^(\d{1,3})((?:,\d{3})+)(?=\.|$)/, (all) => all.replaceAll(",", "")).replace(",", ".");
  const digits = Number(dataset.refundDigits);
  const cents = Math.round(Number(typed) * 10 ** digits);
  if (!typed || !(cents > 0)) return dataset.confirm;
  const credits = (Number(dataset.refundNanos) / 1e6) * Math.min(1, cents / Number(dataset.refundCents));
  const money = new Intl.NumberFormat("en-US", { style: "currency", currency: dataset.refundCurrency, minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `Refund ${money.format(cents / 10 ** digits)}? About ${Math.round(credits).toLocaleString("en-US")} credits are taken back.`;
}

function askFirst(event) {
  const label = "refundCents" in event.target.dataset ? refundQuestion(event.target) : event.target.dataset.confirm;
  if (label && !window.confirm(label)) event.preventDefault();
}

function liveWorth(form) {
  const target = document.getElementById(form.dataset.worthInto);
  let waiting = 0;
  let asked = 0;

  async function ask() {
    const mine = ++asked;
    const typed = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (form.dataset.worthFrom.split(" ").includes(name)) typed.append(name, value);
    const answer = await fetch(`${form.dataset.worthUrl}?${typed}`, { headers: { Accept: "application/json" } });
    const worth = answer.ok ? await answer.json() : { text: "" };
    if (mine === asked) target.textContent = worth.text;
  }

  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, 150);
  });
  ask();
}

document.addEventListener("submit", askFirst);
document.querySelectorAll("form[data-worth-url]").forEach(liveWorth);
fold();
