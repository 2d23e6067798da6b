// Finds this package's files while an app runs. A bundler may have moved the
// package's code elsewhere, but its files stay in node_modules.
import { existsSync } from "node:fs";
// Not imported by name, because webpack replaces the calls of createRequire that it sees.
import * as modules from "node:module";
import { isAbsolute, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { App } from "electron";
import { loadFailed } from "../errors.js";

const PRELOAD = "dist/cjs/electron/preload.cjs";

/** The package's files. Looking for them never fails, but using a missing one does. */
export interface PackageFiles {
  preload: string;
  /** The WebAssembly module's file. Throws `load_failed` if the package isn't there. */
  wasm(): URL;
  /** Resolves a dependency of the package, as its own code does. Throws `load_failed` if the package isn't there. */
  resolve(name: string): string;
}

/**
 * Finds the package's files. `code` is the path or URL of an entry point, if the
 * bundler keeps it, and `up` is the relative path from there to the package.
 */
export function packageFiles(
  app: Pick<App, "getAppPath" | "isPackaged"> | undefined,
  code: string | undefined,
  up: string,
): PackageFiles {
  const folder = besideCode(app, code, up) ?? inApp(app);
  const found = (): string => {
    if (folder !== undefined) return folder;
    throw loadFailed(
      "whop-license's own files are not in this app. A bundler has moved the code out of node_modules, and the " +
        "packager has left out the other files: also pack node_modules/whop-license and node_modules/@whop-license " +
        "(electron-builder packs `dependencies`; Electron Forge packs what `packagerConfig.ignore` doesn't match).",
    );
  };
  return {
    preload: join(folder ?? "/node_modules/whop-license", PRELOAD),
    wasm: () => pathToFileURL(join(found(), "dist/whop-license.wasm")),
    resolve: (name) => modules.createRequire(join(found(), "package.json")).resolve(name),
  };
}

/**
 * The folder of the package that contains its own code. A bundle may name the folder
 * in which it was built. On a customer's machine, that folder doesn't exist, or
 * belongs to someone else.
 */
function besideCode(
  app: Pick<App, "isPackaged"> | undefined,
  code: string | undefined,
  up: string,
): string | undefined {
  try {
    const file = code?.startsWith("file:") ? fileURLToPath(code) : code;
    if (file === undefined) return undefined;
    const folder = join(file, up);
    const isOwn = !app?.isPackaged || isBelow(folder, process.resourcesPath);
    return isOwn && existsSync(join(folder, PRELOAD)) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** The package as the app would load it. */
function inApp(app: Pick<App, "getAppPath"> | undefined): string | undefined {
  try {
    const fromApp = modules.createRequire(join((app as App).getAppPath(), "package.json"));
    return join(fromApp.resolve("whop-license/package.json"), "..");
  } catch {
    return undefined;
  }
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return !isAbsolute(way) && !way.startsWith("..");
}
