/* What the whole chat has come to, and the title that a model may write after its first answer. */

import { json } from "./api.js";
import { count, creditsText, showBalance } from "./money.js";

const PAUSES = [1200, 2000, 4000, 8000];
const target = document.getElementById("chat-total");

export async function showTotal(chat) {
  if (!target) return;
  const used = await json("GET", `/api/usage/chat/${chat}`).catch(() => null);
  if (!used) return;
  target.textContent = `This chat: ${creditsText(used.cost_nanos)}, ${count(used.input_tokens + used.output_tokens)} tokens`;
  target.hidden = !used.calls;
}

/* As a page that the server has just made says it. */
export function copyTotal(page) {
  const fresh = page.getElementById("chat-total");
  if (!target || !fresh) return;
  target.textContent = fresh.textContent;
  target.hidden = fresh.hidden;
}

export function firstWords(text) {
  const line = text.split(/\s+/).join(" ");
  return line.length <= 60 ? line : `${line.slice(0, 59).trimEnd()}…`;
}

/* Looks now and then for a title that is being written; `show(title)` when it is there. */
export async function awaitTitle(chat, show) {
  for (const pause of PAUSES) {
    await new Promise((resolve) => { setTimeout(resolve, pause); });
    const { title, wants_title: isComing } = await json("GET", `/api/chats/${chat}`).catch(() => ({ wants_title: true }));
    if (isComing) continue;
    show(title);
    showTotal(chat);
    const { spendable_nanos: available } = await json("GET", "/api/balance").catch(() => ({}));
    showBalance(available);
    return;
  }
}
