// Counts the seconds that a case is looked at: while the page is visible and somebody is there.

const TICK = 500;
const LID = 3000; // a longer gap between two ticks: the computer slept
const IDLE = 120_000; // nothing touched for so long: nobody is there

export class Clock {
  #spent = 0;
  #before = 0;
  #touched = 0;
  #timer = null;

  constructor() {
    for (const name of ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"])
      addEventListener(name, () => (this.#touched = performance.now()), { passive: true });
  }

  start() {
    this.stop();
    this.#spent = 0;
    this.#before = this.#touched = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK);
  }

  stop() {
    if (this.#timer === null) return;
    this.#tick();
    clearInterval(this.#timer);
    this.#timer = null;
  }

  // The seconds since they were taken last.
  take() {
    if (this.#timer !== null) this.#tick();
    const seconds = this.#spent / 1000;
    this.#spent = 0;
    return seconds;
  }

  #tick() {
    const now = performance.now();
    const gap = now - this.#before;
    this.#before = now;
    if (document.visibilityState === "visible" && gap < LID && now - this.#touched < IDLE)
      this.#spent += gap;
  }
}
