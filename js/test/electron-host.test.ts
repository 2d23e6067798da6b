// The license host of an Electron app's main process: its options, its
// senders, and its end. Electron itself is a few fakes here; the browser tests
// run the host with real frames and origins.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Electron, hostFactory, type LicenseHostOptions } from "../dist/electron/host.js";
import { createSidecar } from "../dist/sidecar/index.js";
import { no, says, startLeaseServer, TestStore } from "./helpers/lease-server.js";
import {
  KEY,
  packageFolder,
  rejects,
  revokedProxy,
  serve,
  temporaryFolder,
} from "./helpers/support.js";

type Handler = (event: unknown, ...given: unknown[]) => Promise<Reply>;
interface Reply {
  value?: unknown;
  error?: { code: string; message: string; argument?: string; clock?: string };
}

/** The parts of Electron that a host uses, and what it has registered there. */
function fakeElectron() {
  const handlers = new Map<string, Handler>();
  const quitting: ((event: object) => void)[] = [];
  const state = {
    ready: true,
    created: [] as ((event: object, contents: object) => void)[],
  };
  const userData = temporaryFolder();
  const electron = {
    app: {
      getAppPath: () => "/apps/my-app",
      getPath: () => userData,
      isReady: () => state.ready,
      on: (event: string, listener: (event: object, contents?: object) => void) =>
        event === "will-quit" ? quitting.push(listener) : state.created.push(listener),
      off: (_event: string, listener: () => void) =>
        quitting.splice(quitting.indexOf(listener), quitting.includes(listener) ? 1 : 0),
    },
    ipcMain: {
      handle(channel: string, handler: Handler) {
        if (handlers.has(channel)) throw new Error("Attempted to register a second handler");
        handlers.set(channel, handler);
      },
      removeHandler: (channel: string) => handlers.delete(channel),
    },
    safeStorage: {
      isEncryptionAvailable: () => false,
      encryptString: () => Buffer.alloc(0),
      decryptString: () => "",
    },
    net: { fetch: (url: string, init: RequestInit) => fetch(url, init) },
  };
  return { electron: electron as unknown as Electron, handlers, quitting, state };
}

const packaged = {
  preload: "/apps/my-app/preload.cjs",
  wasm: () => pathToFileURL(join(packageFolder, "dist/whop-license.wasm")),
  createSidecar: () => createSidecar(),
};

const origins = ["app://my-app"];

function register(options: LicenseHostOptions) {
  const { electron, handlers, quitting, state } = fakeElectron();
  const host = hostFactory(electron, packaged)(options);
  const ask = (event: unknown, channel: string, ...given: unknown[]): Promise<Reply> =>
    (handlers.get(`whop-license:${channel}`) as Handler)(event, ...given);
  return { host, handlers, quitting, state, ask };
}

const frame = (more: object = {}) => ({
  ...{ url: "app://my-app/index.html", origin: "app://my-app", parent: null },
  ...{ processId: 1, routingId: 1, isDestroyed: () => false, ...more },
});

function event(sender: object = {}, senderFrame: unknown = frame()): unknown {
  return {
    senderFrame,
    sender: { id: 1, mainFrame: senderFrame, opener: null, hostWebContents: null, ...sender },
  };
}

const unknownKey = '{"error":{"code":"not_found","message":"No"}}';

test("invalid options are refused by name", () => {
  const { electron, handlers } = fakeElectron();
  const register = hostFactory(electron, packaged);
  for (const [options, argument] of [
    [undefined, "origins"],
    [{}, "origins"],
    [{ origins: [] }, "origins"],
    [revokedProxy(), "options"],
    [{ origins, unknown: 1 }, "options"],
    [{ origins, machineId: "x" }, "options"],
    [{ origins, machineId: { scheme: "app-scoped", id: "x" } }, "options"],
    [{ origins, wasm: "relative.wasm" }, "wasm"],
    [{ origins, wasm: new Uint8Array() }, "wasm"],
    [{ origins, leases: {} }, "leases"],
    [{ origins, leases: "local" }, "leases"],
    [{ origins, leases: "memory" }, "leases"],
    [{ origins, validator: null }, "options"],
    [{ origins, validator: { endpoint: "https://x", wasm: "y" } }, "options"],
    [{ origins, validator: { endpoint: "https://x" }, onVerdict: 1 }, "onVerdict"],
    [{ origins, validator: { endpoint: "https://x", publicKey: undefined } }, "publicKey"],
  ] as const) {
    assert.throws(
      () => register(options as never),
      (thrown: Error & { code?: string }) =>
        thrown.code === "invalid_argument" && thrown.message.startsWith(`${argument}: `),
      argument,
    );
    assert.equal(handlers.size, 0);
  }
});

test("a main frame of a listed origin is answered", async () => {
  const { host, ask } = register({ origins });
  for (const sender of [
    event(),
    event({ getLastWebPreferences: () => ({ contextIsolation: true, sandbox: true }) }),
    // The same frame as another object.
    event({ mainFrame: frame() }),
  ]) {
    const { value, error } = await ask(sender, "machine-id");
    assert.equal(error, undefined);
    assert.match((value as { id: string }).id, /^[0-9a-f]{64}$/);
  }
  const { value } = await ask(event(), "wasm");
  assert.deepEqual(value, new Uint8Array(readFileSync(packaged.wasm())));
  host.dispose();
});

test("every other sender is refused, whatever it requests", async () => {
  const { host, handlers, ask } = register({ origins });
  const gone = {
    get senderFrame(): never {
      throw new Error("Render frame was disposed");
    },
  };
  for (const [sender, because] of [
    [event({}, null), /gone/],
    [gone, /gone/],
    [{}, /gone/],
    [event({}, frame({ parent: frame() })), /embedded/],
    [event({ mainFrame: frame({ routingId: 2 }) }), /embedded/],
    [event({ mainFrame: frame({ processId: 2 }) }), /embedded/],
    [event({ mainFrame: {} }, frame({ processId: undefined, routingId: undefined })), /embedded/],
    [event({ hostWebContents: {} }), /embedded/],
    [
      event({}, frame({ url: "https://evil.example/", origin: "https://evil.example" })),
      /its origin https:\/\/evil\.example is not in `origins` \(app:\/\/my-app\)/,
    ],
    [event({}, frame({ origin: "null" })), /origin/],
    [event({}, frame({ url: "about:blank" })), /origin/],
    [event({ opener: frame() }), /opened by a page/],
    ...(
      [
        [{ contextIsolation: false }, /contextIsolation: true/],
        [{ nodeIntegration: true }, /nodeIntegration: false/],
        [{ sandbox: false }, /sandbox: true/],
        [{ webSecurity: false }, /webSecurity: true/],
      ] as const
    ).map(([given, because]) => [event({ getLastWebPreferences: () => given }), because] as const),
  ] as const) {
    for (const channel of handlers.keys()) {
      const { value, error } = await (handlers.get(channel) as Handler)(sender, 1, 2, 3);
      assert.equal(value, undefined);
      assert.equal(error?.code, "load_failed");
      assert.match(error.message, because);
    }
  }
  assert.equal((await ask(event(), "machine-id")).error, undefined);
  host.dispose();
});

test("a window that a page has opened is refused even without an opener", async () => {
  const { host, state, ask } = register({ origins });
  const page = new EventEmitter();
  for (const listener of state.created) listener({}, page);
  const opened = event() as { sender: object };
  assert.equal((await ask(opened, "machine-id")).error, undefined);
  page.emit("did-create-window", { webContents: opened.sender });
  assert.match((await ask(opened, "machine-id")).error?.message ?? "", /opened by a page/);
  assert.equal((await ask(event(), "machine-id")).error, undefined);
  host.dispose();
});

test("if the main process decides, an unsandboxed window gets answers, with one warning", async (t) => {
  const endpoint = await serve((_, response) => response.writeHead(404).end(unknownKey));
  const { host, ask } = register({ origins, validator: { endpoint } });
  const warned = t.mock.method(console, "warn", () => {});
  const unsandboxed = { getLastWebPreferences: () => ({ sandbox: false }) };
  for (const check of [1, 2]) {
    const { value, error } = await ask(event(unsandboxed), "validate", check, KEY, undefined);
    assert.equal(error, undefined);
    assert.equal((value as { code: string }).code, "not_found");
  }
  assert.equal(warned.mock.callCount(), 1);
  assert.match(String(warned.mock.calls[0]?.arguments[0]), /sandbox: true/);
  assert.equal((await ask(event(unsandboxed), "machine-id")).error?.code, "load_failed");
  for (const unsafe of [{ contextIsolation: false }, { nodeIntegration: true }]) {
    const sender = event({ getLastWebPreferences: () => ({ sandbox: false, ...unsafe }) });
    const { error } = await ask(sender, "validate", 1, KEY, undefined);
    assert.match(error?.message ?? "", /not safe/);
  }
  host.dispose();
});

test("only our own preload is logged if it can't be loaded", (t) => {
  const { host, state } = register({ origins });
  const logged = t.mock.method(console, "error", () => {});
  const page = new EventEmitter();
  for (const listener of state.created) listener({}, page);
  page.emit("preload-error", {}, "/apps/my-app/other.cjs", new Error("ENOENT"));
  assert.equal(logged.mock.callCount(), 0);
  page.emit("preload-error", {}, packaged.preload, new Error("ENOENT: no such file"));
  const [message] = logged.mock.calls[0]?.arguments ?? [];
  assert.match(String(message), /preload\.cjs can't be loaded: ENOENT.*node_modules\/whop-license/);
  host.dispose();
});

test("a page that closes while it is being answered", async () => {
  const { host, ask } = register({ origins });
  const senderFrame = frame();
  const answer = ask(event({}, senderFrame), "machine-id");
  senderFrame.url = "https://evil.example/";
  assert.equal((await answer).error, undefined);
  const after = await ask(event({}, senderFrame), "machine-id");
  assert.match(after.error?.message ?? "", /origin/);
  host.dispose();
});

test("there is only one host at a time", async () => {
  const { electron, handlers, quitting } = fakeElectron();
  const register = hostFactory(electron, packaged);
  const first = register({ origins });
  assert.throws(() => register({ origins }), { code: "invalid_argument", message: /dispose/ });
  assert.equal(quitting.length, 1);
  first.dispose();
  first.dispose();
  assert.deepEqual([handlers.size, quitting.length], [0, 0]);
  const second = register({ origins });
  first.dispose();
  const ask = handlers.get("whop-license:machine-id") as Handler;
  assert.equal((await ask(event())).error, undefined);
  for (const quit of [...quitting]) quit({});
  assert.equal(handlers.size, 0);
  assert.equal((await ask(event())).error?.code, "aborted");
  second.dispose();
});

test("the machine id is made as the host's options say", async () => {
  const { host, ask } = register({ origins, machineId: { scheme: "app-scoped", appId: "a" } });
  const { value } = await ask(event(), "machine-id");
  assert.equal((value as { scheme: string }).scheme, "app-scoped");
  host.dispose();
  const wrong = register({ origins, machineId: { scheme: "app-scoped" } });
  assert.equal((await wrong.ask(event(), "machine-id")).error?.code, "invalid_argument");
  wrong.host.dispose();
});

test("a store that throws anything is a failure that can be sent to the page", async () => {
  const { host, ask } = register({
    origins,
    leases: {
      get: () => Promise.reject(new Error("disk")),
      set: () => {
        throw new Error("disk");
      },
      remove: () => undefined,
    },
  });
  for (const given of [
    ["get", "whop-license:x"],
    ["set", "whop-license:x", "y"],
  ]) {
    const { error } = await ask(event(), "store", ...given);
    assert.deepEqual(
      [error?.code, error?.message],
      ["load_failed", "The license host failed: disk"],
    );
  }
  assert.deepEqual(await ask(event(), "store", "remove", "whop-license:x"), { value: undefined });
  host.dispose();
});

test("too many calls at once are refused until some are answered", async () => {
  let release = () => {};
  const released = new Promise<void>((done) => {
    release = done;
  });
  const { host, ask } = register({
    origins,
    leases: { get: () => released.then(() => "text"), set: () => {}, remove: () => {} },
  });
  const waiting = Array.from({ length: 200 }, () => ask(event(), "store", "get", "whop-license:x"));
  const { error } = await ask(event(), "store", "get", "whop-license:x");
  assert.equal(error?.code, "rate_limited");
  assert.deepEqual(await ask(event(), "abort", 1), { value: undefined }, "that makes room");
  release();
  for (const answer of await Promise.all(waiting)) assert.deepEqual(answer, { value: "text" });
  assert.equal((await ask(event(), "store", "get", "whop-license:x")).error, undefined);
  host.dispose();
});

test("a host without a validator decides nothing", async () => {
  const { host } = register({ origins });
  await rejects(host.validateLicense("K"), "load_failed", /`validator`/);
  host.dispose();
});

test("the main process can't ask before the app is ready", async () => {
  const { host, state } = register({ origins, validator: { endpoint: "http://127.0.0.1:9" } });
  state.ready = false;
  await rejects(host.validateLicense("K"), "load_failed", /whenReady/);
  host.dispose();
});

test("the main process can check, and is told every verdict", async () => {
  const bodies: string[] = [];
  const endpoint = await serve(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    bodies.push(body);
    const known = request.url?.includes("KNOWN");
    response.writeHead(known ? 201 : 404).end(known ? '{"valid":true,"id":"mem_1"}' : unknownKey);
  });
  const verdicts: string[] = [];
  const { host, ask } = register({
    origins,
    validator: { endpoint },
    onVerdict: ({ code }) => verdicts.push(code),
  });
  const { id } = await packaged.createSidecar().machineId();
  assert.equal((await host.validateLicense("KNOWN")).code, "valid");
  assert.equal((await host.validateLicense("other", { timeoutMs: 10_000 })).code, "not_found");
  assert.deepEqual(JSON.parse(bodies[0] as string), { metadata: { HWID: id } });
  assert.equal((await ask(event(), "validate", 1, "KNOWN", undefined)).error, undefined);
  assert.deepEqual(verdicts, ["valid", "not_found", "valid"]);
  await rejects(host.validateLicense(""), "invalid_argument", /licenseKey/);
  await rejects(host.validateLicense("K", { endpoint } as object), "invalid_argument", /endpoint/);
  await rejects(host.validateLicense("K", { signal: AbortSignal.abort() }), "aborted");
  assert.equal(verdicts.length, 3);
  host.dispose();
});

test("requests are made with Electron's net.fetch, and a redirect is not a lost connection", async (t) => {
  const { electron } = fakeElectron();
  const nodeFetch = fetch;
  const unexpected = t.mock.method(globalThis, "fetch");
  const asked: [url: string, init: RequestInit][] = [];
  const net = {
    // Like Electron's, which rejects if a redirect must not be followed.
    async fetch(url: string, init: RequestInit): Promise<Response> {
      asked.push([url, init]);
      assert.equal(this, net);
      const response = await nodeFetch(url, init);
      if (response.status === 302) throw new Error(`Redirect was ${"cancel"}led`); // Electron's own spelling
      return response;
    },
  };
  const endpoint = await serve((request, response) => {
    const found = request.url?.includes("MOVED");
    response.writeHead(found ? 302 : 404, found ? { Location: "/" } : {}).end(unknownKey);
  });
  const parts = { ...electron, net: net as unknown as Electron["net"] };
  const host = hostFactory(parts, packaged)({ origins, validator: { endpoint } });
  assert.equal((await host.validateLicense("KEY")).code, "not_found");
  assert.match(asked[0]?.[0] ?? "", /\/KEY\/validate_license$/);
  assert.equal(asked[0]?.[1].redirect, "manual");
  await rejects(host.validateLicense("MOVED"), "bad_response", /redirect/);
  assert.equal(asked.length, 2);
  assert.equal(unexpected.mock.callCount(), 0);
  host.dispose();
});

test("a refusal in the background reaches the pages that are still there", async () => {
  const server = await startLeaseServer();
  const { endpoint, publicKey } = server;
  let refused = () => {};
  const heard = new Promise<void>((done) => {
    refused = done;
  });
  const { host, ask } = register({
    origins,
    leases: new TestStore(),
    validator: { endpoint, publicKey, revalidateAfterMs: 0 },
    onVerdict: ({ code }) => code === "inactive" && refused(),
  });
  const sent: string[] = [];
  const page = (name: string, more: object = {}) => {
    const found = frame({ send: () => sent.push(name), ...more });
    return event({}, found);
  };
  const moved = frame({ send: () => sent.push("moved") });
  const gone = frame();
  const pages = [page("stays"), event({}, moved), event({}, gone)];
  for (const [call, sender] of pages.entries()) {
    assert.equal(
      (await ask(sender, "validate", call, `${KEY}-${call}`, undefined)).error,
      undefined,
    );
  }
  moved.url = "https://evil.example/";
  Object.defineProperty(gone, "url", {
    get() {
      throw new Error("Render frame was disposed");
    },
  });
  server.answer = no("license_inactive");
  const { value } = await ask(pages[0], "validate", 9, `${KEY}-0`, undefined);
  assert.equal((value as { source: string }).source, "lease");
  await heard;
  assert.deepEqual(sent, ["stays"]);
  host.dispose();
});

test("a refusal in the background reaches nobody after the host is disposed of", async () => {
  const server = await startLeaseServer();
  const { endpoint, publicKey } = server;
  const store = new TestStore();
  let forgotten = () => {};
  const removed = new Promise<void>((done) => {
    forgotten = done;
  });
  const heard: string[] = [];
  const { host } = register({
    origins,
    leases: {
      get: (name) => store.get(name),
      set: (name, text) => store.set(name, text),
      remove: () => forgotten(),
    },
    validator: { endpoint, publicKey, revalidateAfterMs: 0 },
    onVerdict: ({ code }) => heard.push(code),
  });
  await host.validateLicense(KEY);
  let refuse = () => {};
  server.answer = (response, asked) => {
    refuse = () => void no("license_inactive")(response, asked, server);
    reached();
  };
  let reached = () => {};
  const asking = new Promise<void>((done) => {
    reached = done;
  });
  await host.validateLicense(KEY);
  await asking;
  host.dispose();
  refuse();
  await removed;
  // Listeners are called before any other event.
  await new Promise((done) => setImmediate(done));
  assert.deepEqual(heard, ["valid", "valid"]);
});

test("an error tells a page the wrong argument or the wrong clock", async (t) => {
  const server = await startLeaseServer();
  const { endpoint, publicKey } = server;
  const { host, ask } = register({
    origins,
    leases: new TestStore(),
    validator: { endpoint, publicKey },
  });
  const empty = await ask(event(), "validate", 1, "", undefined);
  assert.deepEqual([empty.error?.code, empty.error?.argument], ["invalid_argument", "licenseKey"]);
  assert.equal((await ask(event(), "validate", 2, KEY, undefined)).error, undefined);
  const now = Date.now;
  t.mock.method(Date, "now", () => now() - 24 * 3_600_000);
  // An answer that is not a verdict.
  server.answer = says(404, { message: "Application not found" });
  const { error } = await ask(event(), "validate", 3, KEY, undefined);
  assert.equal(error?.code, "bad_response");
  assert.match(error?.clock ?? "", /clock/);
  host.dispose();
});

test("a page's call ends when it is aborted, or when the host is disposed of", async () => {
  let asked = () => {};
  const endpoint = await serve(() => asked());
  const { host, ask } = register({ origins, validator: { endpoint } });
  for (const [end, from] of [
    [() => ask(event(), "abort", 7), 7],
    [() => host.dispose(), 8],
  ] as const) {
    const reached = new Promise<void>((done) => {
      asked = done;
    });
    const answer = ask(event(), "validate", from, "KEY", undefined);
    await Promise.race([reached, answer]);
    assert.match(
      (await ask(event(), "validate", from, "KEY", undefined)).error?.message ?? "",
      /already running/,
    );
    end();
    assert.equal((await answer).error?.code, "aborted");
  }
});

test("a page of an older Electron, whose frames have no isDestroyed", async () => {
  const endpoint = await serve((_, response) => void response.writeHead(404).end(unknownKey));
  const { host, ask } = register({ origins, validator: { endpoint } });
  const old = () => event({}, frame({ isDestroyed: undefined }));
  for (const call of [1, 2, 2, 3]) {
    const { value, error } = await ask(old(), "validate", call, "KEY", undefined);
    assert.equal((value as { code: string } | undefined)?.code, "not_found", error?.message);
  }
  host.dispose();
});

test("a page for which the main process decides learns neither the machine's id nor a lease", async () => {
  const server = await startLeaseServer();
  const { endpoint, publicKey } = server;
  server.answer = async (response, asked) => {
    const lease = await server.sign(asked);
    const { metadata } = asked;
    response
      .writeHead(201)
      .end(JSON.stringify({ valid: true, id: "mem_1", product: "prod_1", metadata, lease }));
  };
  const heard: object[] = [];
  const { host, ask } = register({
    origins,
    validator: { endpoint, publicKey },
    onVerdict: (verdict) => heard.push(verdict),
  });
  const { value } = await ask(event(), "validate", 1, KEY, undefined);
  const { id } = await packaged.createSidecar().machineId();
  assert.match(JSON.stringify(value), /"valid":true.*"mem_1"/);
  assert.doesNotMatch(JSON.stringify(value), new RegExp(`${id}|"lease":"|metadata`));
  assert.match(JSON.stringify(heard), new RegExp(id), "the main process does");
  host.dispose();
});

test("a lease that one window has removed is not brought back by another", async () => {
  const { host, ask } = register({ origins });
  const store = (...asked: string[]) => ask(event(), "store", ...asked);
  const name = "whop-license:x";
  const text = '{"lease":"a.b.c","lastSeen":1}';
  await store("set", name, text);
  await store("remove", name);
  await store("set", name, text);
  assert.deepEqual(await store("get", name), { value: undefined });
  await store("set", name, '{"lease":"d.e.f","lastSeen":1}');
  assert.match(JSON.stringify(await store("get", name)), /d\.e\.f/);
  // A license key is not a lease, so the same one may be stored again.
  for (const change of [["set", "KEY"], ["remove"], ["set", "KEY"]]) {
    await store(change[0] as string, "whop-license-key:x", ...change.slice(1));
  }
  assert.deepEqual(await store("get", "whop-license-key:x"), { value: "KEY" });
  host.dispose();
});

test("a machine id that never arrives takes no longer than the call's timeout", async () => {
  const { electron } = fakeElectron();
  const hanging = { machineId: () => new Promise<never>(() => {}), close: () => {} };
  const host = hostFactory(electron, { ...packaged, createSidecar: () => hanging as never })({
    origins,
    validator: { endpoint: "http://127.0.0.1:9" },
  });
  await rejects(host.validateLicense(KEY, { signal: AbortSignal.abort() }), "aborted");
  await rejects(host.validateLicense(KEY, { timeoutMs: 1 }), "timeout");
  const controller = new AbortController();
  const call = host.validateLicense(KEY, { signal: controller.signal });
  controller.abort();
  await rejects(call, "aborted");
  host.dispose();
});

test("a window can't abort another window's call", async () => {
  let reached = () => {};
  let finish = () => {};
  const asked = new Promise<void>((done) => {
    reached = done;
  });
  const endpoint = await serve((_, response) => {
    finish = () => void response.writeHead(201).end('{"valid":true}');
    reached();
  });
  const { host, ask } = register({ origins, validator: { endpoint } });
  const answer = ask(event(), "validate", 7, "KEY", undefined);
  await Promise.race([asked, answer]);
  assert.deepEqual(await ask(event({ id: 2 }), "abort", 7), { value: undefined });
  finish();
  assert.equal((await answer).error, undefined);
  host.dispose();
});

test("your own module is not compared", async () => {
  const wasm = join(packageFolder, "package.json");
  const { host, ask } = register({ origins, wasm });
  assert.deepEqual((await ask(event(), "wasm")).value, new Uint8Array(readFileSync(wasm)));
  host.dispose();
  const missing = register({ origins, wasm: join(packageFolder, "nowhere.wasm") });
  assert.equal((await missing.ask(event(), "wasm")).error?.code, "load_failed");
  missing.host.dispose();
});

test("both entry points, and what they do outside of Electron", () => {
  const script = (load: string) => `
    import Module, { createRequire, register } from "node:module";
    const electron = { app: { getPath: () => "/x" }, ipcMain: undefined };
    const load = Module._load;
    Module._load = (name, ...rest) => (name === "electron" ? electron : load(name, ...rest));
    const hooks = 'export const resolve = (name, context, next) => name === "electron" ' +
      '? { url: "data:text/javascript,export const app = 1, ipcMain = undefined", shortCircuit: true } ' +
      ': next(name, context)';
    register("data:text/javascript," + encodeURIComponent(hooks));
    const require = createRequire(import.meta.url);
    const main = ${load};
    const { existsSync } = await import("node:fs");
    let code;
    try { main.registerLicenseHost({ origins: ["app://x"] }); } catch (error) { code = error.code; }
    console.log(existsSync(main.preloadPath), typeof main.createFileLeases, code);
  `;
  for (const load of ["await import", "require"]) {
    const run = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", script(`${load}("whop-license/electron/main")`)],
      { cwd: packageFolder, encoding: "utf8" },
    );
    assert.equal(run.stdout, "true function load_failed\n", run.stderr);
  }
});

test("the preload imports nothing but Electron", () => {
  const code = readFileSync(join(packageFolder, "dist/cjs/electron/preload.cjs"), "utf8");
  const required = [...code.matchAll(/\brequire\(([^)]*)\)/g)].map(([, name]) => name);
  assert.deepEqual(required, ['"electron"']);
  assert.doesNotMatch(code, /\bimport\b\s*[({"]/);
});
