/** Go's support code for WebAssembly, generated from Go's own wasm_exec.js at build time. */

/** What the support code reads from its global object and sets on it. */
export interface GoScope {
  Go: new () => Go;
  fs: { writeSync(fd: number, bytes: Uint8Array): number };
  [name: string]: unknown;
}

export interface Go {
  env: Record<string, string>;
  exit: (code: number) => void;
  readonly importObject: WebAssembly.Imports;
  run(instance: WebAssembly.Instance): Promise<void>;
  /** Lets Go run after an event, such as a call or a timer. */
  _resume(): void;
  readonly _scheduledTimeouts: Map<number, ReturnType<typeof setTimeout>>;
}

/** Runs the support code with the given object in place of the global one. */
export function defineGo(scope: object): asserts scope is GoScope;
