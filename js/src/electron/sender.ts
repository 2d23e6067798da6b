import type { App, IpcMainInvokeEvent, WebContents, WebFrameMain, WebPreferences } from "electron";
import { isListed, type Origins } from "./origins.js";

/** Electron has it, but doesn't list it. */
interface Inspectable {
  getLastWebPreferences?(): WebPreferences | null;
}

/**
 * Notes from now on which windows were opened by pages: an opener alone doesn't
 * tell, as a page can open a window without one, or give it up.
 */
export function watchOpened(app: Pick<App, "on">): WeakSet<WebContents> {
  const opened = new WeakSet<WebContents>();
  app.on("web-contents-created", (_event, contents) => {
    contents.on("did-create-window", ({ webContents }) => void opened.add(webContents));
  });
  return opened;
}

/**
 * Says why a sender is not answered, or is undefined where it is: only the main
 * frame of a listed page is, in a window that the app opened itself and whose
 * settings keep pages apart from Electron. It must be called before anything is
 * waited for, as the frame may move on.
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
    return "its origin is not in `origins`";
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

/** The setting that would mend a window, where one of Electron's safe defaults is off. */
function unsafeSetting(given: WebPreferences): string | undefined {
  if (given.contextIsolation === false) return "contextIsolation: true";
  if (given.nodeIntegration === true) return "nodeIntegration: false";
  if (given.sandbox === false) return "sandbox: true";
  if (given.webSecurity === false) return "webSecurity: true";
  return undefined;
}
