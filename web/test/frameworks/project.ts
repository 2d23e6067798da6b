// A project generated from a template, with the packages that a lock file pins,
// in which a recipe of the docs is followed.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { applyBlock, type Block, complaint, type Effort } from "./recipe.js";

const web = join(import.meta.dirname, "../../..");
export const locks = join(web, "test/frameworks/locks");
const packed = join(web, "../js/pack");
const execute = promisify(execFile);

export interface Project {
  folder: string;
  env: NodeJS.ProcessEnv;
  /** Runs a command in the project, and returns what it wrote; fails with that if it fails. */
  run(command: string, ...args: string[]): Promise<string>;
  /** Runs one of the templates' generators, such as `create-vite`. */
  generate(program: string, ...args: string[]): Promise<string>;
  /**
   * Installs the packages that `locks/NAME/package-lock.json` pins for the project's
   * package.json. Where no generator writes one, it is beside the lock file.
   */
  install(lock: string): Promise<void>;
  /**
   * Writes, patches and runs what blocks of the docs say, in order. What
   * `values` names is replaced in them: what readers replace by their own.
   */
  follow(blocks: Block[], values?: Record<string, string>): Promise<Effort>;
  remove(): Promise<void>;
}

/** Makes an empty folder for a project, outside of every other project. */
export async function newProject(): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), "whop-license-"));
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    CI: "1",
    NO_COLOR: "1",
    FORCE_COLOR: undefined, // Node warns where both are set
    NODE_TEST_CONTEXT: undefined, // a test runner in the project is not part of this one
    ELECTRON_SKIP_BINARY_DOWNLOAD: "1",
    NEXT_TELEMETRY_DISABLED: "1",
    NG_CLI_ANALYTICS: "false",
    npm_config_audit: "false",
    npm_config_fund: "false",
    npm_config_ignore_scripts: "true",
    npm_config_update_notifier: "false",
  };
  const run = async (command: string, ...args: string[]): Promise<string> => {
    const options = { cwd: folder, env, maxBuffer: 64 << 20 };
    const { stdout, stderr } = await execute(command, args, options).catch((error) => {
      const said = `${error.stdout ?? ""}${error.stderr ?? ""}`;
      throw new Error(`${command} ${args.join(" ")}: ${error.message}\n${said}`);
    });
    return stdout + stderr;
  };
  return {
    folder,
    env,
    run,
    generate: async (program, ...args) => run(await generator(program), ...args),
    install: (lock) => installLocked(folder, lock, run),
    follow: (blocks, values = {}) => follow(folder, blocks, values, run),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

type Run = Project["run"];

/** The path of a generator, of the packages that `locks/templates` pins; they are installed once. */
async function generator(program: string): Promise<string> {
  const cwd = join(locks, "templates");
  if (!existsSync(join(cwd, "node_modules/.package-lock.json"))) {
    await execute("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd });
  }
  return join(cwd, "node_modules/.bin", program);
}

/** With UPDATE_LOCKS=1, the lock file is recreated from the registry. */
async function installLocked(folder: string, lock: string, run: Run): Promise<void> {
  const [pinned, own] = [join(locks, lock, "package-lock.json"), join(folder, "package-lock.json")];
  const manifest = join(locks, lock, "package.json");
  if (existsSync(manifest)) await copyFile(manifest, join(folder, "package.json"));
  if (process.env.UPDATE_LOCKS) {
    await rm(own, { force: true });
    await run("npm", "install");
    await mkdir(join(locks, lock), { recursive: true });
    await copyFile(own, pinned);
    return;
  }
  await copyFile(pinned, own);
  await run("npm", "ci");
}

async function follow(
  folder: string,
  blocks: Block[],
  values: Record<string, string>,
  run: Run,
): Promise<Effort> {
  const effort = { edits: 0, added: 0, removed: 0 };
  for (const value of Object.keys(values)) {
    if (blocks.some(({ text }) => text.includes(value))) continue;
    throw new Error(`${blocks[0]?.page}: no block of the recipe says ${value}`);
  }
  for (const block of blocks) {
    if (block.file === undefined) {
      if (block.language !== "sh") throw complaint(block, "is neither a file nor commands");
      await run("sh", "-ec", await commands(block.text));
      continue;
    }
    let { text } = block;
    for (const [name, value] of Object.entries(values)) text = text.replaceAll(name, value);
    const { edits, added, removed } = await applyBlock(folder, { ...block, text });
    effort.edits += edits;
    effort.added += added;
    effort.removed += removed;
  }
  return effort;
}

/** Commands, which install the packed packages in place of the registry's. */
async function commands(text: string): Promise<string> {
  if (!/\bnpm (?:install|i) whop-license\b/.test(text)) return text;
  const files = (await packages()).map((file) => `'${file}'`).join(" ");
  // Without a registry, which doesn't have the other platforms' packages either.
  return text.replace(/\bnpm (?:install|i) whop-license\b/g, `npm install --offline ${files}`);
}

/** The packed package and this platform's sidecar. */
export async function packages(): Promise<string[]> {
  if (!existsSync(join(packed, "SHA256SUMS"))) {
    throw new Error("js/pack is missing: run `make pack` in the top-level folder first.");
  }
  const ours = new RegExp(
    `^whop-license-(sidecar-${process.platform}-${process.arch}-)?\\d[^/]*\\.tgz$`,
  );
  const files = (await readdir(packed)).filter((file) => ours.test(file));
  return files.map((file) => join(packed, file));
}
