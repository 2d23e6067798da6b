// The package in an Electron archive, made by electron-builder and by Electron Forge's packager.
import assert from "node:assert/strict";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { extractAll, statFile } from "@electron/asar";
import { packager } from "@electron/packager";
import { Arch, build, Platform } from "app-builder-lib";
import { zipSync } from "fflate";
import {
  consumers,
  installed,
  platformPackage,
  programFile,
  run,
  tarball,
} from "./helpers/packed.js";
import { packageFolder, temporaryFolder } from "./helpers/support.js";

const require = createRequire(import.meta.url);
const { machineIdSync } = require("node-machine-id") as typeof import("node-machine-id");

// Electron's layout for other systems is not simulated here.
const skip = process.platform === "linux" ? false : "only on Linux";
const electronVersion = require("electron/package.json").version as string;
const program = `node_modules/${platformPackage}/${programFile}`;

/** The glob that the documentation gives for a packager. */
function documented(rule: RegExp): string {
  const text = readFileSync(join(packageFolder, "../web/docs/electron.md"), "utf8");
  const glob = rule.exec(text)?.[1];
  assert.ok(glob, `${rule} is not in the documentation`);
  return glob;
}

/** An app with the package installed, and stand-ins for Electron's own files. */
function app(): { project: string; electron: Record<string, Uint8Array>; out: string } {
  const project = installed();
  const manifest = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
  const more = { author: "test", description: "test", main: "consumer.cjs" };
  writeFileSync(join(project, "package.json"), JSON.stringify({ ...manifest, ...more }));
  for (const [file, text] of Object.entries(consumers)) writeFileSync(join(project, file), text);
  const electron = {
    electron: Buffer.from("#!/bin/sh\n"),
    LICENSE: Buffer.from("made up"),
    version: Buffer.from(electronVersion),
  };
  return { project, electron, out: join(temporaryFolder(), "out") };
}

/** Asserts that only the program is unpacked from the archive, and that the app works from there. */
function check(resources: string): void {
  const archive = join(resources, "app.asar");
  const unpacked = join(resources, "app.asar.unpacked");
  for (const [file, beside] of [
    [program, true],
    ["node_modules/whop-license/dist/sidecar/index.js", false],
    ["node_modules/whop-license/dist/cjs/sidecar/index.cjs", false],
    ["node_modules/whop-license/dist/whop-license.wasm", false],
    ["consumer.cjs", false],
  ] as const) {
    const entry = statFile(archive, file) as { unpacked?: boolean; executable?: boolean };
    assert.equal(entry.unpacked === true, beside, file);
    assert.equal(existsSync(join(unpacked, file)), beside, file);
  }
  assert.equal(statSync(join(unpacked, program)).mode & 0o111, 0o111);

  // Node can't read archives, so it is a folder with the same name here. What Electron
  // can't start from the archive is not in it.
  const moved = join(temporaryFolder(), "resources");
  extractAll(archive, join(moved, "app.asar"));
  rmSync(join(moved, "app.asar", dirname(program)), { recursive: true });
  const ask = (file: string) =>
    JSON.parse(run(process.execPath, [join(moved, "app.asar", file)], moved));
  for (const file of Object.keys(consumers)) {
    assert.match(ask(file).message, /app\.asar\.unpacked.*asarUnpack/);
  }
  cpSync(unpacked, join(moved, "app.asar.unpacked"), { recursive: true });
  const { version } = tarball("whop-license").manifest;
  for (const file of Object.keys(consumers)) {
    const expected = { version, id: machineIdSync(), membership: "mem_1", typed: true };
    assert.deepEqual(ask(file), expected, file);
  }
}

test("electron-builder", { skip }, async () => {
  const { project, electron, out } = app();
  const electronDist = temporaryFolder();
  for (const [name, bytes] of Object.entries(electron)) {
    writeFileSync(join(electronDist, name), bytes);
  }
  chmodSync(join(electronDist, "electron"), 0o755);
  const arch = process.arch === "arm64" ? Arch.arm64 : Arch.x64;
  await build({
    projectDir: project,
    targets: Platform.LINUX.createTarget("dir", arch),
    publish: "never",
    config: {
      electronVersion,
      electronDist,
      npmRebuild: false,
      asarUnpack: [documented(/"asarUnpack": \["(.+)"\]/)],
      directories: { output: out },
    },
  });
  const folder = arch === Arch.arm64 ? "linux-arm64-unpacked" : "linux-unpacked";
  check(join(out, folder, "resources"));
});

test("Electron Forge's packager", { skip }, async () => {
  const { project, electron, out } = app();
  const electronZipDir = temporaryFolder();
  const executable = { os: 3, attrs: (0o100755 << 16) >>> 0 } as const;
  const zip = zipSync({ ...electron, electron: [electron.electron as Uint8Array, executable] });
  const { platform, arch } = process;
  const name = `electron-v${electronVersion}-${platform}-${arch}.zip`;
  writeFileSync(join(electronZipDir, name), zip);
  mkdirSync(out);
  const [folder] = await packager({
    ...{ dir: project, out, platform, arch, electronVersion, electronZipDir },
    ...{ name: "app", quiet: true, tmpdir: temporaryFolder() },
    asar: { unpack: documented(/unpack: "(.+)"/) },
  });
  check(join(folder as string, "resources"));
});
