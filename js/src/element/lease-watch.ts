import { type Answer, leaseEnd } from "./answer.js";

const HOUR = 3_600_000;

/** Watches the lease that keeps a gate open. */
export class LeaseWatch {
  readonly #tick: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** In milliseconds since the epoch; undefined if it doesn't end. */
  #end: number | undefined;
  /** The same moment by `performance.now()`, so that turning the clock back gains nothing. */
  #endRunning = 0;

  /** @param tick Called at least every hour, and when the lease is over. */
  constructor(tick: () => void) {
    this.#tick = tick;
  }

  /** Takes the lease of an answer, in place of the previous one, and stops watching. */
  take(answer: Answer | undefined): void {
    this.stop();
    this.#end = answer && leaseEnd(answer);
    this.#endRunning = performance.now() + ((this.#end ?? 0) - Date.now());
  }

  get isOver(): boolean {
    return this.#left() <= 0;
  }

  start(): void {
    this.stop();
    const left = this.#left();
    if (left === Number.POSITIVE_INFINITY) return;
    // If the clock is wrong, every new lease may look expired, which is no reason to tick right away.
    this.#timer = setTimeout(
      () => {
        this.#tick();
        this.start();
      },
      left > 0 ? Math.min(left, HOUR) : HOUR,
    );
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #left(): number {
    if (this.#end === undefined) return Number.POSITIVE_INFINITY;
    return Math.min(this.#end - Date.now(), this.#endRunning - performance.now());
  }
}
