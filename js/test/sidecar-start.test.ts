// A sidecar that can't be started: which failures are temporary, and what the message says to do.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { closeSync, copyFileSync, cpSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { createSidecar } from "whop-license/sidecar";
import { installed, platformPackage, programFile } from "./helpers/packed.js";
import { packageFolder, rejects, temporaryFolder } from "./helpers/support.js";

const real = join(packageFolder, "node_modules", platformPackage, programFile);
const isWindows = process.platform === "win32";

test("no more files can be opened", { skip: isWindows }, async () => {
  const project = installed();
  writeFileSync(
    join(project, "many.mjs"),
    `import { closeSync, openSync } from "node:fs";
    import { createSidecar } from "whop-license/sidecar";
    for (const options of [{}, { path: ${JSON.stringify(real)} }]) {
      const sidecar = createSidecar(options);
      const files = [];
      try {
        for (;;) files.push(openSync("many.mjs"));
      } catch {}
      const { code, retryable, message } = await sidecar.machineId().catch((error) => error);
      for (const file of files) closeSync(file);
      const { id } = await sidecar.machineId();
      console.log(JSON.stringify([code, retryable, /\\(EMFILE\\)/.test(message), id.length]));
    }`,
  );
  const limited = ["-c", 'ulimit -n 100; exec "$0" many.mjs', process.execPath];
  const { stdout } = await promisify(execFile)("sh", limited, { cwd: project, timeout: 60_000 });
  const one = '["load_failed",true,true,64]\n';
  assert.equal(stdout, one + one);
});

test("a program that is being written", { skip: process.platform !== "linux" }, async () => {
  const path = join(temporaryFolder(), "sidecar");
  copyFileSync(real, path);
  const sidecar = createSidecar({ path });
  const file = openSync(path, "r+");
  const error = await rejects(sidecar.machineId(), "load_failed", /at the moment \(ETXTBSY\)/);
  assert.equal(error.retryable, true);
  closeSync(file);
  assert.equal((await sidecar.machineId()).id.length, 64);
  sidecar.close();
});

test("a start that is interrupted may succeed later, and a crash may not", {
  skip: isWindows,
}, async () => {
  for (const [signal, retryable] of [
    ["TERM", true],
    ["KILL", process.platform !== "darwin"],
    ["SEGV", false],
  ] as const) {
    const path = join(temporaryFolder(), "sidecar");
    writeFileSync(path, `#!/bin/sh\nkill -${signal} $$\n`, { mode: 0o755 });
    const sidecar = createSidecar({ path, timeoutMs: 60_000 });
    const error = await rejects(sidecar.machineId(), "load_failed", /ended before/);
    assert.equal(error.retryable, retryable, signal);
  }
});

test("a file system that is mounted noexec", async (t) => {
  const folder = temporaryFolder();
  const options = ["-t", "tmpfs", "-o", "noexec,size=16m", "tmpfs", folder];
  const { status } = process.platform === "linux" ? spawnSync("mount", options) : { status: 1 };
  if (status !== 0) return t.skip("a file system can't be mounted here, which takes root on Linux");
  try {
    const path = join(folder, "sidecar");
    copyFileSync(real, path);
    const sidecar = createSidecar({ path });
    const error = await rejects(
      sidecar.machineId(),
      "load_failed",
      /may not be run.*`noexec`.*in another folder/,
    );
    assert.equal(error.retryable, false);
  } finally {
    spawnSync("umount", [folder]);
  }
});

test("code that runs outside of its package, as in a bundle", async () => {
  const folder = temporaryFolder();
  cpSync(join(packageFolder, "dist"), join(folder, "out"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  mkdirSync(join(folder, "node_modules"));
  const bundled: typeof import("whop-license/sidecar") = await import(
    pathToFileURL(join(folder, "out/sidecar/index.js")).href
  );
  const words = /in a bundle.*serverExternalPackages.*bun build --compile.*createSidecar/;
  await rejects(bundled.machineId(), "load_failed", words);
  const own = bundled.createSidecar({ path: real });
  assert.equal((await own.machineId()).id.length, 64);
  own.close();
});
