// An example, copied into its own folder and installed there as users do.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";

const web = join(import.meta.dirname, "../../..");
const js = join(web, "../js");
const run = promisify(execFile);

export interface Project {
  folder: string;
  env: NodeJS.ProcessEnv;
  /** Runs a command in the project, and returns what it wrote; fails as it fails. */
  run(command: string, ...args: string[]): Promise<string>;
  /** Replaces a text in a file, as a developer would. */
  set(file: string, place: RegExp, value: string): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Copies an example, installs the packed package into it from a file, without
 * the network. Bundlers are those of the tests: on PATH, and `links` in node_modules.
 */
export async function makeProject(example: string, links: string[] = []): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), "whop-license-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  const PATH = `${join(web, "node_modules/.bin")}${delimiter}${process.env.PATH}`;
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH,
    NO_COLOR: "1",
    FORCE_COLOR: undefined, // Node warns where both are set
    npm_config_update_notifier: "false",
  };
  try {
    await cp(join(js, "examples", example), folder, { recursive: true });
    const { version } = JSON.parse(await readFile(join(js, "package.json"), "utf8"));
    const tarball = `whop-license-${version}.tgz`;
    await cp(join(js, "pack", tarball), join(folder, tarball)); // `make pack` has made it
    const install = ["install", "--offline", "--omit=optional", "--no-audit", "--no-fund"];
    await run("npm", [...install, `./${tarball}`], { cwd: folder, env });
    for (const name of links) {
      const link = join(folder, "node_modules", name);
      await mkdir(dirname(link), { recursive: true });
      await symlink(join(web, "node_modules", name), link, "junction");
    }
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    folder,
    env,
    remove,
    async run(command, ...args) {
      const { stdout, stderr } = await run(command, args, { cwd: folder, env });
      return stdout + stderr;
    },
    async set(file, place, value) {
      const path = join(folder, file);
      const text = await readFile(path, "utf8");
      if (!place.test(text)) throw new Error(`${file} doesn't say ${place}`);
      await writeFile(
        path,
        text.replace(place, () => value),
      );
    },
  };
}
