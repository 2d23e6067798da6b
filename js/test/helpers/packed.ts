// The tarballs from `make pack`, and empty projects to install them into.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageFolder, temporaryFolder } from "./support.js";

/** This machine's platform, and the name of its package. */
export const platform = `${process.platform}-${process.arch}`;
export const platformPackage = `@whop-license/sidecar-${platform}`;

/** The program in this platform's package. */
export const programFile = `bin/whop-license-sidecar${process.platform === "win32" ? ".exe" : ""}`;

export const packFolder = join(packageFolder, "pack");
if (!existsSync(join(packFolder, "SHA256SUMS"))) {
  throw new Error("js/pack is missing: run `make pack` in the top-level folder first.");
}

export interface Manifest {
  name: string;
  version: string;
  os?: string[];
  cpu?: string[];
  optionalDependencies?: Record<string, string>;
  [member: string]: unknown;
}

export interface Tarball {
  path: string;
  manifest: Manifest;
  /** Where it was unpacked. */
  folder: string;
}

/** Every tarball, by the name of its package. */
export const tarballs: ReadonlyMap<string, Tarball> = unpackAll();

function unpackAll(): Map<string, Tarball> {
  const unpacked = temporaryFolder();
  const sums = readFileSync(join(packFolder, "SHA256SUMS"), "utf8");
  const files = [...sums.matchAll(/^[0-9a-f]{64} {2}(.+)$/gm)].map(([, file]) => file as string);
  return new Map(
    files.map((file) => {
      const [path, into] = [join(packFolder, file), join(unpacked, file)];
      mkdirSync(into);
      run("tar", ["-xzf", path, "-C", into], unpacked);
      const folder = join(into, "package");
      const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
      return [manifest.name, { path, manifest, folder }];
    }),
  );
}

export function tarball(name: string): Tarball {
  const found = tarballs.get(name);
  assert.ok(found, `${name} is not in js/pack`);
  return found;
}

/** An empty project, outside of every other. */
export function emptyProject(files: Record<string, string> = {}): string {
  const folder = temporaryFolder();
  const manifest = '{ "name": "empty", "version": "1.0.0", "private": true }';
  for (const [name, text] of Object.entries({ "package.json": manifest, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

/** Runs a program, which must succeed, and returns its output. */
export function run(command: string, args: string[], cwd: string): string {
  const env = { ...process.env, npm_config_update_notifier: "false" };
  const result = spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: 300_000 });
  assert.equal(result.status, 0, `${command} ${args.join(" ")}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** The same as {@link run}, while servers in this process continue to answer. */
export async function runBeside(
  command: string,
  args: string[],
  cwd: string,
  env: Record<string, string>,
): Promise<string> {
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  for (const pipe of ["stdout", "stderr"] as const) {
    child[pipe].setEncoding("utf8").on("data", (text: string) => {
      output[pipe] += text;
    });
  }
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  const all = `${command} ${args.join(" ")}\n${output.stdout}${output.stderr}`;
  assert.equal(code, 0, all);
  return output.stdout;
}

export const npm = process.platform === "win32" ? "npm.cmd" : "npm";

/** A project with both packages, installed from files by npm without any registry. */
export function installed(): string {
  const project = emptyProject();
  const files = ["whop-license", platformPackage].map((name) => tarball(name).path);
  const args = ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", ...files];
  run(npm, args, project);
  return project;
}

// It has its own server, and needs no other process.
const CONSUMER = `
  const server = require("node:http").createServer((request, response) => {
    response.writeHead(201).end('{"valid":true,"id":"mem_1"}');
  });
  server.listen(0, "127.0.0.1", async () => {
    try {
      const { loadValidator, LicenseError } = main;
      const endpoint = "http://127.0.0.1:" + server.address().port;
      const { validateLicense, version } = await loadValidator({ endpoint });
      const { id } = await sidecar.machineId();
      const verdict = await validateLicense("A1B2C3-D4E5F6-G7H8I9", id);
      const error = await validateLicense("").catch((error) => error);
      const typed = error instanceof LicenseError;
      console.log(JSON.stringify({ version, id, membership: verdict.membership.id, typed }));
    } catch (error) {
      console.log(JSON.stringify({ code: error.code, message: error.message }));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
`;

/** A program that uses all of the package for Node, as an ES module and as CommonJS. */
export const consumers: Record<"consumer.mjs" | "consumer.cjs", string> = {
  "consumer.mjs": `
    import { createRequire } from "node:module";
    import * as main from "whop-license";
    import * as sidecar from "whop-license/sidecar";
    const require = createRequire(import.meta.url);
    ${CONSUMER}`,
  "consumer.cjs": `
    const main = require("whop-license");
    const sidecar = require("whop-license/sidecar");
    ${CONSUMER}`,
};
