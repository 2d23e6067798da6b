// Puts into dist/ what the TypeScript compiler doesn't write: Go's support code
// for WebAssembly as a module, the package's version, the module's checksum, and
// the sidecar for this machine. What an older build left there is removed.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const dist = new URL("../dist/", import.meta.url);
const KEPT = /^(whop-license\.wasm|wasm_exec\.js|sidecar|\..*)$/; // what make puts there

// Tests that are gone must not run again.
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

const program = `whop-license-sidecar${process.platform === "win32" ? ".exe" : ""}`;
cpSync(
  new URL(`../../bin/${program}`, import.meta.url),
  new URL(`sidecar/${process.platform}-${process.arch}/${program}`, dist),
);

const goSource = readFileSync(new URL("wasm_exec.js", dist), "utf8");
for (const relied of [
  "globalThis.Go = class",
  "_resume()",
  "_scheduledTimeouts",
  "fs.writeSync(",
]) {
  if (!goSource.includes(relied)) throw new Error(`this Go's wasm_exec.js has no ${relied}`);
}
const defineGo = `function defineGo(globalThis) {
// Go's support code writes by this name, which is no global of a page.
const fs = { writeSync: (fd, bytes) => globalThis.fs.writeSync(fd, bytes) };
${goSource}}
`;
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

write("go-runtime", "defineGo", defineGo);
const wasm = createHash("sha256")
  .update(readFileSync(new URL("whop-license.wasm", dist)))
  .digest("hex");
write("checksums", "CHECKSUMS", `const CHECKSUMS = ${JSON.stringify({ wasm })};\n`);
write("version", "VERSION", `const VERSION = ${JSON.stringify(version)};\n`);
mkdirSync(new URL("cjs/", dist), { recursive: true });
writeFileSync(new URL("cjs/package.json", dist), '{ "type": "commonjs" }\n');

function write(module, name, code) {
  const header = "// Generated at build time.\n";
  mkdirSync(new URL("cjs/", dist), { recursive: true });
  writeFileSync(new URL(`${module}.js`, dist), `${header}export ${code}`);
  writeFileSync(
    new URL(`cjs/${module}.js`, dist),
    `${header}"use strict";\n${code}exports.${name} = ${name};\n`,
  );
}
