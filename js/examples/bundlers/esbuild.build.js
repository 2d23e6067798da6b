import { copyFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

await build({
  entryPoints: ["src/main.js", "src/worker.js"],
  outdir: "dist/src",
  bundle: true,
  format: "esm",
  minify: true,
  splitting: true,
});
// The WebAssembly module is looked for beside the code.
const wasm = fileURLToPath(import.meta.resolve("whop-license/whop-license.wasm"));
await copyFile(wasm, "dist/src/whop-license.wasm");
await copyFile("index.html", "dist/index.html");
