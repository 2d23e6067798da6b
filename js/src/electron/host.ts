import type { App, IpcMain, IpcMainInvokeEvent, WebContents, WebFrameMain } from "electron";
import { invalid, LicenseError, loadFailed } from "../errors.js";
import { withoutRevival } from "../leases/keeper.js";
import { type LeaseStore, readStore } from "../leases/store.js";
import { readOptions } from "../options.js";
import type { MachineIdOptions, Sidecar } from "../sidecar/client.js";
import type { ValidateOptions, Verdict } from "../types.js";
import { type Channel, errorData, type Reply } from "./ipc.js";
import { createFileLeases, type SafeStorage } from "./lease-file.js";
import { createDecider, type DeciderOptions } from "./main-validator.js";
import { isListed, readOrigins } from "./origins.js";
import { refusal, watchOpened } from "./sender.js";
import { readModule, readModuleFile } from "./wasm-file.js";

export interface LicenseHostOptions {
  /**
   * The origins of your own pages, which alone are answered: `app://my-app` for
   * a scheme that you register as `standard` and `secure`, `http://localhost:5173`
   * for a development server, or `file://` for the files in the app's own folder.
   */
  origins: readonly string[];
  /** How the machine's id is made. Default: by `node-machine-id`. */
  machineId?: Pick<MachineIdOptions, "scheme" | "appId"> | undefined;
  /**
   * Where leases are kept. Default: the file `whop-license-leases` in the app's
   * `userData`, encrypted where Electron's `safeStorage` really encrypts.
   */
  leases?: LeaseStore | undefined;
  /**
   * A WebAssembly module that you built yourself, by its absolute path. Default:
   * the package's, which must be the file that it was published with.
   */
  wasm?: string | undefined;
  /**
   * Lets the main process decide, by the same module. Pages then get verdicts
   * only, by `loadMainValidator`, and no machine id, module or lease.
   */
  validator?: DeciderOptions | undefined;
  /** Called with each verdict of the `validator`, whoever asked, and with each refusal in the background. */
  onVerdict?: ((verdict: Verdict) => void) | undefined;
}

/** What serves an app's pages with what only the main process has. */
export interface LicenseHost {
  /**
   * Asks about a license key on this machine; only with a `validator`, and once
   * the app is ready, as `safeStorage` can't be used before. It rejects with a
   * `LicenseError`, which says nothing about the license.
   */
  validateLicense(
    licenseKey: string,
    options?: Pick<ValidateOptions, "signal" | "timeoutMs">,
  ): Promise<Verdict>;
  /** Stops answering, and ends the sidecar. It is called when the app quits. */
  dispose(): void;
}

/** What is used of Electron. */
export interface Electron {
  app: Pick<App, "getAppPath" | "getPath" | "isReady" | "on" | "once" | "off">;
  ipcMain: Pick<IpcMain, "handle" | "removeHandler">;
  safeStorage: SafeStorage;
}

/** What differs between the entry points. */
export interface Packaged {
  wasm(): URL;
  createSidecar(): Sidecar;
}

const OPTIONS = [
  ...(["origins", "machineId", "leases", "wasm"] as const),
  ...(["validator", "onVerdict"] as const),
] as const;

// An app asks about one license at a time; a page that is far above that must not use up memory.
const MAX_IN_FLIGHT = 200;

const STORE_NAME = /^whop-license[-:][\w.:-]{1,200}$/;
const MAX_TEXT = 5_000;

type Handler = (event: IpcMainInvokeEvent, ...given: unknown[]) => unknown;

/** Makes an entry point's registerLicenseHost. */
export function hostFactory(
  { app, ipcMain, safeStorage }: Electron,
  packaged: Packaged,
): (options: LicenseHostOptions) => LicenseHost {
  let opened: WeakSet<WebContents> | undefined;

  return (options) => {
    if (!ipcMain) throw loadFailed("registerLicenseHost works in Electron's main process alone.");
    const given = readOptions(options, OPTIONS);
    const origins = readOrigins(given.origins);
    const machine = readOptions(given.machineId, ["scheme", "appId"]) as MachineIdOptions;
    const wasm = readModuleFile(given.wasm);
    const onVerdict = readCallback(given.onVerdict);
    const store = withoutRevival(
      readLeases(given.leases) ??
        createFileLeases({ path: `${app.getPath("userData")}/whop-license-leases`, safeStorage }),
    );
    opened ??= watchOpened(app);
    const byPages = opened;

    const sidecar = packaged.createSidecar();
    const machineId = () => sidecar.machineId(machine);
    const module = readModule(wasm, packaged.wasm);
    const decide =
      given.validator === undefined
        ? undefined
        : createDecider(readOptions(given.validator, DECIDER_OPTIONS) as DeciderOptions, {
            wasm: module,
            machineId,
            store,
            tell,
          });
    const pages = new Set<WebFrameMain>();
    const calls = new Map<string, AbortController>();
    let inFlight = 0;
    let disposed = false;

    function tell(verdict: Verdict, later: boolean): void {
      if (disposed) return;
      // What it throws is reported as of any other listener, and breaks no answer.
      if (onVerdict) queueMicrotask(() => onVerdict(verdict));
      if (!later) return;
      const change: Channel = "whop-license:change";
      for (const page of pages) {
        try {
          if (isListed(origins, page.url, page.origin, app.getAppPath()))
            page.send(change, verdict);
        } catch {
          pages.delete(page); // It has gone.
        }
      }
    }

    /** Answers listed pages alone, each by plain data, and never too many at once. */
    function answering(channel: Channel, handler: Handler): Handler {
      return async (event, ...rest): Promise<Reply<unknown>> => {
        const refused = refusal(event, origins, app.getAppPath(), byPages);
        if (refused) {
          const message = `The license host does not answer this page: ${refused}.`;
          return { error: errorData(loadFailed(message)) };
        }
        // To abort one is what makes room.
        if (inFlight >= MAX_IN_FLIGHT && channel !== "whop-license:abort")
          return { error: errorData(tooMany()) };
        inFlight++;
        try {
          return { value: await handler(event, ...rest) };
        } catch (thrown) {
          return { error: errorData(thrown) };
        } finally {
          inFlight--;
        }
      };
    }

    /** Serves what a page needs to decide; not where the main process does. */
    function deciding(handler: Handler): Handler {
      return (...all) => {
        if (!decide) return handler(...all);
        throw loadFailed(
          "The main process decides about the license: use loadMainValidator in this page.",
        );
      };
    }

    async function validate(
      { sender, senderFrame }: IpcMainInvokeEvent,
      call: unknown,
      licenseKey: unknown,
      timeoutMs: unknown,
    ): Promise<Verdict> {
      if (!decide) throw noValidator();
      const id = callId(sender.id, call);
      if (calls.has(id)) throw invalid("call", "is under way already");
      const controller = new AbortController();
      calls.set(id, controller);
      try {
        for (const page of pages) if (isGone(page)) pages.delete(page);
        if (senderFrame) pages.add(senderFrame);
        const asked = { signal: controller.signal, timeoutMs } as ValidateOptions;
        return forPage(await decide(licenseKey, asked));
      } finally {
        calls.delete(id);
      }
    }

    const handlers: [Channel, Handler][] = [
      ["whop-license:machine-id", deciding(machineId)],
      ["whop-license:wasm", deciding(module)],
      ["whop-license:store", deciding((_event, ...asked) => useStore(store, asked))],
      ["whop-license:validate", validate as Handler],
      ["whop-license:abort", ({ sender }, call) => calls.get(callId(sender.id, call))?.abort()],
    ];

    function dispose(): void {
      if (disposed) return; // The handlers may be those of the next host by now.
      disposed = true;
      app.off("will-quit", dispose);
      for (const [channel] of handlers) ipcMain.removeHandler(channel);
      for (const controller of calls.values()) controller.abort();
      sidecar.close();
    }

    try {
      for (const [channel, handler] of handlers)
        ipcMain.handle(channel, answering(channel, handler));
    } catch (cause) {
      sidecar.close();
      throw new LicenseError(
        "invalid_argument",
        "registerLicenseHost: there is a license host already; dispose of it first.",
        { cause },
      );
    }
    app.once("will-quit", dispose);
    return Object.freeze<LicenseHost>({
      validateLicense: async (licenseKey, asked) => {
        if (!decide) throw noValidator();
        if (!app.isReady()) throw notReady();
        return decide(licenseKey, readOptions(asked, ["signal", "timeoutMs"]) as ValidateOptions);
      },
      dispose,
    });
  };
}

const DECIDER_OPTIONS = [
  ...(["endpoint", "publicKey", "issuer", "audience"] as const),
  "revalidateAfterMs",
] as const;

function readCallback(onVerdict: unknown): LicenseHostOptions["onVerdict"] {
  if (onVerdict === undefined || typeof onVerdict === "function") {
    return onVerdict as LicenseHostOptions["onVerdict"];
  }
  throw invalid("onVerdict", "must be a function");
}

function readLeases(leases: unknown): LeaseStore | undefined {
  if (typeof leases !== "string") return readStore(leases);
  throw invalid("leases", "must be an object with get, set and remove");
}

async function useStore(store: LeaseStore, [operation, name, text]: unknown[]): Promise<unknown> {
  if (typeof name !== "string" || !STORE_NAME.test(name)) {
    throw invalid("name", "is none of whop-license's");
  }
  switch (operation) {
    case "get":
      return (await store.get(name)) ?? undefined;
    case "set":
      if (typeof text !== "string" || text.length > MAX_TEXT) {
        throw invalid("text", `must be a string of at most ${MAX_TEXT} characters`);
      }
      await store.set(name, text);
      return undefined;
    case "remove":
      await store.remove(name);
      return undefined;
  }
  throw invalid("operation", "must be get, set or remove");
}

/** A verdict without what says more than a page may know: the machine's id is in the metadata. */
function forPage(verdict: Verdict): Verdict {
  if (!verdict.valid) return verdict;
  const { lease: _lease, membership, ...rest } = verdict;
  const { metadata: _metadata, ...known } = membership;
  return { ...rest, membership: known };
}

function isGone(page: WebFrameMain): boolean {
  try {
    // Electron has that since 33; before, a frame that is gone throws when it is used.
    return page.isDestroyed?.() ?? page.url === undefined;
  } catch {
    return true;
  }
}

/** Tells a window's calls from those of others. */
function callId(window: number, call: unknown): string {
  if (!Number.isSafeInteger(call)) throw invalid("call", "must be a whole number");
  return `${window} ${call}`;
}

function noValidator(): LicenseError {
  return loadFailed(
    "The main process has no validator: give registerLicenseHost the option `validator`, " +
      "or use loadElectronValidator in the page.",
  );
}

function notReady(): LicenseError {
  return loadFailed(
    "Electron is not ready, so kept leases can't be read: call validateLicense in `app.whenReady().then(…)`.",
  );
}

function tooMany(): LicenseError {
  return new LicenseError(
    "rate_limited",
    "The license host is answering too many calls of this app. Wait for their answers.",
    { retryable: true },
  );
}
