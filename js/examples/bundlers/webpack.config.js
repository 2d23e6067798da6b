import { copyFile, mkdir } from "node:fs/promises";

await mkdir("dist", { recursive: true });
await copyFile("index.html", "dist/index.html");

export default {
  mode: "production",
  entry: "./src/main.js",
  output: { path: `${import.meta.dirname}/dist/src` },
  // The WebAssembly module is larger than what webpack warns of.
  performance: { assetFilter: (file) => !file.endsWith(".wasm") },
};
