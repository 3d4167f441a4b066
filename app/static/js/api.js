/* Requests to the JSON interface. What is refused, or does not arrive, becomes a Problem. */

export class Problem extends Error {
  constructor(fields, retryAfter) {
    super(fields.detail);
    Object.assign(this, fields);
    this.retryAfter = retryAfter;
  }
}

const OFFLINE = {
  code: "offline",
  status: 0,
  detail: "We couldn't reach the server. Check your connection.",
};

const meta = (name) => document.querySelector(`meta[name=${name}]`)?.content ?? "";

export async function request(method, path, { body, form, headers = {}, keepalive } = {}) {
  const sent = { "X-CSRFToken": meta("csrf-token"), "X-Account": meta("account"), Accept: "application/json", ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, keepalive, headers: sent, body: form ? new URLSearchParams(form) : JSON.stringify(body) });
  } catch {
    throw new Problem(OFFLINE);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function json(method, path, body) {
  const response = await request(method, path, { body });
  return response.status === 204 ? null : response.json();
}

async function problemOf(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  const fields = await response.json().catch(() => ({ code: "error", detail: "Something went wrong. Reload the page and try again." }));
  return new Problem({ status: response.status, ...fields }, retryAfter);
}
