/* Keeps the thread at its end while an answer grows, until the reader scrolls up, however little. */

const NEAR = 80;

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

  get rest() { return this.thread.scrollHeight - this.thread.scrollTop - this.thread.clientHeight; }

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
    this.thread.scrollTop = this.thread.scrollHeight;
    this.top = this.thread.scrollTop;
    this.isPinned = true;
    this.button.hidden = true;
  }
}
