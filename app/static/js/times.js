/* Moments come in UTC and are shown in the reader's own time. */

const THIS_YEAR = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
const MOMENT = new Intl.DateTimeFormat(undefined, THIS_YEAR);
const OLDER = new Intl.DateTimeFormat(undefined, { ...THIS_YEAR, year: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

export function localise(root) {
  for (const time of root.querySelectorAll("time[data-local]")) {
    time.title = `${time.dateTime.slice(0, 16).replace("T", " ")} UTC`;
    time.textContent = time.dataset.local === "when" ? when(time.dateTime) : shown(new Date(time.dateTime));
  }
}

function shown(moment) {
  return (moment.getFullYear() === new Date().getFullYear() ? MOMENT : OLDER).format(moment);
}

/* "today at 14:00", "tomorrow at 01:00", "on Monday, 1 December at 00:00" */
export function when(stamp) {
  const moment = new Date(stamp);
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const days = Math.floor((moment - midnight) / 86_400_000);
  const clock = CLOCK.format(moment);
  if (days === 0) return `today at ${clock}`;
  if (days === 1) return `tomorrow at ${clock}`;
  return `on ${DAY.format(moment)} at ${clock}`;
}
