// An Electron app whose pages are files: no module can be loaded there, and
// nothing fetched from beside them.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { runsIn } from "./electron/app.js";
import { type Behind, install, policy, start, startBehind } from "./electron/fixture.js";

type Renderer = typeof import("whop-license/electron/renderer");

describe(`an Electron app under file:// ${runsIn}`, () => {
  let behind: Behind;
  let folder: string;
  let url: string;

  before(async () => {
    behind = await startBehind();
    ({ folder } = install());
    const entry = join(folder, "entry.js");
    writeFileSync(entry, 'export * from "whop-license/electron/renderer";\n');
    const { warnings } = await build({
      entryPoints: [entry],
      outfile: join(folder, "bundle.js"),
      bundle: true,
      minify: true,
      format: "iife",
      globalName: "renderer",
    });
    // Nothing uses the page's own folder here.
    assert.deepEqual(
      warnings.filter(({ id }) => id !== "empty-import-meta"),
      [],
    );
    const file = join(folder, "file.html");
    writeFileSync(
      file,
      `<meta http-equiv="Content-Security-Policy" content="${policy(behind.endpoint)}">` +
        '<title>File</title><script src="bundle.js"></script>',
    );
    url = pathToFileURL(file).href;
  });
  after(() => behind?.stop());

  test("the main process decides", async () => {
    const { endpoint, publicKey, sites } = behind;
    const key = await behind.addMembership();
    const validator = { endpoint, publicKey };
    const { app, page } = await start(
      { host: { origins: ["file://"], validator }, url, policy: "" },
      { site: sites[0], folder },
    );
    const code = await page.evaluate(async (key) => {
      const { renderer } = globalThis as unknown as { renderer: Renderer };
      const { validateLicense } = await renderer.loadMainValidator();
      return (await validateLicense(key)).code;
    }, key);
    assert.equal(code, "valid");
    await app.quit();
  });

  test("the page decides, with a module from the main process", async () => {
    const { endpoint, sites } = behind;
    const { app, page } = await start(
      { host: { origins: ["file://"] }, url, policy: "" },
      { site: sites[0], folder },
    );
    const [version, code] = await page.evaluate(async (endpoint) => {
      const { renderer } = globalThis as unknown as { renderer: Renderer };
      const { validateLicense, version } = await renderer.loadElectronValidator({ endpoint });
      const asked = validateLicense("K", undefined, { maxAttempts: 1 });
      return [version, await asked.catch(({ code }) => code)];
    }, endpoint);
    assert.match(version, /^\d+\.\d+\.\d+/);
    // The gateway doesn't list the origin of files, which is that of any sandboxed frame.
    assert.equal(code, "unavailable");
    await app.quit();
  });
});
