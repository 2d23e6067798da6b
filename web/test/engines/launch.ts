import { chromium } from "./chromium.js";
import type { Engine } from "./engine.js";
import { firefox } from "./firefox.js";
import { webkit } from "./webkit.js";

/** ENGINE says which: chromium (the default), firefox or webkit. */
export const engineName = process.env.ENGINE ?? "chromium";

const engines: Record<string, () => Promise<Engine>> = { chromium, firefox, webkit };

export function launchEngine(): Promise<Engine> {
  const launch = engines[engineName];
  if (!launch) throw new Error(`ENGINE is none of ${Object.keys(engines).join(", ")}`);
  return launch();
}
