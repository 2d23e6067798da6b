import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/** Chromium as people use it. */
export const browsers = ["chromium", "chromium-browser", "google-chrome"];

/** Chromium's build for headless use: the same engine, for a third of the processor's time. */
const shells = ["chromium-headless-shell", "chrome-headless-shell"];

/** The path of the first of these programs that is there. */
export function findBrowser(names: string[]): string {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of names) {
      const file = join(folder, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not here.
      }
    }
  }
  throw new Error(`no browser: install Chromium (found as ${browsers.join(", ")} on PATH)`);
}

export const browserArgs = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts the system's Chromium, headless, with a profile of its own: the first of `names` that is there. */
export function launchBrowser(
  args: string[] = [],
  names = [...shells, ...browsers],
): Promise<Browser> {
  return chromium.launch({
    executablePath: findBrowser(names),
    // Chromium's sandbox refuses to run as root, as in a container.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [...browserArgs, ...args],
  });
}
