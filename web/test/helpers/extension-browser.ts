// Chromium with a helper's extension, and the customer in front of it.
import assert from "node:assert/strict";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { browserArgs, browsers, findBrowser } from "./browser.js";
import { extensionFolder, HelperUser } from "./extension.js";

export interface StartOptions {
  /** The unpacked extension; default: the generic one. */
  folder?: string;
  /** With a window on the screen. */
  visible?: boolean;
}

/**
 * Loads an unpacked extension, or loads it anew, and returns its id. Google Chrome takes one
 * no longer by a flag.
 */
export async function loadUnpacked(context: BrowserContext, folder: string): Promise<string> {
  const devTools = await context.browser()?.newBrowserCDPSession();
  // Playwright's types don't have it.
  const command = "Extensions.loadUnpacked" as "Target.getTargets";
  const loaded: unknown = await devTools?.send(command, { path: folder } as object);
  return (loaded as { id: string }).id;
}

export class HelperBrowser {
  private constructor(
    readonly user: HelperUser,
    readonly context: BrowserContext,
    /** Such as `chrome-extension://offoegjegfabemlkpiapnfdlhpliipni`. */
    readonly extension: string,
  ) {}

  /** Starts it for a user whose home is a throwaway folder; the program isn't installed yet. */
  static async start({ folder, visible }: StartOptions = {}): Promise<HelperBrowser> {
    const executablePath = findBrowser(browsers);
    const user = await HelperUser.create();
    const unpacked = folder ?? extensionFolder("chromium");
    let context: BrowserContext | undefined;
    try {
      context = await chromium.launchPersistentContext(user.chromiumProfile, {
        executablePath,
        chromiumSandbox: process.getuid?.() !== 0,
        env: user.env,
        headless: !visible,
        // The caller that shows a window ends it, and removes what was made.
        ...{ handleSIGINT: !visible, handleSIGTERM: !visible, handleSIGHUP: !visible },
        viewport: visible ? null : { width: 1280, height: 720 },
        // Pages that were left are kept, as people's browsers do.
        ignoreDefaultArgs: ["--disable-extensions", "--disable-back-forward-cache"],
        args: [
          ...browserArgs,
          ...(visible ? [] : ["--headless=new"]),
          "--enable-unsafe-extension-debugging",
        ],
      });
      const id = await loadUnpacked(context, unpacked);
      return new HelperBrowser(user, context, `chrome-extension://${id}`);
    } catch (error) {
      await context?.close();
      await user.remove();
      throw error;
    }
  }

  async open(url: string): Promise<Page> {
    const page = await this.context.newPage();
    await page.goto(url);
    return page;
  }

  /** Ends the extension's background, as the browser does when it is idle. */
  async stopWorker(): Promise<void> {
    const devTools = await this.context.browser()?.newBrowserCDPSession();
    if (!devTools) return;
    const running = async (): Promise<string | undefined> => {
      const { targetInfos } = await devTools.send("Target.getTargets");
      return targetInfos.find(({ type }) => type === "service_worker")?.targetId;
    };
    const targetId = await running();
    if (targetId) await devTools.send("Target.closeTarget", { targetId });
    while (targetId && (await running()) === targetId);
    await devTools.detach();
  }

  /** Opens the extension's own page, as its icon does. */
  openOptions(): Promise<Page> {
    return this.open(`${this.extension}/options.html`);
  }

  /** Triggers the window that asks, and returns it. */
  async question<T>(act: () => Promise<T>): Promise<[window: Page, done: Promise<T>]> {
    const opening = this.context.waitForEvent("page");
    const done = act();
    // What is done may also wait for the answer.
    let said: T | undefined;
    const failed = done.then((value) => {
      said = value;
      return opening;
    });
    const opened = await Promise.race([opening, failed]).catch((error) =>
      assert.fail(`nobody was asked: ${error}, ${JSON.stringify(said)}`),
    );
    await opened.waitForURL(`${this.extension}/consent.html`);
    await opened.waitForSelector("body[data-state=asking]");
    return [opened, done];
  }

  /** Triggers the window that asks, and answers there. */
  async decide<T>(button: "Allow" | "Don’t allow", act: () => Promise<T>): Promise<T> {
    const [window, done] = await this.question(act);
    // The window closes itself, perhaps before the click is reported.
    const found = window.getByRole("button", { name: button, exact: true });
    await found.click().catch(async (error) => {
      if (!window.isClosed()) await window.waitForEvent("close").catch(() => assert.fail(error));
    });
    return done;
  }

  async close(): Promise<void> {
    await this.context.close();
    await this.user.remove();
  }
}
