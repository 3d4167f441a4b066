/* Keeps the thread at its end while an answer grows, until the reader scrolls up, however little. A welcome has no end. */

const NEAR = 80;
const isWelcome = () => document.getElementById("welcome");

export class Scroll {
  constructor() {
    this.thread = document.getElementById("thread");
    this.button = document.getElementById("to-latest");
    this.isPinned = true;
    this.top = 0;
    this.thread.addEventListener("scroll", () => this.look(), { passive: true });
    this.button.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.keep()).observe(document.getElementById("messages"));
    new ResizeObserver(() => this.keep()).observe(this.thread);
    this.toEnd();
  }

  get rest() { return isWelcome() ? 0 : this.thread.scrollHeight - this.thread.scrollTop - this.thread.clientHeight; }

  look() {
    const { scrollTop } = this.thread;
    this.isPinned = this.rest < (scrollTop < this.top ? 1 : NEAR);
    this.top = scrollTop;
    this.button.hidden = this.rest < NEAR;
  }

  keep() {
    if (this.isPinned) this.toEnd();
    else this.button.hidden = this.rest < NEAR;
  }

  toEnd() {
    if (isWelcome()) return;
    this.thread.scrollTop = this.thread.scrollHeight;
    this.top = this.thread.scrollTop;
    this.isPinned = true;
    this.button.hidden = true;
  }
}
