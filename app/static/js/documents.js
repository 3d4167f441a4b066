/* The list of documents: drafts with their price, the archive, deletion with undo. */

import { Problem, json } from "./api.js";
import { deleteSoon, toast } from "./deletion.js";
import { ceilingFor, showNoPrice, showPrice } from "./prices.js";
import { showRefusal } from "./refusals.js";
import { ask } from "./stream.js";

const form = document.getElementById("draft");
const list = document.getElementById("documents");

if (form) {
  const text = form.elements.instructions;
  const price = form.querySelector("[data-price]");
  let timer;
  const priced = () => ({ operation: "draft", instructions: text.value });
  text.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => (text.value.trim() ? showPrice(price, priced()) : showNoPrice(price, "")), 400);
  });

  const draft = async (most = ceilingFor(price, priced())) => {
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      let id = null;
      await ask("POST", "/api/documents", { instructions: text.value, ...most }, {
        heard: (name, body) => {
          id ??= body.document_id;
          if (name === "start") { price.textContent = "Writing …"; location.assign(`/documents/${id}`); }
        },
      });
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      const cheaper = ({ model, model_ceiling_nanos: limit }) => draft({ model, max_cost_nanos: limit });
      showRefusal(form.querySelector("[data-refusal]"), problem, { again: () => draft({}), cheaper }, "canManage" in form.dataset);
    } finally {
      button.disabled = false;
    }
  };
  form.addEventListener("submit", (event) => { event.preventDefault(); draft(); });
}

const given = document.querySelector("[data-import]");
given.querySelector("button").addEventListener("click", () => given.elements.file.click());
given.elements.file.addEventListener("change", () => given.requestSubmit());

list.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  const item = button?.closest("[data-document]");
  if (!item) return;
  const id = item.dataset.document;
  if ("archive" in button.dataset) {
    await archive(id, button.dataset.archive === "true", item);
    return;
  }
  deleteSoon(`/api/documents/${id}`, () => item, "Document deleted.");
});

async function archive(id, isArchived, item) {
  try {
    await json("PATCH", `/api/documents/${id}`, { is_archived: isArchived });
    item.remove();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    toast(problem.detail, "Reload the page", () => location.reload());
  }
}
