// One interface over the browser engines that customers have, so that a test is
// written once.

export interface Engine {
  /** Opens a page, with storage that no other page of another call has. */
  open(): Promise<EnginePage>;
  close(): Promise<void>;
}

export interface EnginePage {
  goto(url: string): Promise<void>;
  /** Runs a function in the page, which takes and returns plain data only and sees nothing of the test's. */
  evaluate<Result>(run: () => Result | Promise<Result>): Promise<Result>;
  evaluate<Argument, Result>(
    run: (argument: Argument) => Result | Promise<Result>,
    argument: Argument,
  ): Promise<Result>;
  /** Types on the keyboard, one character after another, to whatever has the focus. */
  type(text: string): Promise<void>;
  press(key: Key): Promise<void>;
  close(): Promise<void>;
}

/** The keys by name, as WebDriver knows them. */
export const keys = { Enter: "\uE007", Tab: "\uE004" } as const;
export type Key = keyof typeof keys;

/** The text of a function that runs in the page, and hands back what came of it as JSON. */
export function source(run: (argument: never) => unknown, argument: unknown): string {
  return (
    `Promise.resolve().then(() => (${run})(${JSON.stringify(argument) ?? "undefined"})).then(` +
    "(value) => JSON.stringify({ value }), (error) => JSON.stringify({ error: String(error?.stack ?? error) }))"
  );
}

/** Reads what {@link source} handed back. */
export function result<Result>(text: string): Result {
  const { value, error } = JSON.parse(text) as { value: Result; error?: string };
  if (error !== undefined) throw new Error(`in the page: ${error}`);
  return value;
}
