/* Keeps the thread at its end while an answer grows, but only where the reader is at the end. */

const NEAR = 80;

export class Scroll {
  constructor() {
    this.thread = document.getElementById("thread");
    this.button = document.getElementById("to-latest");
    this.isPinned = true;
    this.thread.addEventListener("scroll", () => this.look(), { passive: true });
    this.button.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.keep()).observe(document.getElementById("messages"));
    new ResizeObserver(() => this.keep()).observe(this.thread);
    this.toEnd();
  }

  get rest() { return this.thread.scrollHeight - this.thread.scrollTop - this.thread.clientHeight; }

  look() {
    this.isPinned = this.rest < NEAR;
    this.button.hidden = this.isPinned;
  }

  keep() {
    if (this.isPinned) this.toEnd();
    else this.button.hidden = this.rest < NEAR;
  }

  toEnd() {
    this.thread.scrollTop = this.thread.scrollHeight;
    this.isPinned = true;
    this.button.hidden = true;
  }
}
