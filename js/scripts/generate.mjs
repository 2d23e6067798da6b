// Writes into dist/ what the TypeScript compiler doesn't: Go's support code for
// WebAssembly as a module, and the version. Installs this machine's sidecar in the
// folder of its package. Removes the files of older builds.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { moveSectionsToEnd } from "./elf.mjs";
import {
  makePlatformPackage,
  packageOf,
  programOf,
  version,
  writeGenerated,
} from "./platforms.mjs";

const dist = new URL("../dist/", import.meta.url);
const distFolder = fileURLToPath(dist);
const KEPT = /^(whop-license\.wasm|wasm_exec\.js|\..*)$/; // what make puts there

// Tests that were deleted must not run again.
rmSync(new URL("../build/", import.meta.url), { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
const present = readdirSync(dist);
for (const name of ["whop-license.wasm", "wasm_exec.js"]) {
  if (!present.includes(name)) {
    console.error(`dist/${name} is missing: run \`make wasm\` in the top-level folder first.`);
    process.exit(1);
  }
}
for (const name of present) {
  if (!KEPT.test(name)) rmSync(new URL(name, dist), { recursive: true });
}

const here = `${process.platform}-${process.arch}`;
const installed = new URL(`../node_modules/${packageOf(here)}/`, import.meta.url);
rmSync(installed, { recursive: true, force: true });
const program = makePlatformPackage(fileURLToPath(installed), here);
cpSync(new URL(`../../bin/${programOf(here)}`, import.meta.url), program);
moveSectionsToEnd(program);

const goSource = readFileSync(new URL("wasm_exec.js", dist), "utf8");
for (const relied of [
  "globalThis.Go = class",
  "_resume()",
  "_scheduledTimeouts",
  "fs.writeSync(",
  "crypto.getRandomValues(",
]) {
  if (!goSource.includes(relied)) throw new Error(`this Go's wasm_exec.js has no ${relied}`);
}
const defineGo = `function defineGo(globalThis) {
// Go's support code uses these by name. fs is not a global in pages, nor are the others in some runtimes.
const fs = { writeSync: (fd, bytes) => globalThis.fs.writeSync(fd, bytes) };
const { crypto, TextDecoder, TextEncoder } = globalThis;
${goSource}}
`;
writeGenerated(distFolder, "wasm/runtime", "defineGo", defineGo);
writeGenerated(distFolder, "version", "VERSION", `const VERSION = ${JSON.stringify(version)};\n`);
writeFileSync(new URL("cjs/package.json", dist), '{ "type": "commonjs" }\n');
