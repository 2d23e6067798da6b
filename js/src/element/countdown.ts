const MAX_MS = 24 * 3_600_000;

/** Counts down the seconds. */
export class Countdown {
  readonly #tell: (seconds: number, said: boolean) => void;
  #end = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param tell Called every second; `said` is true if it should be read out, which is rare, and at the end. */
  constructor(tell: (seconds: number, said: boolean) => void) {
    this.#tell = tell;
  }

  /** The seconds left, rounded up; 0 if there is nothing to wait for. */
  get seconds(): number {
    return Math.max(0, Math.ceil((this.#end - performance.now()) / 1000));
  }

  start(ms: number): void {
    this.#end = performance.now() + Math.min(ms, MAX_MS);
    this.resume();
  }

  /** Stops calling `tell`. The time continues to run. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  resume(): void {
    this.pause();
    if (this.#end === 0) return;
    this.#timer = setTimeout(
      () => this.#tick(),
      this.#end - performance.now() - (this.seconds - 1) * 1000,
    );
  }

  stop(): void {
    this.#end = 0;
    this.pause();
  }

  #tick(): void {
    const { seconds } = this;
    if (seconds === 0) this.stop();
    else this.resume();
    this.#tell(seconds, seconds === 0 || seconds === 10 || seconds === 30 || seconds % 60 === 0);
  }
}
