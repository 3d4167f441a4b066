/* An answer as a stream of events, which comes back by itself when the connection drops. */

import { Problem, request } from "./api.js";

const SILENCE = 40_000;
const PAUSES = [400, 1000, 2000, 4000, 8000];
const TRIES_BEFORE_IT_BEGAN = 3;
const RENDER = { "X-Render": "html", Accept: "text/event-stream, application/json" };

/* Server-sent events of a response: [name, body], as they arrive. Throws where nothing comes for too long. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await within(SILENCE, reader.read());
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const event = parsed(part);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(part) {
  const name = /^event: (.*)$/m.exec(part);
  const data = /^data: (.*)$/m.exec(part);
  return name && data ? [name[1], JSON.parse(data[1])] : null;
}

function within(milliseconds, promise) {
  let timer;
  const silence = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("silence")), milliseconds); });
  return Promise.race([promise, silence]).finally(() => clearTimeout(timer));
}

/* Waits, but not longer than until the browser says that it is online again. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

/* What was sent without an answer: the server may have it, so that the same again goes under the same key. */
let unheard = null;

/*
 * Sends and follows an answer until `done` or `error`. Each event goes to `heard(name, body)`; `dropped(isBack)` tells
 * when the connection is lost and when it is back. One Idempotency-Key for all attempts: nothing is sent, or charged,
 * twice. A refusal is thrown as a Problem.
 */
export async function ask(method, path, body, { heard, dropped = () => {} }) {
  const asked = JSON.stringify([method, path, body]);
  const key = unheard?.asked === asked ? unheard.key : crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  const open = () => request(method, path, { body, headers: { ...RENDER, "Idempotency-Key": key } });
  unheard = null;
  try {
    return await keepUp(open, null, { heard, dropped });
  } catch (error) {
    if (error.code === "offline") unheard = { asked, key };
    throw error;
  }
}

/* Follows an answer that runs already. */
export async function follow(messageId, { heard, dropped = () => {} }) {
  return keepUp(() => resumed(messageId), messageId, { heard, dropped });
}

const resumed = (messageId) => request("GET", `/api/messages/${messageId}/stream`, { headers: RENDER });

async function keepUp(open, messageId, { heard, dropped }) {
  let failures = 0;
  for (;;) {
    try {
      const response = await (messageId ? resumed(messageId) : open());
      if (failures) dropped(true);
      for await (const [name, body] of events(response)) {
        failures = 0;
        messageId ??= body.message_id ?? null;
        heard(name, body);
        if (name === "done" || name === "error") return;
      }
    } catch (error) {
      if (error instanceof Problem && !canRetry(error, messageId)) throw error;
      if (!messageId && (!navigator.onLine || failures >= TRIES_BEFORE_IT_BEGAN)) throw error;
    }
    if (!failures) dropped(false);
    await pause(PAUSES[Math.min(failures, PAUSES.length - 1)]);
    failures += 1;
  }
}

/* Before the answer began only a lost connection is tried again; afterwards whatever may pass. */
function canRetry(problem, messageId) {
  return problem.code === "offline" || (messageId !== null && problem.status >= 500);
}
