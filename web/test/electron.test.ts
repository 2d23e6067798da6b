// The Electron entry points in an app: the page decides, or its main process.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { build as esbuild } from "esbuild";
import type { Page } from "playwright-core";
import { build as vite } from "vite";
import { createSidecar } from "whop-license/sidecar";
import { runsIn } from "./electron/app.js";
import type { Outcome } from "./electron/fixture/page.js";
import {
  type Behind,
  call,
  codeOf,
  install,
  origin,
  policy,
  raw,
  type Started,
  start,
  startBehind,
  temporaryFolder,
} from "./electron/fixture.js";
import { complaints } from "./helpers/page.js";

/** Each bundles a preload for a sandbox. */
const bundlers: Record<string, (root: string, entry: string, file: string) => Promise<unknown>> = {
  esbuild: (root, entry, file) =>
    esbuild({
      entryPoints: [entry],
      outfile: join(root, file),
      bundle: true,
      format: "cjs",
      external: ["electron"],
    }),
  Vite: (root, entry, file) =>
    vite({
      root,
      configFile: false,
      logLevel: "warn",
      build: {
        outDir: root,
        emptyOutDir: false,
        lib: { entry, formats: ["cjs"], fileName: () => file },
        rolldownOptions: { external: ["electron"] },
      },
    }),
};

const unsandboxed = { webPreferences: { sandbox: false } };

describe(`an Electron app ${runsIn}`, () => {
  let behind: Behind;
  let machine: string;

  before(async () => {
    const sidecar = createSidecar();
    machine = (await sidecar.machineId()).id;
    sidecar.close();
    behind = await startBehind();
  });
  after(() => behind?.stop());

  const trusted = () => ({ endpoint: behind.endpoint, publicKey: behind.publicKey });
  const launch = (more: object = {}, userData?: string): Promise<Started> =>
    start(
      { host: { origins: [origin] }, policy: policy(behind.endpoint), ...more },
      { site: behind.sites[0], ...(userData && { userData }) },
    );
  const inMain = (more: object = {}, userData?: string): Promise<Started> =>
    launch({ host: { origins: [origin], validator: { ...trusted(), ...more } } }, userData);

  function sourceOf(outcome: Outcome): string {
    assert.ok("verdict" in outcome, JSON.stringify(outcome));
    return outcome.verdict.source;
  }

  test("the page decides, with the machine id from the main process", async () => {
    const [good, bound, canceled] = await Promise.all([
      behind.addMembership(),
      behind.addMembership({ metadata: { HWID: "another machine" } }),
      behind.addMembership({ status: "canceled", valid: false }),
    ]);
    const { app, page } = await launch();
    for (const [key, code] of [
      [good, "valid"],
      [good, "valid"],
      [bound, "metadata_mismatch"],
      [canceled, "inactive"],
      ["ELECTRON-UNKNOWN", "not_found"],
      ["", "invalid_argument"],
    ] as const) {
      assert.equal(codeOf(await call(page, "validate", trusted(), key)), code, key);
    }
    assert.deepEqual(await behind.metadataOf(good), { HWID: machine });
    assert.equal((await call(page, "machineId", trusted())).id, machine);
    assert.equal(
      codeOf(await call(page, "validate", trusted(), good, "other")),
      "metadata_mismatch",
    );
    await app.quit();
  });

  test("a page gets an error if it passes an option that the main process provides", async () => {
    const { app, page } = await launch();
    for (const option of ["wasm", "leases"]) {
      const outcome = await call(
        page,
        "validate",
        { ...trusted(), [option]: "local" } as never,
        "K",
      );
      assert.ok("error" in outcome);
      assert.equal(outcome.error.code, "invalid_argument");
      assert.match(outcome.error.message, new RegExp(option));
    }
    await app.quit();
  });

  test("a lease outlives the app, encrypted, and stands in when the gateway is gone", async () => {
    const passing = await startBehind();
    const { endpoint, publicKey, sites } = passing;
    const key = await passing.addMembership();
    const userData = temporaryFolder();
    const launch = (): Promise<Started> =>
      start(
        { host: { origins: [origin] }, policy: policy(endpoint) },
        { site: sites[0], userData },
      );
    const trusted = () => ({ endpoint, publicKey });
    const first = await launch();
    assert.equal(sourceOf(await call(first.page, "validate", trusted(), key)), "server");
    const file = readFileSync(join(userData, "whop-license-leases"), "latin1");
    assert.match(file, /^whop-license leases 1 encrypted\n/);
    assert.doesNotMatch(file, /eyJ/);
    assert.deepEqual(await call(first.page, "useStore"), [undefined, "a text", undefined]);
    await first.app.quit();
    assert.deepEqual(
      readdirSync(userData).filter((name) => name.endsWith(".tmp")),
      [],
    );
    await passing.servers.stop();
    const second = await launch();
    const once = { maxAttempts: 1 };
    const offline = await call(second.page, "validate", trusted(), key, undefined, once);
    assert.equal(sourceOf(offline), "lease");
    const other = await call(second.page, "validate", trusted(), "OTHER", undefined, once);
    assert.equal(codeOf(other), "unavailable");
    await second.app.quit();
    await passing.stop();
  });

  test("the main process decides, and tells the page only the verdict", async () => {
    const key = await behind.addMembership();
    const { app, page } = await inMain();
    const outcome = await call(page, "validateInMain", key);
    assert.equal(sourceOf(outcome), "server");
    await app.said(/^verdict valid from server$/m);
    assert.deepEqual(await behind.metadataOf(key), { HWID: machine });
    assert.equal(codeOf(await call(page, "validateInMain", "ELECTRON-UNKNOWN")), "not_found");
    await app.said(/^verdict not_found from server$/m);
    for (const [given, argument] of [
      [[key, "a machine id"], "hwid"],
      [[key, undefined, { endpoint: "https://evil.example" }], "options"],
      [[key, undefined, { timeoutMs: -1 }], "timeoutMs"],
      [[7], "licenseKey"],
      [[{}], "licenseKey"],
    ] as const) {
      const [licenseKey, ...rest] = given;
      const refused = await call(
        page,
        "validateInMain",
        licenseKey,
        ...(rest as [string?, object?]),
      );
      assert.ok("error" in refused);
      assert.equal(refused.error.code, "invalid_argument");
      assert.match(refused.error.message, new RegExp(argument));
    }
    await app.quit();
  });

  test("the main process decides for a window without the sandbox, too", async () => {
    const key = await behind.addMembership();
    const { app, page } = await launch({
      host: { origins: [origin], validator: trusted() },
      webPreferences: { sandbox: false },
    });
    assert.equal(codeOf(await call(page, "validateInMain", key)), "valid");
    assert.equal(codeOf(await call(page, "validateInMain", "ELECTRON-UNKNOWN")), "not_found");
    assert.equal(app.output().match(/a window of this app is not sandboxed/g)?.length, 1);
    const outcome = await call(page, "validate", trusted(), key);
    assert.equal(codeOf(outcome), "load_failed");
    assert.match(JSON.stringify(outcome), /set `sandbox: true`.*loadMainValidator/);
    await app.quit();
  });

  test("a page that may not decide gets no machine id, module or lease", async () => {
    const { app, page } = await launch({
      host: { origins: [origin], validator: trusted() },
      preloads: ["raw", "ours"],
    });
    const outcome = await call(page, "validate", trusted(), "K");
    assert.equal(codeOf(outcome), "load_failed");
    assert.match(JSON.stringify(outcome), /loadMainValidator/);
    for (const [channel, ...given] of [
      ["machine-id"],
      ["wasm"],
      ["store", "get", "whop-license:x"],
    ] as const) {
      const { value, error } = await raw(page, `whop-license:${channel}`, ...given);
      assert.equal(value, undefined);
      assert.equal(error?.code, "load_failed");
    }
    await app.quit();
  });

  test("without a validator, the main process does not decide", async () => {
    const { app, page } = await launch();
    const outcome = await call(page, "validateInMain", "K");
    assert.equal(codeOf(outcome), "load_failed");
    assert.match(JSON.stringify(outcome), /`validator`/);
    await app.quit();
  });

  test("a call to the main process can be aborted", async () => {
    const key = await behind.addMembership();
    await fetch(`${behind.servers.simulator}/sim/latency`, {
      method: "POST",
      body: JSON.stringify({ latency: "2s" }),
    });
    const { app, page } = await inMain();
    assert.equal(codeOf(await call(page, "validateAborted", key)), "aborted");
    await fetch(`${behind.servers.simulator}/sim/latency`, {
      method: "POST",
      body: JSON.stringify({ latency: "0s" }),
    });
    await app.quit();
  });

  test("a refusal in the background reaches the main process and the page", async () => {
    const key = await behind.addMembership();
    const { app, page } = await inMain({ revalidateAfterMs: 0 });
    assert.equal(sourceOf(await call(page, "validateInMain", key)), "server");
    await behind.change(key, { status: "canceled", valid: null });
    assert.equal(sourceOf(await call(page, "validateInMain", key)), "lease");
    await app.said(/^verdict inactive from server$/m);
    const changes = (): Promise<{ code: string }[]> =>
      page.evaluate(async () => (await import(String("/page.js"))).changes);
    while ((await changes()).length === 0);
    assert.equal((await changes())[0]?.code, "inactive");
    assert.equal(codeOf(await call(page, "validateInMain", key)), "inactive");
    await app.quit();
  });

  for (const [name, bundle] of Object.entries(bundlers)) {
    test(`your own preload, with ours in it, bundled by ${name}`, async () => {
      const key = await behind.addMembership();
      const { folder } = install();
      const entry = join(folder, "preload.js");
      writeFileSync(entry, 'import "whop-license/electron/preload";\n');
      await bundle(folder, entry, "raw-preload.cjs");
      const { app, page } = await start(
        { host: { origins: [origin] }, policy: policy(behind.endpoint), preloads: ["raw"] },
        { site: behind.sites[0], folder },
      );
      assert.equal(codeOf(await call(page, "validate", trusted(), key)), "valid");
      await app.quit();
    });
  }

  test("a preload that runs twice, and one that doesn't run", async () => {
    const key = await behind.addMembership();
    const twice = await launch({ preloads: ["ours", "ours"] });
    const said = complaints(twice.page);
    await twice.page.reload();
    assert.equal(codeOf(await call(twice.page, "validate", trusted(), key)), "valid");
    assert.deepEqual(said, []);
    await twice.app.quit();
    const never = await launch({ preloads: [] });
    await fails(never.page, /preload.*has not run.*preloadPath/);
    await never.app.quit();
  });

  test("an app without a host, and one that has disposed of it", async () => {
    const { app, page } = await launch({ host: null });
    await fails(page, /registerLicenseHost/);
    await app.quit();
    const disposed = await launch();
    process.kill(disposed.app.pid, "SIGUSR2");
    await disposed.app.said(/^disposed$/m);
    await fails(disposed.page, /registerLicenseHost/);
    await disposed.app.quit();
  });

  test("a policy without 'wasm-unsafe-eval' is a load_failed that says so", async () => {
    const strict = policy(behind.endpoint).replace(" 'wasm-unsafe-eval'", "");
    const { app, page } = await launch({ policy: strict });
    await fails(page, /wasm-unsafe-eval/);
    await app.quit();
  });

  for (const [reason, decidesInMain, more, words] of [
    ["its page isn't listed", true, { host: { origins: ["app://other"] } }, /not in `origins`/],
    ["it is unsafe", true, { webPreferences: { webSecurity: false } }, /set `webSecurity: true`/],
    ["it is unsafe, and its page decides", false, unsandboxed, /set `sandbox: true`/],
  ] as const) {
    test(`the gate of a window that is refused, as ${reason}, shows just that`, async () => {
      const host = { origins: [origin], ...("host" in more && more.host) };
      const { app, page } = await launch({
        ...more,
        host: decidesInMain ? { ...host, validator: trusted() } : host,
      });
      const key = "ELECTRON-REFUSED";
      const outcome = decidesInMain
        ? await call(page, "validateInMain", key)
        : await call(page, "validate", trusted(), key);
      assert.ok("error" in outcome);
      assert.match(outcome.error.message, words);
      await call(page, "addGate", ...(decidesInMain ? [] : [trusted()]));
      await page.getByRole("textbox", { name: "License key" }).fill(key);
      await page.keyboard.press("Enter");
      const message = page.locator("whop-license-gate [part=message]");
      await message.waitFor();
      assert.equal(await message.innerText(), outcome.error.message);
      const gate = await page.locator("whop-license-gate").ariaSnapshot();
      assert.doesNotMatch(gate, /browser|extensions/);
      await app.quit();
    });
  }

  async function fails(page: Page, message: RegExp): Promise<void> {
    const outcome = await call(page, "validate", trusted(), "K");
    assert.equal(codeOf(outcome), "load_failed");
    assert.match(JSON.stringify(outcome), message);
  }
});
