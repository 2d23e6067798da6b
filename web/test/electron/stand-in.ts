// The module `electron` if the main process is a plain Node process: the parts that
// an app with a license host uses, with frames and origins as the browser
// reports them.
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { BrowserWindowConstructorOptions, WebPreferences } from "electron";
import type { FrameData, FromMain, ToMain } from "./messages.js";

const post = (message: FromMain): void => void process.send?.(message);
const userData = process.env.STAND_IN_USER_DATA ?? "";
const appPath = process.env.STAND_IN_APP_PATH ?? "";

// A packed app is in an archive, or here in a folder with an archive's name.
const isPackaged = basename(appPath) === "app.asar";
if (isPackaged) Object.assign(process, { resourcesPath: dirname(appPath) });

class App extends EventEmitter {
  readonly isPackaged = isPackaged;
  readonly #ready = once(this, "ready");

  // Electron is never ready before the main process's own code has run.
  readonly #awaited = new Promise<void>((done) => {
    this.on("newListener", (event) => event === "ready" && done());
  });
  #isReady = false;

  async start(): Promise<void> {
    await this.#awaited;
    this.#isReady = true;
    this.emit("ready");
  }
  isReady = (): boolean => this.#isReady;
  whenReady = (): Promise<unknown> => {
    this.emit("newListener", "ready");
    return this.#ready;
  };
  getAppPath = (): string => appPath;
  getPath = (name: string): string => (name === "userData" ? userData : join(userData, name));
  enableSandbox = (): void => {};
  quit = (): void => {
    for (const step of ["before-quit", "will-quit"]) {
      let goesOn = true;
      const preventDefault = () => {
        goesOn = false;
      };
      this.emit(step, { preventDefault });
      if (!goesOn) return;
    }
    this.emit("quit", {}, 0);
    process.exit(0);
  };
}

export const app = new App();

class Frame {
  routingId = 0;
  readonly processId = 1;
  url = "";
  origin = "";
  parent: Frame | null = null;
  gone = false;
  readonly #window: number;

  constructor(window: number, id: number) {
    this.#window = window;
    this.routingId = id;
  }
  get frameTreeNodeId(): number {
    return this.routingId;
  }
  isDestroyed(): boolean {
    return this.gone;
  }
  send(channel: string, ...args: unknown[]): void {
    post({ type: "send", window: this.#window, frame: this.routingId, channel, args });
  }
}

type Deny = { action: "allow" | "deny" };

class WebContents extends EventEmitter {
  readonly hostWebContents = null;
  readonly session = session.defaultSession;
  opener: Frame | null = null;
  mainFrame: Frame;
  openHandler: (details: { url: string }) => Deny = () => ({ action: "allow" });
  readonly #frames = new Map<number, Frame>();
  readonly #preferences: WebPreferences;

  constructor(
    readonly id: number,
    preferences: WebPreferences,
  ) {
    super();
    this.#preferences = preferences;
    this.mainFrame = new Frame(id, 0);
  }
  getType = (): string => "window";
  isDestroyed = (): boolean => this.mainFrame.gone;
  getLastWebPreferences = (): WebPreferences => this.#preferences;
  getURL = (): string => this.mainFrame.url;
  openDevTools = (): void => {};
  setWindowOpenHandler = (handler: (details: { url: string }) => Deny): void => {
    this.openHandler = handler;
  };
  send(channel: string, ...args: unknown[]): void {
    this.mainFrame.send(channel, ...args);
  }

  /** The frame that data describes. It stays the same object. */
  frame({ id, parent, url, origin }: FrameData): Frame {
    const frame = this.#frames.get(id) ?? new Frame(this.id, id);
    this.#frames.set(id, frame);
    Object.assign(frame, { url, origin });
    if (parent === undefined) this.mainFrame = frame;
    else frame.parent = this.#frames.get(parent) ?? this.mainFrame;
    return frame;
  }
}

export const session = {
  defaultSession: Object.assign(new EventEmitter(), {
    preloads: [] as string[],
    registerPreloadScript({ filePath }: { filePath: string }): string {
      this.preloads.push(filePath);
      return filePath;
    },
    setPermissionRequestHandler(): void {},
    setPermissionCheckHandler(): void {},
  }),
};

const windows = new Map<number, BrowserWindow>();
let lastWindow = 0;

export class BrowserWindow extends EventEmitter {
  static getAllWindows = (): BrowserWindow[] => [...windows.values()];
  static fromWebContents = (contents: WebContents): BrowserWindow | undefined =>
    windows.get(contents.id);

  readonly id = ++lastWindow;
  readonly webContents: WebContents;
  readonly options: BrowserWindowConstructorOptions;
  settle: ((error?: string) => void) | undefined;

  constructor(options: BrowserWindowConstructorOptions = {}) {
    super();
    this.options = options;
    const defaults = { contextIsolation: true, sandbox: true, nodeIntegration: false };
    this.webContents = new WebContents(this.id, { ...defaults, ...options.webPreferences });
    windows.set(this.id, this);
    app.emit("web-contents-created", {}, this.webContents);
  }
  loadURL(url: string): Promise<void> {
    const preferences = this.webContents.getLastWebPreferences();
    const files = [...session.defaultSession.preloads, preferences.preload ?? []].flat();
    const preloads = files.map((file) => readFileSync(file, "utf8"));
    return new Promise((resolve, reject) => {
      this.settle = (error) => (error === undefined ? resolve() : reject(new Error(error)));
      post({ type: "open", window: this.id, url, preferences, preloads });
    });
  }
  loadFile = (file: string): Promise<void> =>
    this.loadURL(pathToFileURL(resolve(appPath, file)).href);
  show = (): void => {};
  close = (): void => post({ type: "close", window: this.id });
}

type Handler = (event: object, ...args: unknown[]) => unknown;

export const ipcMain = Object.assign(new EventEmitter(), {
  handlers: new Map<string, Handler>(),
  handle(channel: string, handler: Handler): void {
    if (this.handlers.has(channel)) {
      throw new Error(`Attempted to register a second handler for '${channel}'`);
    }
    this.handlers.set(channel, handler);
  },
  removeHandler(channel: string): void {
    this.handlers.delete(channel);
  },
});

const schemes = new Map<string, (request: Request) => Response | Promise<Response>>();

export const protocol = {
  registerSchemesAsPrivileged(): void {},
  handle(scheme: string, handler: (request: Request) => Response | Promise<Response>): void {
    schemes.set(scheme, handler);
  },
};

const types: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
};

/** A request by Chromium, which Electron ends at a redirect that must not be followed. */
async function fetchAsElectron(url: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  const { status } = response;
  if (init?.redirect !== "manual" || status < 300 || status >= 400) return response;
  throw new Error(`Redirect was ${"cancel"}led`); // Electron's own spelling
}

export const net = {
  async fetch(url: string, init?: RequestInit): Promise<Response> {
    if (!url.startsWith("file:")) return fetchAsElectron(url, init);
    const content = await readFile(fileURLToPath(url));
    const headers = { "Content-Type": types[extname(url)] ?? "application/octet-stream" };
    return new Response(new Uint8Array(content), { headers });
  },
};

/** The addresses that were opened in the system's browser. */
export const shell = {
  async openExternal(url: string): Promise<void> {
    console.log(`openExternal ${url}`);
  },
};

// Like a system's keychain, it gives the same key at every start.
const key = createHash("sha256").update(userData).digest();

export const safeStorage = {
  isEncryptionAvailable: (): boolean => true,
  getSelectedStorageBackend: (): string => "gnome_libsecret",
  encryptString(plain: string): Buffer {
    const iv = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", key, iv);
    return Buffer.concat([iv, cipher.update(plain, "utf8"), cipher.final(), cipher.getAuthTag()]);
  },
  decryptString(encrypted: Buffer): string {
    const cipher = createDecipheriv("aes-256-gcm", key, encrypted.subarray(0, 12));
    cipher.setAuthTag(encrypted.subarray(-16));
    return Buffer.concat([cipher.update(encrypted.subarray(12, -16)), cipher.final()]).toString();
  },
};

process.on("disconnect", () => process.exit(0));
process.on("message", async (message: ToMain) => {
  switch (message.type) {
    case "ready":
      return app.start();
    case "quit":
      return app.quit();
    case "loaded":
      return loaded(message);
    case "invoke":
      return post(await invoke(message));
    case "request":
      return post(await respond(message));
    case "navigates":
      return post({ type: "answer", call: message.call, allowed: mayNavigate(message) });
    case "opened":
      return post(mayOpen(message));
    case "closed":
      return closed(message.window);
  }
});

type Of<Type> = Extract<ToMain, { type: Type }>;

function loaded({ window, frame, error }: Of<"loaded">): void {
  const opened = windows.get(window);
  opened?.webContents.frame(frame);
  opened?.emit("ready-to-show");
  opened?.settle?.(error);
}

async function invoke({ call, window, frame, channel, args }: Of<"invoke">): Promise<FromMain> {
  try {
    const sender = windows.get(window)?.webContents;
    const handler = ipcMain.handlers.get(channel);
    if (!handler) throw new Error(`No handler registered for '${channel}'`);
    const event = { sender, senderFrame: sender?.frame(frame), type: "frame" };
    return { type: "reply", call, value: await handler(event, ...args) };
  } catch (error) {
    return { type: "reply", call, error: `Error invoking remote method '${channel}': ${error}` };
  }
}

async function respond({ call, url, method, headers }: Of<"request">): Promise<FromMain> {
  const handler = schemes.get(new URL(url).protocol.slice(0, -1));
  if (!handler) return { type: "response", call, status: 404, headers: [], body: new Uint8Array() };
  const response = await handler(new Request(url, { method, headers }));
  const body = new Uint8Array(await response.arrayBuffer());
  return { type: "response", call, status: response.status, headers: [...response.headers], body };
}

function mayNavigate({ window, url }: Of<"navigates">): boolean {
  let allowed = true;
  const preventDefault = () => {
    allowed = false;
  };
  windows.get(window)?.webContents.emit("will-navigate", { url, preventDefault }, url);
  return allowed;
}

/** A window that a page opens has its opener's settings. */
function mayOpen({ call, by, hidden, url }: Of<"opened">): FromMain {
  const parent = windows.get(by);
  if (parent?.webContents.openHandler({ url }).action !== "allow") {
    return { type: "answer", call, allowed: false };
  }
  const child = new BrowserWindow(parent.options);
  child.webContents.opener = hidden ? null : parent.webContents.mainFrame;
  parent.webContents.emit("did-create-window", child, { url });
  return { type: "answer", call, allowed: true, window: child.id };
}

function closed(window: number): void {
  const gone = windows.get(window);
  if (!gone) return;
  windows.delete(window);
  gone.webContents.mainFrame.gone = true;
  gone.emit("closed");
  if (windows.size === 0) app.emit("window-all-closed");
}
