/* The dialog of a chat's link: made, brought up to date, copied, revoked. */

import { Problem, json } from "./api.js";
import { copyText } from "./code.js";

export class Share {
  constructor() {
    this.dialog = document.getElementById("share-dialog");
    this.link = document.getElementById("share-link");
    this.told = this.part("told");
    this.part("make").addEventListener("click", () => this.change(true));
    this.part("revoke").addEventListener("click", () => this.change(false));
    this.part("copy").addEventListener("click", (event) => copyText(this.link.value, event.currentTarget));
  }

  part(name) { return this.dialog.querySelector(`[data-${name}]`); }

  open(item) {
    this.item = item;
    this.say("");
    this.show(item.dataset.shared);
    this.dialog.showModal();
  }

  show(address) {
    this.link.value = address ?? "";
    for (const name of ["link", "copy", "revoke"]) this.part(name).hidden = !address;
    this.part("make").textContent = address ? "Update link" : "Create link";
    this.part("make").classList.toggle("button-main", !address);
  }

  say(label) { this.told.textContent = label; }

  async change(isShared) {
    const wasShared = Boolean(this.item.dataset.shared);
    try {
      const { share_url: address } = await json("PATCH", `/api/chats/${this.item.dataset.chat}`, { is_shared: isShared });
      if (address) this.item.dataset.shared = address;
      else delete this.item.dataset.shared;
      this.show(address);
      this.say(!isShared ? "The link no longer works." : wasShared ? "The link shows the chat as it is now." : "");
      (isShared ? this.link : this.part("make")).focus();
      if (isShared) this.link.select();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.say(problem.detail);
    }
  }
}
