import type { App, IpcMainInvokeEvent, WebContents, WebFrameMain, WebPreferences } from "electron";
import { isListed, notListed, type Origins } from "./origins.js";

/** A method that Electron has but doesn't declare. */
interface Inspectable {
  getLastWebPreferences?(): WebPreferences | null;
}

/**
 * Records from now on which windows pages have opened. A window's `opener` doesn't
 * tell, as a page can open one without it, or clear it later.
 */
export function watchOpened(app: Pick<App, "on">): WeakSet<WebContents> {
  const opened = new WeakSet<WebContents>();
  app.on("web-contents-created", (_event, contents) => {
    contents.on("did-create-window", ({ webContents }) => void opened.add(webContents));
  });
  return opened;
}

/**
 * Returns why a sender is not answered, or undefined if it is. Only the main
 * frame of a listed page is answered, in a window that the app itself has opened
 * and whose settings keep pages apart from Electron. Call it before awaiting
 * anything, as the frame may navigate away.
 */
export function refusal(
  event: IpcMainInvokeEvent,
  origins: Origins,
  appFolder: string,
  opened: WeakSet<WebContents>,
): string | undefined {
  try {
    return judge(event.sender, event.senderFrame, origins, appFolder, opened);
  } catch {
    return "the page has gone";
  }
}

function judge(
  sender: WebContents & Inspectable,
  frame: WebFrameMain | null,
  origins: Origins,
  appFolder: string,
  opened: WeakSet<WebContents>,
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
  const unsafe = unsafeSetting(sender.getLastWebPreferences?.() ?? {});
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
