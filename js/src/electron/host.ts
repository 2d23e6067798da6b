import type { App, IpcMain, IpcMainInvokeEvent, Net, WebContents, WebFrameMain } from "electron";
import { invalid, LicenseError, loadFailed } from "../errors.js";
import { refuseUndefinedKey } from "../leases/options.js";
import { withoutRevival } from "../leases/shared.js";
import { type LeaseStore, readStore } from "../leases/store.js";
import { readOptions } from "../options.js";
import type { MachineId, MachineIdOptions, Sidecar } from "../sidecar/types.js";
import type { InvalidVerdict, ValidateOptions, Verdict } from "../types.js";
import { type Channel, errorData, type Reply, type RequestChannel } from "./ipc.js";
import { createFileLeases, type SafeStorage } from "./lease-file.js";
import { MainValidator, type MainValidatorSettings } from "./main-validator.js";
import { netFetch } from "./net-fetch.js";
import { isListed, type Origins, readOrigins } from "./origins.js";
import { useStore } from "./page-store.js";
import { QuitGuard } from "./quit-guard.js";
import { isUnsandboxed, refusal, watchWindows } from "./sender.js";
import { readModule, readModuleFile } from "./wasm-file.js";

export interface LicenseHostOptions {
  /**
   * The origins of your own pages, up to 100. Only these get answers: `app://my-app`
   * for a scheme that you register as `standard` and `secure`,
   * `http://localhost:5173` for a development server, or `file://` for the files in
   * the app's own folder.
   */
  origins: readonly string[];
  /** How the machine id is made. Default: the scheme `node-machine-id`. */
  machineId?: Pick<MachineIdOptions, "scheme" | "appId"> | undefined;
  /**
   * Where leases are kept. Default: the file `whop-license-leases` in the app's
   * `userData`, encrypted if Electron's `safeStorage` really encrypts.
   */
  leases?: LeaseStore | undefined;
  /**
   * The absolute path of a WebAssembly module that you built yourself. Default: the
   * package's own, which must be the file that it was published with.
   */
  wasm?: string | undefined;
  /**
   * Lets the main process decide, with the same module. Pages then get only
   * verdicts, through `loadMainValidator`, and no machine id, module or lease.
   */
  validator?: MainValidatorSettings | undefined;
  /** Called with every verdict of the `validator`, whether a page or the app asked, and with every refusal in the background. */
  onVerdict?: ((verdict: Verdict) => void) | undefined;
}

/** Gives an app's pages what only the main process has. */
export interface LicenseHost {
  /**
   * Checks a license key on this machine. It needs a `validator`, and works only
   * after the app is ready, because `safeStorage` can't be used before. If there is
   * no verdict, it rejects with a `LicenseError`, which says nothing about the
   * license. `timeoutMs` is in milliseconds, 15,000 by default.
   */
  validateLicense(
    licenseKey: string,
    options?: Pick<ValidateOptions, "signal" | "timeoutMs">,
  ): Promise<Verdict>;
  /** Stops answering, and ends the sidecar. Quitting the app does this, too. */
  dispose(): void;
}

/** The parts of Electron that the host uses. */
export interface Electron {
  app: Pick<App, "getAppPath" | "getPath" | "isReady" | "on" | "off" | "quit">;
  ipcMain: Pick<IpcMain, "handle" | "removeHandler">;
  safeStorage: SafeStorage;
  net: Pick<Net, "fetch">;
}

/** What differs between the entry points. */
export interface Packaged {
  /** The preload's file. */
  preload: string;
  wasm(): URL;
  createSidecar(): Sidecar;
}

const OPTIONS = [
  ...(["origins", "machineId", "leases", "wasm"] as const),
  ...(["validator", "onVerdict"] as const),
] as const;

// An app checks one license at a time. This limits what a page can use up by repeating itself.
const MAX_IN_FLIGHT = 200;

type Handler = (event: IpcMainInvokeEvent, ...given: unknown[]) => unknown;

/** Makes an entry point's registerLicenseHost. */
export function hostFactory(
  electron: Electron,
  packaged: Packaged,
): (options: LicenseHostOptions) => LicenseHost {
  let opened: WeakSet<WebContents> | undefined;
  return (options) => {
    if (!electron.ipcMain) {
      throw loadFailed("registerLicenseHost works only in Electron's main process.");
    }
    const settings = readHostOptions(options, electron);
    opened ??= watchWindows(electron.app, packaged.preload);
    const host = new Host(electron, packaged, settings, opened);
    host.register();
    return Object.freeze<LicenseHost>({
      validateLicense: (licenseKey, asked) => host.validateLicense(licenseKey, asked),
      dispose: () => host.dispose(),
    });
  };
}

/** The options of a host, after they have been read. */
interface HostSettings {
  origins: Origins;
  machine: MachineIdOptions;
  store: LeaseStore;
  wasm: string | undefined;
  validator: MainValidatorSettings | undefined;
  onVerdict: LicenseHostOptions["onVerdict"];
}

function readHostOptions(options: unknown, { app, safeStorage }: Electron): HostSettings {
  const given = readOptions(options, OPTIONS);
  return {
    origins: readOrigins(given.origins),
    machine: readOptions(given.machineId, ["scheme", "appId"]) as MachineIdOptions,
    wasm: readModuleFile(given.wasm),
    onVerdict: readCallback(given.onVerdict),
    store: withoutRevival(
      readLeases(given.leases) ??
        createFileLeases({ path: `${app.getPath("userData")}/whop-license-leases`, safeStorage }),
    ),
    validator: readValidator(given.validator),
  };
}

/** Reads the `validator` option. Its members are validated at the first check, except for an undefined key. */
function readValidator(validator: unknown): MainValidatorSettings | undefined {
  if (validator === undefined) return undefined;
  const settings = readOptions(validator, VALIDATOR_OPTIONS);
  refuseUndefinedKey(settings);
  return settings as MainValidatorSettings;
}

/** Serves the pages of an app, each request only after its sender has been checked. */
class Host {
  readonly #electron: Electron;
  readonly #settings: HostSettings;
  /** The windows that pages have opened. */
  readonly #opened: WeakSet<WebContents>;
  readonly #sidecar: Sidecar;
  readonly #guard: QuitGuard;
  readonly #readModule: () => Promise<Uint8Array>;
  readonly #validator: MainValidator | undefined;
  /** The pages that have asked for a verdict, and so are told about a refusal in the background. */
  readonly #pages = new Set<WebFrameMain>();
  /** Aborts a page's check, by `checkId`. */
  readonly #checks = new Map<string, AbortController>();
  #inFlight = 0;
  #warned = false;
  #disposed = false;

  constructor(
    electron: Electron,
    packaged: Packaged,
    settings: HostSettings,
    opened: WeakSet<WebContents>,
  ) {
    this.#electron = electron;
    this.#settings = settings;
    this.#opened = opened;
    this.#sidecar = packaged.createSidecar();
    this.#guard = new QuitGuard(electron.app, settings.store, () => this.dispose());
    this.#readModule = readModule(settings.wasm, packaged.wasm);
    this.#validator =
      settings.validator &&
      new MainValidator(settings.validator, {
        wasm: this.#readModule,
        machineId: () => this.#machineId(),
        store: this.#guard.store,
        fetch: netFetch(electron.net),
        tell: (verdict) => this.#tell(verdict),
        tellLater: (verdict) => this.#tellLater(verdict),
      });
  }

  readonly #handlers: Readonly<Record<RequestChannel, Handler>> = {
    "whop-license:machine-id": () => this.#forDecidingPage(() => this.#machineId()),
    "whop-license:wasm": () => this.#forDecidingPage(() => this.#readModule()),
    "whop-license:store": (_event, ...asked) =>
      this.#forDecidingPage(() => useStore(this.#guard.store, asked)),
    "whop-license:validate": (event, ...asked) => this.#validateForPage(event, asked),
    "whop-license:abort": ({ sender }, check) =>
      this.#checks.get(checkId(sender.id, check))?.abort(),
  };

  /** Begins to answer pages. */
  register(): void {
    const { ipcMain } = this.#electron;
    try {
      for (const channel of this.#channels) {
        ipcMain.handle(channel, (event, ...given) => this.#answer(channel, event, given));
      }
    } catch (cause) {
      this.#sidecar.close();
      this.#guard.release();
      throw new LicenseError(
        "invalid_argument",
        "registerLicenseHost: this app already has a license host; call its dispose() first.",
        { cause },
      );
    }
  }

  dispose(): void {
    if (this.#disposed) return; // The handlers may be those of the next host by now.
    this.#disposed = true;
    const { ipcMain } = this.#electron;
    for (const channel of this.#channels) ipcMain.removeHandler(channel);
    for (const controller of this.#checks.values()) controller.abort();
    this.#guard.release();
    this.#sidecar.close();
  }

  /** Checks a license key for the main process itself. */
  async validateLicense(licenseKey: string, asked: unknown): Promise<Verdict> {
    if (!this.#validator) throw noValidator();
    if (!this.#electron.app.isReady()) throw notReady();
    const options = readOptions(asked, ["signal", "timeoutMs"]) as ValidateOptions;
    return this.#validator.validateLicense(licenseKey, options);
  }

  get #channels(): RequestChannel[] {
    return Object.keys(this.#handlers) as RequestChannel[];
  }

  #machineId(): Promise<MachineId> {
    return this.#sidecar.machineId(this.#settings.machine);
  }

  /** Answers listed pages only, with plain data, and limits the number of requests in flight. */
  async #answer(
    channel: RequestChannel,
    event: IpcMainInvokeEvent,
    given: unknown[],
  ): Promise<Reply<unknown>> {
    const { origins, validator } = this.#settings;
    const appFolder = this.#electron.app.getAppPath();
    const refused = refusal(event, { origins, appFolder, opened: this.#opened, validator });
    if (refused) {
      const message = `The license host does not answer this page: ${refused}.`;
      return { error: errorData(loadFailed(message)) };
    }
    this.#warnOf(event.sender);
    // Aborting a check makes room for others.
    if (this.#inFlight >= MAX_IN_FLIGHT && channel !== "whop-license:abort") {
      return { error: errorData(tooMany()) };
    }
    this.#inFlight++;
    try {
      return { value: await this.#handlers[channel](event, ...given) };
    } catch (thrown) {
      return { error: errorData(thrown) };
    } finally {
      this.#inFlight--;
    }
  }

  /** Warns once if a window that gets answers is not in the sandbox. */
  #warnOf(sender: WebContents): void {
    if (this.#warned || !isUnsandboxed(sender)) return;
    this.#warned = true;
    console.warn(
      "whop-license: a window of this app is not sandboxed. It still gets verdicts, because the main " +
        "process decides. Set `sandbox: true` in its webPreferences, as Electron recommends.",
    );
  }

  /** Serves what a page needs in order to decide, unless the main process decides. */
  #forDecidingPage<T>(serve: () => T): T {
    if (!this.#validator) return serve();
    throw loadFailed(
      "The main process decides about the license: use loadMainValidator in this page.",
    );
  }

  async #validateForPage(
    { sender, senderFrame }: IpcMainInvokeEvent,
    [check, licenseKey, timeoutMs]: unknown[],
  ): Promise<Verdict> {
    if (!this.#validator) throw noValidator();
    const id = checkId(sender.id, check);
    if (this.#checks.has(id)) throw invalid("call", "is already running");
    const controller = new AbortController();
    this.#checks.set(id, controller);
    try {
      for (const page of this.#pages) if (isGone(page)) this.#pages.delete(page);
      if (senderFrame) this.#pages.add(senderFrame);
      const asked = { signal: controller.signal, timeoutMs } as ValidateOptions;
      return forPage(await this.#validator.validateLicense(licenseKey, asked));
    } finally {
      this.#checks.delete(id);
    }
  }

  #tell(verdict: Verdict): void {
    const { onVerdict } = this.#settings;
    if (this.#disposed || !onVerdict) return;
    // In a microtask, so that what it throws is reported like any other listener's error.
    queueMicrotask(() => onVerdict(verdict));
  }

  /** Tells the app, and each page that has asked, about a refusal in the background. */
  #tellLater(verdict: InvalidVerdict): void {
    this.#tell(verdict);
    if (this.#disposed) return;
    const change: Channel = "whop-license:change";
    const { origins } = this.#settings;
    const appFolder = this.#electron.app.getAppPath();
    for (const page of this.#pages) {
      try {
        if (isListed(origins, page.url, page.origin, appFolder)) page.send(change, verdict);
      } catch {
        this.#pages.delete(page); // It is gone.
      }
    }
  }
}

const VALIDATOR_OPTIONS = [
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

/** A verdict without what a page must not know: the lease, and the metadata, which contains the machine id. */
function forPage(verdict: Verdict): Verdict {
  if (!verdict.valid) return verdict;
  const { lease: _lease, membership, ...rest } = verdict;
  const { metadata: _metadata, ...known } = membership;
  return { ...rest, membership: known };
}

function isGone(page: WebFrameMain): boolean {
  try {
    // Electron has isDestroyed since version 33. Before, a frame that is gone throws when it is used.
    return page.isDestroyed?.() ?? page.url === undefined;
  } catch {
    return true;
  }
}

/** Makes an id that distinguishes the checks of one window from those of others. */
function checkId(window: number, check: unknown): string {
  if (!Number.isSafeInteger(check)) throw invalid("call", "must be a whole number");
  return `${window} ${check}`;
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
    "The license host is answering too many calls from this app. Wait for their answers.",
    { retryable: true },
  );
}
