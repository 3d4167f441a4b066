/* Passkeys: a form that makes one in the settings, or signs in with one, and asks the device on the way. */

import { request } from "./api.js";

const MEANS = {
  create: (options) => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }),
  get: (options) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }),
};
const CANCELLED = "Your device didn't confirm it. Nothing has changed. Try again.";
const HAS_ONE = "This device already has a passkey for this site.";

async function send(form) {
  const action = form.getAttribute("action");
  const options = await request("POST", `${action}/options`, { form: new FormData(form) });
  const fields = new FormData(form);
  fields.set("credential", JSON.stringify(await MEANS[form.dataset.passkey](await options.json())));
  const { next } = await (await request("POST", action, { form: fields })).json();
  if (new URL(next, location.href).pathname === location.pathname) location.reload();
  else location.assign(next);
}

function told(error) {
  if (error.errors) return Object.values(error.errors).flat().join(" ");
  if (error.status !== undefined) return error.message;
  return error.name === "InvalidStateError" ? HAS_ONE : CANCELLED;
}

if (globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON) {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const [button, fault] = [form.querySelector("button[type=submit]"), form.querySelector("[role=alert]")];
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      [button.disabled, fault.textContent] = [true, ""];
      try {
        await send(form);
      } catch (error) {
        [button.disabled, fault.textContent] = [false, told(error)];
      }
    });
  }
}
