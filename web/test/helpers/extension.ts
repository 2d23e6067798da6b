// The browser helper as a customer has it: the extension in a browser with a throwaway
// profile, and the program that install-helper installed for that profile's user.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { program } from "../../servers.js";

const run = promisify(execFile);

/** The extension that the build made, unpacked. */
export const extensionFolder = (browser: "chromium" | "firefox"): string =>
  join(import.meta.dirname, "../../extension", browser);

export interface InstalledHelper {
  host: string;
  manifest: string;
  program: string;
}

/** A user whose home is a throwaway folder. */
export class HelperUser {
  private constructor(readonly home: string) {}

  static async create(): Promise<HelperUser> {
    return new HelperUser(await mkdtemp(join(tmpdir(), "whop-license-user-")));
  }

  /** The environment of this user's programs. */
  get env(): Record<string, string> {
    const rest = { ...process.env } as Record<string, string>;
    return { ...rest, HOME: this.home, XDG_CONFIG_HOME: `${this.home}/.config`, XDG_DATA_HOME: "" };
  }

  /** Where Chromium has this user's profile, and looks for manifests. */
  get chromiumProfile(): string {
    const mac = process.platform === "darwin";
    return join(this.home, mac ? "Library/Application Support/Chromium" : ".config/chromium");
  }

  async install(browser: string, ...args: string[]): Promise<InstalledHelper> {
    const [first] = await this.#sidecar("install-helper", "--browser", browser, ...args);
    if (!first) throw new Error("nothing was installed");
    return first;
  }

  async uninstall(...args: string[]): Promise<void> {
    await this.#sidecar("uninstall-helper", ...args);
  }

  async #sidecar(...args: string[]): Promise<InstalledHelper[]> {
    const { stdout } = await run(program("whop-license-sidecar"), [...args, "--json"], {
      env: this.env,
    });
    return JSON.parse(stdout);
  }

  async remove(): Promise<void> {
    await rm(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** This machine's id as the program itself gives it. */
export async function machineIdOf(...args: string[]): Promise<string> {
  const { stdout } = await run(program("whop-license-sidecar"), ["machine-id", ...args]);
  return stdout.trim();
}

/** The id that a page of an origin has to get. */
export const pageId = (origin: string): Promise<string> =>
  machineIdOf("--scheme", "app-scoped", "--app-id", `web:${origin}`);
