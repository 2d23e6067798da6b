// Builds dist/: the launcher, as a folder that any web server can serve, and
// the programs, tests and benchmarks for Node. js/dist must have been built.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { buildExtension } from "./extension/build.mjs";

const here = import.meta.dirname;
const packageFolder = join(here, "../js");
const dist = join(here, "dist");

for (const file of ["index.js", "whop-license.wasm"]) {
  if (!existsSync(join(packageFolder, "dist", file))) {
    console.error(`build: js/dist/${file} is missing: run \`make js\` first`);
    process.exit(1);
  }
}

rmSync(dist, { recursive: true, force: true });

// Not a dependency in package.json: npm would write the package's own
// development dependencies into this folder's lock file.
const link = join(here, "node_modules/whop-license");
rmSync(link, { recursive: true, force: true });
symlinkSync(packageFolder, link, "junction");

mkdirSync(join(dist, "launcher"), { recursive: true });
for (const file of ["index.html", "launcher.css", "favicon.svg"]) {
  cpSync(join(here, "launcher", file), join(dist, "launcher", file));
}
cpSync(join(packageFolder, "dist"), join(dist, "launcher/whop-license"), {
  recursive: true,
  // A page doesn't need the parts for Node and Electron.
  filter: (file) => !/^(\.|cjs|node|sidecar|checksums)/.test(basename(file)),
});
for (const folder of ["test/pages", "test/electron/fixture"]) {
  cpSync(join(here, folder), join(dist, folder), { recursive: true });
}

for (const project of ["launcher", "extension", "."]) {
  const tsc = join(here, "node_modules/typescript/bin/tsc");
  const { status } = spawnSync(process.execPath, [tsc, "-p", project], {
    cwd: here,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

buildExtension(join(dist, "extension"));
