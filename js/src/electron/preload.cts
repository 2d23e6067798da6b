/**
 * The preload of whop-license: exposes to the page what `whop-license/electron/renderer`
 * needs, and no more. It is one file that imports nothing but Electron, so it
 * works in a sandbox, as a window's preload or as part of your own. Running it a
 * second time does nothing.
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

function refuse(setting: string): NoBridge {
  const refused =
    `This window is not safe: set \`${setting}\` in its webPreferences. ` +
    "Until then whop-license gives it no machine id, module or lease.";
  console.error(`whop-license: ${refused}`);
  return { protocol: 1, refused };
}

function run(): void {
  if (!process.isMainFrame || Reflect.has(globalThis, RAN)) return;
  Reflect.set(globalThis, RAN, true);
  if (!process.contextIsolated) {
    // The page shares this global object: it can be told why, but must not be served.
    Reflect.set(globalThis, NAME, refuse("contextIsolation: true"));
  } else if (!process.sandboxed) {
    contextBridge.exposeInMainWorld(NAME, refuse("sandbox: true"));
  } else {
    const change: Channel = "whop-license:change";
    ipcRenderer.on(change, (_event, verdict) => listener?.(verdict));
    contextBridge.exposeInMainWorld(NAME, bridge);
  }
}

run();
