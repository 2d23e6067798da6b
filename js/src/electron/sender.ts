import type { App, IpcMainInvokeEvent, WebContents, WebFrameMain, WebPreferences } from "electron";
import { textOf } from "../errors.js";
import { isListed, notListed, type Origins } from "./origins.js";

/** A method that Electron has but doesn't declare. */
interface Inspectable {
  getLastWebPreferences?(): WebPreferences | null;
}

/**
 * Records from now on which windows pages open. A window's `opener` doesn't say it
 * reliably, because a page can open a window without it, or clear it later. It also
 * logs if our preload can't be loaded, because Electron says so only in the page's
 * console.
 */
export function watchWindows(app: Pick<App, "on">, preload: string): WeakSet<WebContents> {
  const opened = new WeakSet<WebContents>();
  app.on("web-contents-created", (_event, contents) => {
    contents.on("did-create-window", ({ webContents }) => void opened.add(webContents));
    contents.on("preload-error", (_event, path, error) => {
      if (path === preload) console.error(notLoaded(preload, error));
    });
  });
  return opened;
}

function notLoaded(preload: string, error: Error): string {
  return (
    `whop-license: the preload ${preload} can't be loaded: ${textOf(error)}. If node_modules/whop-license is not ` +
    'in the packed app, pack it too, or write `import "whop-license/electron/preload"` in a preload that you bundle.'
  );
}

/** The rules by which a sender is judged. */
interface Rules {
  origins: Origins;
  appFolder: string;
  /** The windows that pages have opened. */
  opened: WeakSet<WebContents>;
  /** Set if the main process decides. A page then learns only verdicts. */
  validator: object | undefined;
}

/**
 * Returns why a sender gets no answer, or undefined if it gets one. Only the main
 * frame of a listed page gets answers, in a window that the app itself has opened and
 * whose settings isolate pages from Electron. If only verdicts are given, a window
 * need not be sandboxed. Call this before awaiting anything, because the frame may
 * navigate away.
 */
export function refusal(event: IpcMainInvokeEvent, rules: Rules): string | undefined {
  try {
    return judge(event.sender, event.senderFrame, rules);
  } catch {
    return "the page has gone";
  }
}

/** Whether the app has explicitly turned off Chromium's sandbox for a window. */
export function isUnsandboxed(sender: WebContents & Inspectable): boolean {
  return sender.getLastWebPreferences?.()?.sandbox === false;
}

function judge(
  sender: WebContents & Inspectable,
  frame: WebFrameMain | null,
  { origins, appFolder, opened, validator }: Rules,
): string | undefined {
  if (!frame) return "the page has gone";
  if (frame.parent || !isSame(frame, sender.mainFrame) || sender.hostWebContents) {
    return "it is embedded in another page";
  }
  if (!isListed(origins, frame.url, frame.origin, appFolder)) {
    return notListed(origins, frame.url, frame.origin);
  }
  if (sender.opener || opened.has(sender)) {
    return "its window was opened by a page; open it in the main process";
  }
  const settings = sender.getLastWebPreferences?.() ?? {};
  const unsafe = unsafeSetting(validator ? { ...settings, sandbox: true } : settings);
  return unsafe && `its window is not safe; set \`${unsafe}\` in its webPreferences`;
}

function isSame(frame: WebFrameMain, other: WebFrameMain): boolean {
  if (frame === other) return true;
  return (
    typeof frame.routingId === "number" &&
    frame.processId === other.processId &&
    frame.routingId === other.routingId
  );
}

/** The setting that would make a window safe, if one of Electron's safe defaults is turned off. */
function unsafeSetting(given: WebPreferences): string | undefined {
  if (given.contextIsolation === false) return "contextIsolation: true";
  if (given.nodeIntegration === true) return "nodeIntegration: false";
  if (given.sandbox === false) return "sandbox: true";
  if (given.webSecurity === false) return "webSecurity: true";
  return undefined;
}
