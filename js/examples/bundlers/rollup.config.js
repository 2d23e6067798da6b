import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { nodeResolve } from "@rollup/plugin-node-resolve";

const copied = {
  "index.html": "index.html",
  // The WebAssembly module is looked for beside the code.
  "src/whop-license.wasm": fileURLToPath(import.meta.resolve("whop-license/whop-license.wasm")),
};

export default {
  input: ["src/main.js", "src/worker.js"],
  output: {
    dir: "dist",
    entryFileNames: "src/[name].js",
    chunkFileNames: "src/[name]-[hash].js",
  },
  plugins: [
    nodeResolve({ browser: true }),
    {
      name: "copy",
      generateBundle() {
        for (const [fileName, path] of Object.entries(copied)) {
          this.emitFile({ type: "asset", fileName, source: readFileSync(path) });
        }
      },
    },
  ],
};
