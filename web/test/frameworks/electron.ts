// What the tests of Electron's templates share: files in Electron's place for
// packers, and the use of an app as its customer has it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { TestContext } from "node:test";
import { zipSync } from "fflate";
import { createSidecar } from "whop-license/sidecar";
import { sampleProduct } from "../../servers.js";
import { launch } from "../electron/app.js";
import { type Behind, temporaryFolder } from "../electron/fixture.js";
import { complaints } from "../helpers/page.js";
import type { Project } from "./project.js";
import type { Effort } from "./recipe.js";

/** The values that a reader of the docs replaces. */
export const valuesOf = (behind: Behind): Record<string, string> => ({
  "https://license.example.com": behind.endpoint,
  "YOUR-PUBLIC-KEY": behind.publicKey,
  prod_XXXXXXXXXXXXX: sampleProduct,
});

// The fuses in Electron's program: a fixed text, a version, the number of fuses, and each fuse.
const fuses = Buffer.from(`dL7pKGdnNz796PbbjQWNKmHXBZaB9tsX\u0001\u0009${"0".repeat(9)}`);
const program = Buffer.concat([
  Buffer.from('#!/bin/sh\necho "started in $PWD for $ELECTRON_RENDERER_URL;"\nexec sleep 600\n'),
  Buffer.from("exit\n"),
  fuses,
]);

/** The files of Electron that packagers look for, in place of a download. The program prints that it was started. */
async function electronFiles(project: Project): Promise<Record<string, Buffer>> {
  const manifest = join(project.folder, "node_modules/electron/package.json");
  const { version } = JSON.parse(await readFile(manifest, "utf8"));
  return { electron: program, LICENSE: Buffer.from("made up"), version: Buffer.from(version) };
}

/** Puts them into a folder. */
export async function electronFolder(project: Project): Promise<string> {
  const folder = temporaryFolder();
  for (const [name, bytes] of Object.entries(await electronFiles(project))) {
    await writeFile(join(folder, name), bytes);
  }
  await chmod(join(folder, "electron"), 0o755);
  return folder;
}

/** Puts them into an archive with the name of a downloaded one, in its own folder. */
export async function electronArchive(project: Project): Promise<string> {
  const { electron, ...files } = await electronFiles(project);
  const executable = { os: 3, attrs: (0o100755 << 16) >>> 0 } as const;
  const zip = zipSync({ ...files, electron: [electron as Uint8Array, executable] });
  const folder = temporaryFolder();
  const { platform, arch } = process;
  await writeFile(join(folder, `electron-v${files.version}-${platform}-${arch}.zip`), zip);
  return folder;
}

/** Moves what a generator made in a subfolder up into the project's folder. */
export async function moveUp(project: Project, name: string): Promise<void> {
  const from = join(project.folder, name);
  for (const entry of await readdir(from)) {
    await rename(join(from, entry), join(project.folder, entry));
  }
  await rm(from, { recursive: true });
}

/**
 * Makes a folder from an archive, because Node can't read archives, with what was unpacked beside
 * it. The program that Electron can't start from an archive is not in it.
 */
export async function unarchive(project: Project, archive: string): Promise<string> {
  const folder = join(temporaryFolder(), basename(archive));
  await project.run("npx", "asar", "extract", archive, folder);
  await cp(`${archive}.unpacked`, `${folder}.unpacked`, { recursive: true });
  const sidecars = "node_modules/@whop-license";
  for (const name of await readdir(join(folder, sidecars))) {
    const beside = await readdir(join(`${folder}.unpacked`, sidecars, name, "bin"));
    assert.deepEqual(beside.length, 1, "the sidecar is not unpacked");
    await rm(join(folder, sidecars, name, "bin"), { recursive: true });
  }
  return folder;
}

export interface GatedApp {
  behind: Behind;
  /** The folder of its package.json. */
  folder: string;
  /** What the customer sees when the gate is open. */
  content: string;
  env?: Record<string, string>;
}

/** Starts an app and uses its gate: with a key that is unknown, and with a good one. */
export async function useGate({ behind, folder, content, env = {} }: GatedApp): Promise<void> {
  const app = await launch({
    ...{ site: behind.sites[0], folder, env, userData: temporaryFolder(), fileModules: true },
  });
  try {
    const page = await app.window();
    const said = complaints(page);
    const input = page.getByRole("textbox", { name: "License key" });
    await input.fill("TEMPLATE-UNKNOWN");
    await input.press("Enter");
    await page.getByText("License key not found").waitFor();
    assert.equal(await page.getByText(content).first().isVisible(), false);
    const key = await behind.addMembership();
    await input.fill(key);
    await input.press("Enter");
    await page.getByText(content).first().waitFor();
    const sidecar = createSidecar();
    const { id } = await sidecar.machineId();
    sidecar.close();
    assert.deepEqual(await behind.metadataOf(key), { HWID: id });
    assert.deepEqual(said, []);
    assert.doesNotMatch(app.output(), /not sandboxed|error/i);
  } finally {
    await app.quit();
  }
}

/** Starts a template's development server, and what it starts in Electron's place; calls back with its output until then. */
export async function inDevelopment(
  project: Project,
  command: string[],
  use: (output: string) => Promise<void>,
): Promise<void> {
  const electron = await electronFolder(project);
  const [name = "", ...args] = command;
  const child = spawn(name, args, {
    cwd: project.folder,
    env: {
      ...project.env,
      ELECTRON_EXEC_PATH: join(electron, "electron"),
      ELECTRON_OVERRIDE_DIST_PATH: electron,
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const ended = once(child, "close");
  let output = "";
  try {
    await new Promise<void>((started, failed) => {
      for (const pipe of [child.stdout, child.stderr]) {
        pipe.setEncoding("utf8").on("data", (text: string) => {
          output += text;
          if (/started in .*;/.test(output)) started();
        });
      }
      void ended.then(() => failed(new Error(`${command.join(" ")} ended:\n${output}`)));
    });
    await use(output);
  } finally {
    // Ends the process group, because npm doesn't end what it runs.
    if (child.pid) process.kill(-child.pid);
    await ended;
  }
}

/** Prints the effort of following a recipe. */
export function report(t: TestContext, name: string, { edits, added, removed }: Effort): void {
  t.diagnostic(`${name}: ${edits} edits, ${added} lines added and ${removed} removed`);
}
