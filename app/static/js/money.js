/* Credits to read, by the same rule as the server's filter: 1,234.5 or 6.25 or 0.0002. */

const NANOS_PER_CREDIT = 1_000_000;
const FORMATS = [0, 1, 2, 3, 4, 5, 6].map((places) => new Intl.NumberFormat("en-US", { maximumFractionDigits: places }));

export function credits(nanos) {
  const exact = nanos / NANOS_PER_CREDIT;
  const size = Math.abs(exact);
  const places = size >= 100 ? 1 : size >= 1 ? 2 : 4;
  if (nanos && size < 0.00005) return FORMATS[6].format(exact);
  return FORMATS[places].format(exact);
}

/* An estimate: two figures are enough, and a ceiling is rounded up. */
export function roughly(nanos, roundingMode = "halfExpand") {
  return new Intl.NumberFormat("en-US", { maximumSignificantDigits: 2, roundingMode }).format(nanos / NANOS_PER_CREDIT);
}

export function creditsText(nanos) {
  const shown = credits(nanos);
  return shown === "1" ? "1 credit" : `${shown} credits`;
}

export const count = (number) => FORMATS[0].format(number);

/* Whoever tries this without an account pays nothing. */
export const isGuest = () => Boolean(document.querySelector("#messages[data-guest]"));

export function showBalance(nanos) {
  const chip = document.getElementById("balance");
  if (!chip || !Number.isFinite(nanos)) return;
  chip.dataset.nanos = nanos;
  chip.querySelector("[data-amount]").textContent = credits(nanos);
  chip.classList.toggle("is-empty", nanos <= 0);
  chip.classList.toggle("is-low", nanos > 0 && nanos < Number(chip.dataset.low));
}
