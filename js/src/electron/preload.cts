/**
 * The preload of whop-license. It exposes to the page what `whop-license/electron/renderer`
 * needs, and nothing else. It is one file that imports only Electron, so it works in a
 * sandbox, as a window's preload or as part of your own. Running it again does nothing.
 */
import { contextBridge, ipcRenderer } from "electron";
import type { Bridge, Channel, NoBridge, RequestChannel } from "./ipc.js";

const RAN = Symbol.for("whop-license.preload");
const NAME = "whopLicense";

function invoke(channel: RequestChannel, ...given: unknown[]): Promise<never> {
  return ipcRenderer.invoke(channel, ...given) as Promise<never>;
}

let listener: Parameters<Bridge["onChange"]>[0] | undefined;

const bridge: Bridge = {
  protocol: 1,
  machineId: () => invoke("whop-license:machine-id"),
  wasm: () => invoke("whop-license:wasm"),
  get: (name) => invoke("whop-license:store", "get", name),
  set: (name, text) => invoke("whop-license:store", "set", name, text),
  remove: (name) => invoke("whop-license:store", "remove", name),
  validate: (check, licenseKey, timeoutMs) =>
    invoke("whop-license:validate", check, licenseKey, timeoutMs),
  abort: (check) => invoke("whop-license:abort", check),
  onChange: (given) => {
    listener = given;
  },
};

function unsafe(setting: string): string {
  return (
    `This window is not safe: set \`${setting}\` in its webPreferences. ` +
    "Until then, whop-license gives it no machine id, module or lease."
  );
}

/** For a page that shares the preload's global object. It is told why, but must not get anything. */
function noBridge(): NoBridge {
  const refused = unsafe("contextIsolation: true");
  console.error(`whop-license: ${refused}`);
  return { protocol: 1, refused };
}

/** What a window outside of the sandbox gets: only verdicts, if the main process decides. */
function verdictsAlone(): Bridge {
  const message = `${unsafe("sandbox: true")} It can get only verdicts from the main process (loadMainValidator).`;
  const refuse = async (): Promise<never> => {
    console.error(`whop-license: ${message}`);
    return { error: { code: "load_failed", message, retryable: false } } as never;
  };
  return { ...bridge, machineId: refuse, wasm: refuse, get: refuse, set: refuse, remove: refuse };
}

function run(): void {
  if (!process.isMainFrame || Reflect.has(globalThis, RAN)) return;
  Reflect.set(globalThis, RAN, true);
  if (!process.contextIsolated) {
    Reflect.set(globalThis, NAME, noBridge());
  } else {
    const change: Channel = "whop-license:change";
    ipcRenderer.on(change, (_event, verdict) => listener?.(verdict));
    contextBridge.exposeInMainWorld(NAME, process.sandboxed ? bridge : verdictsAlone());
  }
}

run();
