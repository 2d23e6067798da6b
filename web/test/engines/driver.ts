// What a browser's driver does for a page. page.ts builds on it what tests use.

export interface Driver {
  navigate(url: string): Promise<void>;
  reload(): Promise<void>;
  /** Evaluates an expression that returns a promise of a text. */
  evaluate(expression: string): Promise<string>;
  /** Performs WebDriver actions, and releases all keys and buttons. */
  perform(sources: InputSource[]): Promise<void>;
  /** Runs before the scripts of each page, if the driver can; else it returns false. */
  addInitScript(script: string): Promise<boolean>;
  resize(width: number, height: number): Promise<void>;
  close(): Promise<void>;
}

export interface InputSource {
  type: "key" | "pointer";
  id: string;
  parameters?: { pointerType: "mouse" };
  actions: object[];
}

/** The errors that a page reports, for drivers that are told. */
export type Complaint = { kind: "console" | "pageerror"; type: string; text: string };

/** Clears everything that a page would leave to the next one in its tab. */
export const leave = `(async () => {
  try { localStorage.clear(); sessionStorage.clear(); } catch {}
  const workers = await navigator.serviceWorker?.getRegistrations().catch(() => []);
  await Promise.all((workers ?? []).map((worker) => worker.unregister()));
})()`;

/** A value as JavaScript, undefined included. */
export function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join()}]`;
  if (value instanceof RegExp || typeof value === "number") return String(value);
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(
      ([name, member]) => `[${JSON.stringify(name)}]:${literal(member)}`,
    );
    return `{${members.join()}}`;
  }
  return JSON.stringify(value) ?? "undefined";
}

/** Makes an expression from a script. It returns the result as JSON. */
export function source(expression: string): string {
  return (
    `Promise.resolve().then(() => (${expression}\n)).then(` +
    "(value) => JSON.stringify({ value }), (error) => JSON.stringify({ error: error?.message + '\\n' + error?.stack }))"
  );
}

/** Reads the result of {@link source}. */
export function result<Result>(text: string): Result {
  const { value, error } = JSON.parse(text) as { value: Result; error?: string };
  if (error !== undefined) throw new Error(`in the page: ${error}`);
  return value;
}
