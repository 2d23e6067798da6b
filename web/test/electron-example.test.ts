// The example app, installed as its README says.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { sampleProduct } from "../servers.js";
import { electronPath, launch, packageFolder, type RunningApp, runsIn } from "./electron/app.js";
import { type Behind, install, startBehind, temporaryFolder } from "./electron/fixture.js";
import { complaints } from "./helpers/page.js";

const require = createRequire(import.meta.url);
const example = join(packageFolder, "examples/electron");

describe(`the Electron example ${runsIn}`, () => {
  let behind: Behind;
  let folder: string;
  const userData = temporaryFolder();

  before(async () => {
    behind = await startBehind("app://my-app");
    ({ folder } = install(example));
    const config = {
      endpoint: behind.endpoint,
      publicKey: behind.publicKey,
      audience: sampleProduct,
    };
    writeFileSync(
      join(folder, "renderer/config.js"),
      Object.entries(config)
        .map(([name, value]) => `export const ${name} = ${JSON.stringify(value)};\n`)
        .join(""),
    );
  });
  after(() => behind?.stop());

  async function run(): Promise<RunningApp> {
    const app = await launch({ folder, userData, site: behind.sites[0] });
    after(() => app.quit());
    return app;
  }

  test("it type-checks against Electron's types", () => {
    const types = dirname(require.resolve("electron/package.json"));
    symlinkSync(types, join(folder, "node_modules/electron"));
    const settings = {
      compilerOptions: {
        ...{ allowJs: true, checkJs: true, strict: true, noEmit: true, skipLibCheck: true },
        ...{ target: "es2023", module: "nodenext", lib: ["es2023", "dom", "dom.iterable"] },
        ...{ types: ["node"], typeRoots: [join(packageFolder, "node_modules/@types")] },
      },
      files: ["main.js", "renderer/app.js"],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings));
    const tsc = join(dirname(require.resolve("typescript/package.json")), "bin/tsc");
    const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", folder], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout);
  });

  test("it asks for the key, opens, and remembers", async () => {
    const key = await behind.addMembership();
    const first = await run();
    const page = await first.window();
    const said = complaints(page);
    const input = page.getByRole("textbox", { name: "License key" });
    await input.fill("ELECTRON-UNKNOWN");
    await input.press("Enter");
    await page.getByText("License key not found").waitFor();
    await input.fill(key);
    await input.press("Enter");
    await page.getByText("This is what your customer paid for.").waitFor();
    assert.deepEqual(said, []);
    // The gate opens before the main process has written the key down. Quitting waits for it.
    await first.quit();
    const kept = readFileSync(join(userData, "whop-license-leases"), "latin1");
    assert.ok(!kept.includes(key), "the key is readable in the file");

    const second = await run();
    const again = await second.window();
    await again.getByText("This is what your customer paid for.").waitFor();
    await again.getByRole("button", { name: "Remove the license" }).click();
    // It is shown at once, while the key is being removed.
    await again.getByRole("textbox", { name: "License key" }).waitFor();
    await second.quit();

    const third = await run();
    await (await third.window()).getByRole("textbox", { name: "License key" }).waitFor();
    await third.quit();
  });

  test("its pages can't go elsewhere, open windows, or read other files", async () => {
    const app = await run();
    const page = await app.window();
    await page.getByRole("textbox", { name: "License key" }).waitFor();
    const address = page.url();
    await page.evaluate(() => location.assign("https://elsewhere.example/"));
    // The stand-in opens even a window that is denied, and then closes it.
    await page.evaluate(async () => {
      const opened = open("http://127.0.0.1:9/");
      while (opened && !opened.closed) await new Promise((done) => setTimeout(done, 10));
    });
    await page.getByRole("textbox", { name: "License key" }).fill("ELECTRON-UNKNOWN");
    await page.keyboard.press("Enter");
    await page.getByText("License key not found").waitFor();
    assert.equal(page.url(), address);
    assert.equal(page.context().pages().length, 1);
    await app.quit();
  });

  test("it serves only the app's own folders", {
    skip: Boolean(electronPath),
  }, async () => {
    const app = await run();
    await (await app.window()).getByRole("textbox", { name: "License key" }).waitFor();
    const { toBrowser } = behind.sites[0];
    for (const [path, status] of [
      ["/renderer/index.html", 200],
      ["/node_modules/whop-license/dist/electron/renderer.js", 200],
      ["/main.js", 404],
      ["/package.json", 404],
      ["/renderer/../main.js", 404],
      ["/renderer/%2e%2e/main.js", 404],
      ["/renderer/..%2fmain.js", 404],
      ["/renderer/..%5cmain.js", 404],
      ["/renderer", 404],
      ["/nowhere", 404],
      ["/renderer/nowhere.js", 404],
    ] as const) {
      assert.equal(await statusOf(toBrowser("app://my-app/"), path), status, path);
    }
    assert.equal(await statusOf(toBrowser("app://other/"), "/renderer/index.html"), 404);
    await app.quit();
  });
});

/** The status of a GET with exactly this path, which fetch would normalize. */
function statusOf(url: string, path: string): Promise<number | undefined> {
  const { host, port } = new URL(url);
  return new Promise((done, failed) => {
    request({ port, host: "127.0.0.1", path, headers: { Host: host } }, (response) => {
      response.resume();
      done(response.statusCode);
    })
      .on("error", failed)
      .end();
  });
}
