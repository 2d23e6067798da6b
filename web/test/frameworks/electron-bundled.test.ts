// The main process's entry point in bundles: a bundler takes its code out of
// node_modules, and its files stay there.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { build as esbuild } from "esbuild";
import { rollup } from "rollup";
import { build as vite } from "vite";
import webpack from "webpack";
import { install, temporaryFolder } from "../electron/fixture.js";

const register = fileURLToPath(new URL("../electron/register.js", import.meta.url));

interface Wanted {
  entry: string;
  outfile: string;
  format: "cjs" | "es";
}

/** Each bundles a main process, and leaves only Electron out of the bundle. */
const bundlers: Record<string, (wanted: Wanted) => Promise<unknown>> = {
  esbuild: ({ entry, outfile, format }) =>
    esbuild({
      ...{ entryPoints: [entry], outfile, bundle: true, platform: "node", logLevel: "error" },
      ...{ format: format === "es" ? "esm" : "cjs", external: ["electron"] },
    }),
  Rollup: async ({ entry, outfile, format }) => {
    const plugins = [nodeResolve({ exportConditions: ["node"] })];
    const bundle = await rollup({ input: entry, external: /^(node:|electron$)/, plugins });
    await bundle.write({ file: outfile, format });
  },
  Vite: ({ entry, outfile, format }) =>
    vite({
      ...{ root: dirname(entry), configFile: false, logLevel: "warn", mode: "production" },
      resolve: { conditions: ["node"] },
      build: {
        ...{ outDir: dirname(outfile), emptyOutDir: false, minify: false },
        lib: { entry, formats: [format], fileName: () => basename(outfile) },
        rolldownOptions: { external: /^(node:|electron$)/ },
      },
    }),
  webpack: ({ entry, outfile, format }) =>
    new Promise<void>((done, failed) => {
      const esm = format === "es";
      webpack(
        {
          ...{ entry, mode: "production", target: esm ? "node20" : "electron-main" },
          ...{ externals: { electron: esm ? "module electron" : "commonjs electron" } },
          experiments: { outputModule: esm },
          output: {
            ...{ path: dirname(outfile), filename: basename(outfile) },
            library: { type: esm ? "module" : "commonjs2" },
          },
        },
        (error, stats) =>
          error || stats?.hasErrors() ? failed(error ?? new Error(String(stats))) : done(),
      );
    }),
};

// What a page asks of the host, and what it is told.
const ask = `
  import { existsSync } from "node:fs";
  import { app, ipcMain } from "electron";
  const [bundle, packaged] = process.argv.slice(2);
  app.isPackaged = packaged === "packaged";
  process.resourcesPath = app.getAppPath();
  const { default: exported, ...named } = await import(bundle);
  const { preloadPath, registerLicenseHost } = { ...exported, ...named };
  const host = registerLicenseHost({ origins: ["app://x"] });
  const senderFrame = { url: "app://x/", origin: "app://x", parent: null };
  const event = { senderFrame, sender: { id: 1, mainFrame: senderFrame } };
  const of = async (channel) => {
    const { value, error } = await ipcMain.handlers.get("whop-license:" + channel)(event);
    return error?.message ?? value.id?.length ?? WebAssembly.validate(value);
  };
  const preload = existsSync(preloadPath);
  console.log(JSON.stringify({ preload, machineId: await of("machine-id"), wasm: await of("wasm") }));
  host.dispose();
`;

describe("an Electron app whose main process is bundled", () => {
  let folder: string;
  const userData = temporaryFolder();

  before(() => {
    ({ folder } = install());
    writeFileSync(join(folder, "entry.js"), 'export * from "whop-license/electron/main";\n');
    writeFileSync(join(folder, "ask.mjs"), ask);
  });

  async function told(app: string, bundle: string, packaged = ""): Promise<object> {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", register, join(app, "ask.mjs"), bundle, packaged],
      { env: { ...process.env, STAND_IN_APP_PATH: app, STAND_IN_USER_DATA: userData } },
    );
    return JSON.parse(stdout);
  }

  for (const [name, bundle] of Object.entries(bundlers)) {
    for (const format of ["cjs", "es"] as const) {
      test(`by ${name}, as ${format}`, async () => {
        const file = `out/${name}/main.${format === "es" ? "mjs" : "cjs"}`;
        const outfile = join(folder, file);
        await bundle({ entry: join(folder, "entry.js"), outfile, format });
        const works = { preload: true, machineId: 64, wasm: true };
        assert.deepEqual(await told(folder, outfile), works);
        assert.deepEqual(await told(folder, outfile, "packaged"), works);

        // On the customer's machine, there is no node_modules, or the build folder's path belongs to someone else.
        const elsewhere = temporaryFolder();
        for (const copied of [file, "ask.mjs"]) {
          mkdirSync(dirname(join(elsewhere, copied)), { recursive: true });
          cpSync(join(folder, copied), join(elsewhere, copied));
        }
        const without = await told(elsewhere, join(elsewhere, file), "packaged");
        const { preload, machineId, wasm } = without as Record<string, unknown>;
        assert.equal(preload, false);
        assert.match(String(machineId), /pack node_modules\/whop-license and/);
        assert.match(String(wasm), /pack node_modules\/whop-license and/);
      });
    }
  }
});
