// A window of the stand-in: a page in Chromium whose preload runs in an
// isolated world, with the frames and origins that the browser reports.
import type { WebPreferences } from "electron";
import type { CDPSession, Page } from "playwright-core";
import { decode, encode } from "./codec.js";
import type { FrameData } from "./messages.js";
import { BINDING, PRELOAD_WORLD, pageScript, preloadScript } from "./worlds.js";

interface Context {
  frame: string;
  world: string;
  origin: string;
}

/** What a window needs from the harness. */
export interface Surroundings {
  /** Answers a call of a preload, or rejects. */
  invoke(frame: FrameData, channel: string, args: unknown[]): Promise<unknown>;
  /** Whether the main frame may navigate to an address. */
  mayNavigate(url: string): Promise<boolean>;
  /** Translates the browser's address into the app's. */
  translate(url: string): string;
}

export class StandInWindow {
  readonly page: Page;
  readonly preferences: WebPreferences;
  readonly preloads: string[];
  readonly #cdp: CDPSession;
  readonly #around: Surroundings;
  readonly #contexts = new Map<number, Context>();
  readonly #frames = new Map<string, FrameData>();
  #moving = false;

  private constructor(
    page: Page,
    cdp: CDPSession,
    { preferences, preloads }: Pick<StandInWindow, "preferences" | "preloads">,
    around: Surroundings,
  ) {
    this.page = page;
    this.preferences = preferences;
    this.preloads = preloads;
    this.#cdp = cdp;
    this.#around = around;
  }

  /** Makes a window from a page. Its current document gets the preload, too. */
  static async of(
    page: Page,
    settings: Pick<StandInWindow, "preferences" | "preloads">,
    around: Surroundings,
  ): Promise<StandInWindow> {
    const cdp = await page.context().newCDPSession(page);
    const window = new StandInWindow(page, cdp, settings, around);
    await window.#equip();
    return window;
  }

  /** Shows a page for the main process. Resolves to an error message, or undefined. */
  async show(url: string): Promise<string | undefined> {
    this.#moving = true;
    try {
      await this.page.goto(url);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    } finally {
      this.#moving = false;
    }
  }

  get mainFrame(): FrameData {
    for (const frame of this.#frames.values()) if (frame.parent === undefined) return frame;
    throw new Error("a page without a frame");
  }

  /** Delivers what the main process sends to a frame. */
  async send(frame: number, channel: string, args: unknown[]): Promise<void> {
    for (const [id, context] of this.#contexts) {
      if (context.world === PRELOAD_WORLD && this.#frames.get(context.frame)?.id === frame) {
        await this.#deliver(id, { channel, args });
      }
    }
  }

  async #equip(): Promise<void> {
    const { contextIsolation = true, sandbox = true, nodeIntegration = false } = this.preferences;
    const settings = {
      contextIsolated: contextIsolation,
      sandboxed: sandbox && !nodeIntegration,
      subFrames: this.preferences.nodeIntegrationInSubFrames === true,
    };
    const world = contextIsolation ? PRELOAD_WORLD : "";
    const cdp = this.#cdp;
    cdp.on("Runtime.executionContextCreated", ({ context }) => {
      const { id, name, origin, auxData } = context;
      this.#contexts.set(id, { frame: String(auxData?.frameId), world: name, origin });
    });
    cdp.on("Runtime.executionContextDestroyed", ({ executionContextId }) => {
      this.#contexts.delete(executionContextId);
    });
    cdp.on("Runtime.executionContextsCleared", () => this.#contexts.clear());
    cdp.on("Page.frameAttached", ({ frameId, parentFrameId }) => {
      this.#know({ id: frameId, parentId: parentFrameId, url: "" });
    });
    cdp.on("Page.frameNavigated", ({ frame }) => this.#know(frame));
    cdp.on("Page.navigatedWithinDocument", ({ frameId, url }) => {
      const frame = this.#frames.get(frameId);
      if (frame) frame.url = this.#around.translate(url);
    });
    cdp.on("Page.frameDetached", ({ frameId }) => void this.#frames.delete(frameId));
    cdp.on("Runtime.bindingCalled", ({ name, payload, executionContextId }) => {
      if (name === BINDING) void this.#receive(executionContextId, payload);
    });
    cdp.on("Fetch.requestPaused", async ({ requestId, request, frameId }) => {
      const own = this.#frames.get(frameId)?.parent !== undefined || this.#moving;
      const may = own || (await this.#around.mayNavigate(this.#around.translate(request.url)));
      const decided = may
        ? cdp.send("Fetch.continueRequest", { requestId })
        : cdp.send("Fetch.failRequest", { requestId, errorReason: "Aborted" });
      // The page may have canceled it in the meantime.
      await decided.catch(() => {});
    });
    // Documents only: a request that is intercepted here would lose its preflight.
    const documents = { urlPattern: "http*", resourceType: "Document" } as const;
    await cdp.send("Fetch.enable", { patterns: [documents] });
    await cdp.send("Page.enable");
    const { frameTree } = await cdp.send("Page.getFrameTree");
    this.#know(frameTree.frame);
    await cdp.send("Runtime.enable");
    await cdp.send("Runtime.addBinding", {
      name: BINDING,
      ...(world && { executionContextName: world }),
    });
    const preload = preloadScript(settings, this.preloads);
    const scripts = [
      { source: pageScript, worldName: "" },
      { source: preload, worldName: world },
    ];
    for (const script of scripts) await cdp.send("Page.addScriptToEvaluateOnNewDocument", script);
    await cdp.send("Runtime.evaluate", { expression: pageScript });
    const { executionContextId } = await cdp.send("Page.createIsolatedWorld", {
      frameId: frameTree.frame.id,
      worldName: PRELOAD_WORLD,
    });
    const here = world && { contextId: executionContextId };
    // A document that has come meanwhile got it by the scripts above.
    await cdp.send("Runtime.evaluate", { expression: preload, ...here }).catch(unlessGone);
  }

  #know({ id, parentId, url }: { id: string; parentId?: string | undefined; url: string }): void {
    const known = this.#frames.get(id);
    this.#frames.set(id, {
      id: known?.id ?? this.#frames.size + 1,
      parent: parentId === undefined ? undefined : this.#frames.get(parentId)?.id,
      url: this.#around.translate(url),
      origin: known?.origin ?? "",
    });
  }

  async #receive(contextId: number, payload: string): Promise<void> {
    const context = this.#contexts.get(contextId);
    const frame = this.#frames.get(context?.frame ?? "");
    if (!context || !frame) return; // gone meanwhile
    frame.origin = this.#originOf(context.origin);
    const { call, channel, args } = decode(payload) as {
      call: number;
      channel: string;
      args: unknown[];
    };
    const answer = await this.#around.invoke({ ...frame }, channel, args).then(
      (value) => ({ call, value }),
      (error) => ({ call, error: String(error?.message ?? error) }),
    );
    await this.#deliver(contextId, answer);
  }

  #originOf(origin: string): string {
    if (origin === "" || origin === "://" || origin === "null") return "null";
    return origin.startsWith("file:") ? "file://" : this.#around.translate(origin);
  }

  async #deliver(contextId: number, message: object): Promise<void> {
    const expression = `${BINDING}Deliver(${JSON.stringify(encode(message))})`;
    // The page may be gone before the answer.
    await this.#cdp.send("Runtime.evaluate", { contextId, expression }).catch(unlessGone);
  }
}

function unlessGone(error: Error): void {
  if (!/context|closed/i.test(error.message)) throw error;
}
