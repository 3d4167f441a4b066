/* Moments come in UTC and are shown in the reader's zone: in English, as the reader's region writes a date and a clock. */

const LOCALE = localeOf(navigator.language);
const HAS_NOON = new Intl.DateTimeFormat(LOCALE.baseName, { hour: "numeric" }).resolvedOptions().hour12;
const MINUTE = { hour: HAS_NOON ? "numeric" : "2-digit", minute: "2-digit", hour12: HAS_NOON };
const MOMENT = format({ day: "numeric", month: "short", ...MINUTE });
const OLDER = format({ day: "numeric", month: "short", year: "numeric", ...MINUTE });
const CLOCK = format(MINUTE);
const DATE = format({ day: "numeric", month: "long", year: "numeric" });
const DAY = format({ weekday: "long", day: "numeric", month: "long" });
const SHOWN = { datetime: shown, when, date: (stamp) => DATE.format(new Date(stamp)) };
const NEAR = { "-1": "yesterday", 0: "today", 1: "tomorrow" };

export function localise(root) {
  for (const time of root.querySelectorAll("time[data-local]")) {
    time.title = `${time.dateTime.slice(0, 16).replace("T", " ")} UTC`;
    time.textContent = SHOWN[time.dataset.local](time.dateTime);
  }
}

/* A copy of a template; its time is now. */
export function fresh(id) {
  const copy = document.getElementById(id).content.cloneNode(true);
  for (const time of copy.querySelectorAll("time")) time.dateTime = new Date().toISOString();
  localise(copy);
  return copy;
}

function shown(stamp) {
  const moment = new Date(stamp);
  return (isThisYear(moment) ? MOMENT : OLDER).format(moment);
}

/* "today at 14:00", "tomorrow at 1:00 AM", "on Monday, 1 December at 00:00", "on 1 December 2024" */
export function when(stamp) {
  const moment = new Date(stamp);
  const near = NEAR[Math.round((midnight(moment) - midnight(new Date())) / 86_400_000)];
  if (near) return `${near} at ${CLOCK.format(moment)}`;
  return isThisYear(moment) ? `on ${DAY.format(moment)} at ${CLOCK.format(moment)}` : `on ${DATE.format(moment)}`;
}

const midnight = (moment) => new Date(moment).setHours(0, 0, 0, 0);
const isThisYear = (moment) => moment.getFullYear() === new Date().getFullYear();

function format(parts) {
  return new Intl.DateTimeFormat(`en-${LOCALE.maximize().region}`, parts);
}

function localeOf(language) {
  try {
    return new Intl.Locale(language);
  } catch {
    return new Intl.Locale("en-US"); // a system's own name, such as en-US@posix
  }
}
