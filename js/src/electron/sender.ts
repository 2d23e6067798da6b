import type { App, IpcMainInvokeEvent, WebContents, WebFrameMain, WebPreferences } from "electron";
import { textOf } from "../errors.js";
import { isListed, notListed, type Origins } from "./origins.js";

/** A method that Electron has but doesn't declare. */
interface Inspectable {
  getLastWebPreferences?(): WebPreferences | null;
}

/**
 * Records from now on which windows pages have opened. A window's `opener` doesn't
 * tell, as a page can open one without it, or clear it later. A preload of ours
 * that can't be loaded is logged, as Electron says so only in the page's console.
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
    'in the packed app, pack it too, or write `import "whop-license/electron/preload"` in a preload that a bundler makes.'
  );
}

/** What a sender is judged by. */
interface Rules {
  origins: Origins;
  appFolder: string;
  /** The windows that were opened by pages. */
  opened: WeakSet<WebContents>;
  /** Set where the main process decides: a page then learns nothing but verdicts. */
  validator: object | undefined;
}

/**
 * Returns why a sender is not answered, or undefined if it is. Only the main
 * frame of a listed page is answered, in a window that the app itself has opened
 * and whose settings keep pages apart from Electron. For verdicts alone, a window
 * need not be sandboxed. Call it before awaiting anything, as the frame may
 * navigate away.
 */
export function refusal(event: IpcMainInvokeEvent, rules: Rules): string | undefined {
  try {
    return judge(event.sender, event.senderFrame, rules);
  } catch {
    return "the page has gone";
  }
}

/** Whether a window is outside of Chromium's sandbox, which it is only if the app says so. */
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

/** The setting that would make a window safe, if one of Electron's safe defaults is off. */
function unsafeSetting(given: WebPreferences): string | undefined {
  if (given.contextIsolation === false) return "contextIsolation: true";
  if (given.nodeIntegration === true) return "nodeIntegration: false";
  if (given.sandbox === false) return "sandbox: true";
  if (given.webSecurity === false) return "webSecurity: true";
  return undefined;
}
