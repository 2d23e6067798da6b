const IN_FLIGHT = 4;
const BURST = 60;
const PER_SECOND = 2;

/** Limits one page's requests: the number in flight, and the rate. */
export class Limit {
  #inFlight = 0;
  #left = BURST;
  #at = Date.now();

  /** Returns false if a request is over the limit. Otherwise, call `leave` when it is done. */
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

  /** Whether a new limit would be the same. */
  get idle(): boolean {
    const refilled = this.#left + ((Date.now() - this.#at) / 1000) * PER_SECOND >= BURST;
    return this.#inFlight === 0 && refilled;
  }
}

export const tooMany = {
  error: {
    reason: "refused",
    message: "The page asks the browser helper too often. Wait a minute, and try again.",
  },
} as const;
