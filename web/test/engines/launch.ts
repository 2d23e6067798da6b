import { after } from "node:test";
import { launchBrowser } from "../helpers/browser.js";
import type { Browser } from "./engine.js";
import { firefox } from "./firefox.js";
import { webkit } from "./webkit.js";

/** ENGINE chooses the engine: chromium (the default), firefox or webkit. */
export const engineName = process.env.ENGINE ?? "chromium";

const engines: Record<string, () => Promise<Browser>> = {
  // Playwright's browser implements the whole interface, and more.
  chromium: async () => (await launchBrowser()) as unknown as Browser,
  firefox,
  webkit,
};

let shared: Promise<Browser> | undefined;
after(async () => (await shared)?.close());

/** Starts a browser. For Firefox and WebKit, each process starts one, and contexts separate its pages. */
export async function launchEngine(): Promise<Browser> {
  const launch = engines[engineName];
  if (!launch) throw new Error(`ENGINE is none of ${Object.keys(engines).join(", ")}`);
  if (engineName === "chromium") return launch();
  shared ??= launch();
  return { ...(await shared), close: async () => {} };
}

/** Why a test is skipped in an engine that can't do this: `{ skip: notIn("webkit", "…") }`. */
export function notIn(engine: "firefox" | "webkit", reason: string): string | false {
  return engineName === engine && reason;
}

export const noOffline = notIn("webkit", "its driver can't cut it off from the network");

/** Skips a test that doesn't depend on the engine, except in Chromium: `{ skip: once }`. */
export const once = engineName !== "chromium" && "it doesn't depend on the engine";
