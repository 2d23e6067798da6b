// Code for the two worlds of a stand-in window's pages: the page's own, and
// the isolated one for the preload, as with Electron's contextIsolation.
// The functions are self-contained, because their text runs in the page.
import { decode, encode } from "./codec.js";

/** The name of the isolated world, and of the function in it that reaches the harness. */
export const PRELOAD_WORLD = "Electron Isolated Context";
export const BINDING = "electronStandIn";

/** The preload's `process`. */
export interface PreloadProcess {
  contextIsolated: boolean;
  sandboxed: boolean;
}

type Detail = Record<string, unknown>;

/** What is exposed to a page: an object with members, a value, or a function. */
interface Exposed {
  members?: Record<string, Exposed>;
  value?: { is: unknown };
}

/** The page's side of contextBridge: creates what is exposed. Values cross in events, whose details are cloned. */
function pageWorld(): void {
  let last = 0;
  const calls = new Map<number, { resolve(value: unknown): void; reject(reason: unknown): void }>();
  const callbacks = new Map<number, (...args: unknown[]) => void>();
  const on = (type: string, listener: (detail: Detail) => void): void =>
    addEventListener(`stand-in-${type}`, (event) => {
      event.stopImmediatePropagation();
      listener((event as CustomEvent<Detail>).detail);
    });
  const crossing = (value: unknown): unknown => {
    if (typeof value !== "function") return structuredClone(value);
    callbacks.set(++last, value as () => void);
    return { callback: last };
  };
  on("expose", ({ key, exposed }) => {
    if (Object.hasOwn(globalThis, key as string)) {
      throw new Error("Cannot bind an API on top of an existing property on the window object");
    }
    const make = (path: string[], { value, members }: Exposed): unknown => {
      if (members) {
        const made = Object.entries(members).map(([name, m]) => [name, make([...path, name], m)]);
        return Object.freeze(Object.fromEntries(made));
      }
      if (value) return value.is;
      return (...given: unknown[]) => {
        const args = given.map(crossing);
        const call = ++last;
        return new Promise((resolve, reject) => {
          calls.set(call, { resolve, reject });
          dispatchEvent(new CustomEvent("stand-in-call", { detail: { call, key, path, args } }));
        });
      };
    };
    const value = make([], exposed as Exposed);
    Object.defineProperty(globalThis, key as string, { value });
  });
  on("result", ({ call, value, error }) => {
    const waiting = calls.get(call as number);
    calls.delete(call as number);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(error as string));
  });
  on("callback", ({ callback, args }) => {
    callbacks.get(callback as number)?.(...(args as unknown[]));
  });
}

/** Runs a preload with the `electron` and `process` that a sandboxed one has. */
function preloadWorld(
  codec: { encode: (value: unknown) => string; decode: (text: string) => unknown },
  binding: string,
  settings: PreloadProcess & { subFrames: boolean },
  preloads: ((...scope: unknown[]) => void)[],
): void {
  const isMainFrame = window === top;
  if (!isMainFrame && !settings.subFrames) return;
  const toHarness = Reflect.get(globalThis, binding) as ((text: string) => void) | undefined;
  // It has run in this document, which came just when the window was equipped.
  if (!toHarness) return;
  Reflect.deleteProperty(globalThis, binding);
  const exposed = new Map<string, Record<string, unknown>>();
  const calls = new Map<number, { resolve(value: unknown): void; reject(reason: unknown): void }>();
  const listeners = new Map<string, ((event: object, ...args: unknown[]) => void)[]>();
  let last = 0;
  const send = (type: string, detail: Detail): void =>
    void dispatchEvent(new CustomEvent(`stand-in-${type}`, { detail }));
  const crossed = (value: unknown): unknown => {
    const callback = (value as { callback?: number } | null | undefined)?.callback;
    if (typeof callback !== "number") return value;
    return (...args: unknown[]) => send("callback", { callback, args });
  };
  addEventListener("stand-in-call", (event) => {
    event.stopImmediatePropagation();
    const { call, key, path, args } = (event as CustomEvent<Detail>).detail;
    const step = (at: unknown, name: string): unknown => Reflect.get(at as object, name);
    const api: unknown = exposed.get(key as string);
    const member = (path as string[]).reduce(step, api) as (...args: unknown[]) => unknown;
    // A function of the preload is called synchronously, as in Electron.
    new Promise((resolve) => resolve(member(...(args as unknown[]).map(crossed)))).then(
      (value) => send("result", { call, value }),
      (reason) => send("result", { call, error: String(reason?.message ?? reason) }),
    );
  });
  Reflect.set(globalThis, `${binding}Deliver`, (text: string) => {
    const { call, value, error, channel, args } = codec.decode(text) as Detail;
    if (channel !== undefined) {
      for (const listener of listeners.get(channel as string) ?? []) {
        listener({}, ...(args as unknown[]));
      }
      return;
    }
    const waiting = calls.get(call as number);
    calls.delete(call as number);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new Error(error as string));
  });

  const describe = (value: unknown): Exposed => {
    if (typeof value === "function") return {};
    if (Object.prototype.toString.call(value) !== "[object Object]")
      return { value: { is: value } };
    const members = Object.entries(value as object).map(([name, m]) => [name, describe(m)]);
    return { members: Object.fromEntries(members) };
  };
  const electron = {
    contextBridge: {
      exposeInMainWorld(key: string, api: Record<string, unknown>): void {
        if (!settings.contextIsolated) {
          throw new Error("contextBridge API can only be used when contextIsolation is enabled");
        }
        if (exposed.has(key)) {
          throw new Error("Cannot bind an API on top of an existing property on the window object");
        }
        exposed.set(key, api);
        send("expose", { key, exposed: describe(api) });
      },
    },
    ipcRenderer: {
      invoke: (channel: string, ...args: unknown[]) =>
        new Promise((resolve, reject) => {
          const call = ++last;
          const text = codec.encode({ call, channel, args });
          calls.set(call, { resolve, reject });
          toHarness(text);
        }),
      on(channel: string, listener: (event: object, ...args: unknown[]) => void): void {
        listeners.set(channel, [...(listeners.get(channel) ?? []), listener]);
      },
    },
  };
  // The part that bundlers' development code uses.
  class Emitter {
    static readonly EventEmitter = Emitter;
    readonly #listeners: [string, (...args: unknown[]) => void][] = [];
    on(type: string, listener: (...args: unknown[]) => void): this {
      this.#listeners.push([type, listener]);
      return this;
    }
    emit(type: string, ...args: unknown[]): void {
      for (const [own, listener] of this.#listeners) if (own === type) listener(...args);
    }
  }
  // All that a sandboxed preload can load.
  const loadable: Record<string, unknown> = {
    electron,
    events: Emitter,
    timers: { setTimeout, setInterval, clearTimeout, clearInterval },
    url: { URL, URLSearchParams },
  };
  const require = (name: string): unknown => {
    if (Object.hasOwn(loadable, name)) return loadable[name];
    throw new Error(`module not found: ${name}`);
  };
  const process = { ...settings, isMainFrame, type: "renderer", platform: "linux", versions: {} };
  for (const preload of preloads) {
    try {
      preload(require, process, {}, { exports: {} });
    } catch (error) {
      console.error(`Unable to load preload script: ${error}`);
    }
  }
}

/** The script of the page's own world. */
export const pageScript = `(${pageWorld})()`;

/** The script of the preload's world. */
export function preloadScript(
  settings: PreloadProcess & { subFrames: boolean },
  preloads: string[],
): string {
  const functions = preloads.map((code) => `(require, process, exports, module) => {\n${code}\n}`);
  return (
    `(${preloadWorld})({ encode: ${encode}, decode: ${decode} }, ${JSON.stringify(BINDING)}, ` +
    `${JSON.stringify(settings)}, [${functions.join(",\n")}])`
  );
}
