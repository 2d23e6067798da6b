// Programs in one file, built as the documentation says, and run without
// the project in which they were built.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { type Behind, startBehind } from "../electron/fixture.js";
import { newProject } from "./project.js";
import { readBlocks } from "./recipe.js";

// The packages of the tools that a reader has installed.
const manifest = {
  name: "single-file",
  version: "1.0.0",
  private: true,
  devDependencies: {
    bun: "npm:@oven/bun-linux-x64@1.4.5", // what the package `bun` installs by a script
    esbuild: "0.28.2",
    postject: "1.0.0-alpha.6",
  },
};

const skip =
  process.platform === "linux" && process.arch === "x64"
    ? false
    : "the recipes are for Linux on x64";

describe("a program in one file", { skip }, () => {
  let behind: Behind;
  before(async () => {
    behind = await startBehind("app://my-app");
  });
  after(() => behind?.stop());

  for (const tool of ["Bun", "Node"]) {
    test(`with ${tool}`, async (t) => {
      const project = await newProject();
      const elsewhere = await mkdtemp(join(tmpdir(), "whop-license-single-"));
      t.after(() => rm(elsewhere, { recursive: true, force: true }));
      t.after(() => project.remove());
      await writeFile(join(project.folder, "package.json"), JSON.stringify(manifest));
      await project.install("single-file");
      project.env.PATH = `${join(project.folder, "node_modules/bun/bin")}:${process.env.PATH}`;
      const effort = await project.follow(await readBlocks("packaging.md", tool), {
        "https://license.example.com": behind.endpoint,
        YOUR_PUBLIC_KEY: behind.publicKey,
      });
      t.diagnostic(`${tool}: ${JSON.stringify(effort)}`);
      await cp(join(project.folder, "out"), elsewhere, { recursive: true });
      await project.remove();
      const key = await behind.addMembership();
      for (const [given, code] of [
        [key, "valid"],
        ["SINGLE-UNKNOWN", "not_found"],
      ] as const) {
        const run = promisify(execFile)(join(elsewhere, "app"), [given], { cwd: elsewhere });
        assert.equal((await run).stdout, `${code}\n`);
      }
    });
  }
});
