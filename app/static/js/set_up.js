/* The dialog of instructions, length and budget: of a chat the server keeps them, of a new one they wait for its first message. */

import { json } from "./api.js";

const FIELDS = ["system_prompt", "max_output_tokens", "budget_credits", "document_id"];

export class SetUp {
  constructor({ chat, changed }) {
    this.chat = chat;
    this.changed = changed;
    this.dialog = document.getElementById("set-up-dialog");
    this.form = this.dialog.querySelector("form");
    const { defaultValue: own } = this.form.elements.system_prompt;
    this.kept = !chat() && own ? { system_prompt: own } : {};
    this.budget = document.getElementById("budget");
    document.getElementById("set-up").addEventListener("click", () => this.open());
    this.budget?.addEventListener("click", () => { this.open(); this.form.elements.budget_credits.focus(); });
    this.form.addEventListener("submit", (event) => this.keep(event));
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    if ("wrong" in this.dialog.dataset) this.show();
  }

  /* What goes with the first message. */
  get settings() {
    const { folder, temporary } = document.getElementById("messages").dataset;
    return this.chat() ? {} : { ...this.kept, ...(folder && { folder }), ...(temporary && { is_temporary: true }) };
  }

  open() {
    const { elements } = this.form;
    this.form.action = `/chat/${this.chat()}/settings`;
    if (!this.chat()) for (const name of FIELDS) if (elements[name]) elements[name].value = this.kept[name] ?? "";
    this.show();
  }

  show() {
    this.dialog.showModal();
    if (this.form.elements.document_id) this.listDocuments(this.form.elements.document_id);
  }

  /* The newest ones, read once: few people choose one, and who has none sees no field. */
  async listDocuments(select) {
    const field = select.closest(".field"), hint = document.getElementById("document_id-hint");
    this.documentHint ??= hint.textContent;
    try {
      const { items } = await (this.documents ??= json("GET", "/api/documents?limit=100"));
      const listed = [...select.options].map((option) => option.value);
      for (const { id, title } of items) if (!listed.includes(id)) select.add(new Option(title || "Untitled", id));
      hint.textContent = this.documentHint;
      field.hidden = select.options.length < 2;
    } catch (problem) {
      this.documents = null;
      field.hidden = false;
      hint.textContent = problem.detail;
    }
  }

  keep(event) {
    if (this.chat()) return;
    event.preventDefault();
    const { system_prompt: told, max_output_tokens: most, budget_credits: limit, document_id: about } = this.form.elements;
    this.kept = { ...(told.value.trim() && { system_prompt: told.value }), ...(most.value && { max_output_tokens: Number(most.value) }), ...(limit?.value && { budget_credits: limit.value }), ...(about?.value && { document_id: about.value }) };
    this.showBudget(limit?.value);
    this.dialog.close();
    this.changed();
  }

  showBudget(credits) {
    if (this.budget) this.budget.textContent = Number(credits) ? `At most ${credits} credits in this chat` : "Set a budget";
  }
}
