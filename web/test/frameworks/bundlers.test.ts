// The example of js/examples/bundlers, built by each bundler and used in a browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Browser } from "playwright-core";
import { type Servers, sampleKeys, startServers } from "../../servers.js";
import { type LocalServer, listen, staticFiles } from "../../static-server.js";
import { launchBrowser } from "../helpers/browser.js";
import { complaints } from "../helpers/page.js";
import { freePort } from "../helpers/port.js";
import { makeProject, type Project } from "../helpers/project.js";

/** What a developer replaces in index.html. */
const endpointOf = /(?<=name="whop-license-endpoint" content=")[^"]+/;
const gatewayArgs = ["--client-limit=0", "--license-limit=0"];

/** The policy allows nothing else that a bundler might need. */
const policy = (endpoint: string): string =>
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; " +
  `connect-src 'self' ${endpoint}; base-uri 'none'; form-action 'none'`;

suite("bundlers", () => {
  let browser: Browser;
  let project: Project;
  let server: LocalServer;
  let servers: Servers;
  let headers: Record<string, string>;

  before(async () => {
    browser = await launchBrowser();
    server = await listen();
    servers = await startServers({ origins: [server.origin], gatewayArgs });
    headers = { "Content-Security-Policy": policy(servers.endpoint) };
    project = await makeProject("bundlers", ["esbuild", "@rollup/plugin-node-resolve"]);
    await project.set("index.html", endpointOf, servers.endpoint);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([server?.close(), servers?.stop(), project?.remove()]);
  });

  /** The page, its gate and its worker, as a customer meets them. */
  async function use(origin: string): Promise<void> {
    const page = await browser.newPage();
    const said = complaints(page);
    // The license is bound to this browser, so all builds use the same one.
    await page.addInitScript(() => localStorage.setItem("browserId", "a browser"));
    await page.goto(origin);
    const key = page.getByRole("textbox", { name: "License key" });
    await key.fill(sampleKeys.unknown);
    await key.press("Enter");
    await page.getByRole("heading", { name: "License key not found" }).waitFor();
    assert.equal(await page.getByText("What the customer paid for.").isVisible(), false);
    await key.fill(sampleKeys.good);
    await key.press("Enter");
    await page.getByText("What the customer paid for.").waitFor();
    await page.getByText("The worker works.").waitFor();
    assert.deepEqual(said, []);
    await page.close();
  }

  for (const bundler of ["vite", "webpack", "esbuild", "rollup"]) {
    test(bundler, async () => {
      await rm(join(project.folder, "dist"), { recursive: true, force: true });
      const output = await project.run("npm", "run", "--silent", bundler);
      // One of our own files has this name, and webpack lists it.
      assert.doesNotMatch(output.replaceAll("dist/errors.js", ""), /warn|error/i);
      const dist = join(project.folder, "dist");
      const names = await readdir(dist, { recursive: true });
      const modules = names.filter((name) => name.endsWith(".wasm"));
      assert.equal(modules.length, 1, names.join(" "));
      assert.deepEqual(
        await readFile(join(dist, modules[0] ?? "")),
        await readFile(join(project.folder, "node_modules/whop-license/dist/whop-license.wasm")),
      );
      server.handle(staticFiles(dist, { headers }));
      await use(server.origin);
    });
  }

  for (const config of ["vite.config.js", ""]) {
    test(`Vite's development server, configured by ${config || "nothing"}`, async () => {
      if (!config) await rm(join(project.folder, "vite.config.js"));
      // Vite reloads the page if index.html changes while it runs.
      const port = await freePort();
      const origin = `http://127.0.0.1:${port}`;
      const own = await startServers({ origins: [origin], gatewayArgs });
      await project.set("index.html", endpointOf, own.endpoint);
      const options = ["--host=127.0.0.1", `--port=${port}`, "--strictPort"];
      const vite = spawn("npm", ["run", "--silent", "vite:dev", "--", ...options], {
        cwd: project.folder,
        env: project.env,
        stdio: ["ignore", "pipe", "inherit"],
        detached: true,
      });
      const ended = once(vite, "close");
      try {
        await new Promise<void>((started, failed) => {
          let text = "";
          vite.stdout.setEncoding("utf8").on("data", (part: string) => {
            text += part;
            if (text.includes(origin)) started();
          });
          void ended.then(() => failed(new Error(`vite ended: ${text}`)));
        });
        await use(origin);
      } finally {
        // Ends the process group, because npm doesn't end what it runs.
        if (vite.pid) process.kill(-vite.pid);
        await ended;
        await own.stop();
      }
    });
  }
});
