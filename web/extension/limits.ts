// Pages of an origin wait for one program together, so a request in flight costs no more
// than its place: many gates of a page, and many tabs, may ask in the same moment.
const IN_FLIGHT = 60;
const BURST = 60;
const PER_SECOND = 2;

/** How much one page may ask: so many requests at a time, and so many in a while. */
export class Limit {
  #inFlight = 0;
  #left = BURST;
  #at = Date.now();

  /** Takes a place, which `leave` gives back, or returns false if there is none. */
  enter(): boolean {
    const now = Date.now();
    this.#left = Math.min(BURST, this.#left + (Math.max(0, now - this.#at) / 1000) * PER_SECOND);
    this.#at = now;
    if (this.#inFlight >= IN_FLIGHT || this.#left < 1) return false;
    this.#left--;
    this.#inFlight++;
    return true;
  }

  leave(): void {
    this.#inFlight--;
  }

  /** Whether nothing is known that a new limit would not say too. */
  get idle(): boolean {
    const refilled = this.#left + ((Date.now() - this.#at) / 1000) * PER_SECOND >= BURST;
    return this.#inFlight === 0 && refilled;
  }
}

export const tooMany = {
  error: {
    reason: "refused",
    message: "The page asks the browser helper too often. Wait a while, and ask again.",
  },
} as const;
