// Loading: what may be loaded, what is shared, and why a load fails.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { LicenseError, type LoadOptions, loadValidator } from "whop-license";
import { packageFolder, rejects, revokedProxy, serve, temporaryFolder } from "./helpers/support.js";

const endpoint = "https://license.example.com";
const wasmPath = join(packageFolder, "dist/whop-license.wasm");
const bytes = readFileSync(wasmPath);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
const folder = temporaryFolder();

const hits = new Map<string, number>();

const site = await serve((request, response) => {
  const url = request.url ?? "";
  const path = url.replace(/\?.*/, "");
  hits.set(url, (hits.get(url) ?? 0) + 1);
  const send = (type: string, body: Uint8Array | string, status = 200) =>
    response.writeHead(status, { "content-type": type }).end(body);
  switch (path) {
    case "/module.wasm":
      return send("application/wasm", bytes);
    case "/parameter.wasm":
      return send("application/wasm; charset=utf-8", bytes);
    case "/octets.wasm":
      return send("application/octet-stream", bytes);
    case "/fallback.wasm":
      return send("text/html; charset=utf-8", "\n <!doctype html><title>Home</title>");
    case "/fallback-typed.wasm":
      return send("application/wasm", "<!doctype html><title>Home</title>");
    case "/cut.wasm":
      return send("application/octet-stream", bytes.subarray(0, 100_000));
    case "/empty.wasm":
      return send("application/octet-stream", "");
    case "/broken.wasm":
      response.writeHead(200, { "content-length": bytes.length });
      response.write(bytes.subarray(0, 1000), () => response.destroy());
      return;
    case "/broken-typed.wasm":
      response.writeHead(200, { "content-type": "application/wasm" });
      response.write(bytes.subarray(0, 1000), () => response.destroy());
      return;
    case "/flaky.wasm":
      return hits.get(url) === 1
        ? send("text/plain", "busy", 503)
        : send("application/wasm", bytes);
    default:
      return send("text/plain", "no such file", 404);
  }
});

test("every kind of source", async (t) => {
  const fetched = () => fetch(`${site}/module.wasm`);
  const twice = Buffer.concat([bytes, bytes]);
  const sources: [string, LoadOptions["wasm"]][] = [
    ["the default", undefined],
    ["a file URL", pathToFileURL(wasmPath)],
    ["a file URL as a string", pathToFileURL(wasmPath).href],
    ["a URL", new URL(`${site}/module.wasm`)],
    ["a URL as a string", `${site}/module.wasm?string`],
    ["a type with a parameter", `${site}/parameter.wasm`],
    ["another type", `${site}/octets.wasm`],
    ["a Response", await fetched()],
    ["a promise of a Response", fetched()],
    ["an ArrayBuffer", buffer],
    ["a Buffer", bytes],
    [
      "a view in the middle",
      new Uint8Array(twice.buffer, twice.byteOffset + bytes.length, bytes.length),
    ],
    ["a DataView", new DataView(buffer)],
    ["a module", await WebAssembly.compile(buffer)],
  ];
  for (const [name, wasm] of sources) {
    await t.test(name, async () => {
      const validator = await loadValidator({ endpoint, wasm });
      await rejects(validator.validateLicense(""), "invalid_argument", /^licenseKey: /);
      assert.match(validator.version, /^\d+\.\d+\.\d+/);
    });
  }
});

test("one load is shared, even by later callers", async () => {
  const wasm = `${site}/module.wasm?shared`;
  const loads = Array.from({ length: 20 }, () => loadValidator({ endpoint, wasm }));
  const validators = new Set(await Promise.all(loads));
  validators.add(await loadValidator({ endpoint, wasm: new URL(wasm) }));
  assert.equal(validators.size, 1);

  // Another endpoint is another validator of the same module.
  const other = await loadValidator({ endpoint: `${endpoint}/other`, wasm });
  assert.ok(!validators.has(other));
  assert.equal(hits.get("/module.wasm?shared"), 1);

  const response = await fetch(`${site}/module.wasm?response`);
  const [first, second] = await Promise.all([
    loadValidator({ endpoint, wasm: response }),
    loadValidator({ endpoint, wasm: response }),
  ]);
  assert.equal(first, second);
});

test("loads with the same settings share a validator, and others don't", async () => {
  const alone = (await loadValidator({ endpoint })) as object;
  const load = (settings: Partial<LoadOptions>) =>
    loadValidator({ endpoint, publicKey, ...settings });
  const all = new Set([alone]);
  const store = { get: () => null, set() {}, remove() {} };
  const settings: Partial<LoadOptions>[] = [
    ...[{}, { publicKey: [publicKey] }, { issuer: "x" }, { audience: "x" }],
    ...[{ revalidateAfterMs: 0 }, { revalidateAfterMs: 1 }],
  ];
  for (const [i, each] of settings.entries()) {
    const validator = await load(each);
    assert.equal(await load({ ...each }), validator);
    all.add(validator);
    assert.equal(all.size, i + 2, JSON.stringify(each));
  }
  for (const own of [{ leases: store }, { revalidateAfterMs: 0, onChange() {} }]) {
    assert.notEqual(await load(own), await load(own));
  }
  assert.equal(await loadValidator({ endpoint }), alone);
});

test("a list of keys that is changed after the load", async () => {
  const keys = [publicKey];
  const load = loadValidator({ endpoint, publicKey: keys });
  keys[0] = "";
  await load;
});

test("a failed load is forgotten", async () => {
  const wasm = `${site}/flaky.wasm`;
  const failed = [loadValidator({ endpoint, wasm }), loadValidator({ endpoint, wasm })];
  for (const load of failed) {
    const error = await rejects(load, "load_failed", /HTTP status 503/);
    assert.equal(error.status, 503);
    assert.equal(error.retryable, true);
  }
  await loadValidator({ endpoint, wasm });
  assert.equal(hits.get("/flaky.wasm"), 2);
});

test("a load that failed because of the network can be tried again", async () => {
  for (const wasm of [
    `${site}/broken.wasm`,
    `${site}/broken-typed.wasm`,
    "http://127.0.0.1:9/x.wasm",
  ]) {
    const error = await rejects(loadValidator({ endpoint, wasm }), "load_failed", /be fetched/);
    assert.equal(error.retryable, true, error.message);
  }
  const wasm = `${site}/fallback-typed.wasm`;
  assert.equal((await rejects(loadValidator({ endpoint, wasm }), "load_failed")).retryable, false);
});

test("a load while no more files can be opened", {
  skip: process.platform === "win32",
}, async () => {
  const script = `
    import { closeSync, openSync } from "node:fs";
    import { loadValidator } from "whop-license";
    const files = [];
    try {
      for (;;) files.push(openSync("package.json"));
    } catch {}
    const load = () => loadValidator({ endpoint: "https://license.example.com" });
    const { code, retryable, message } = await load().catch((error) => error);
    for (const file of files) closeSync(file);
    await load();
    console.log(code, retryable, /EMFILE.* Try again/.test(message));`;
  const args = ["-c", 'ulimit -n 100; exec "$0" --input-type=module -e "$1"', process.execPath];
  const options = { cwd: packageFolder, timeout: 60_000 };
  const { stdout } = await promisify(execFile)("sh", [...args, script], options);
  assert.equal(stdout, "load_failed true true\n");
});

test("one caller's abort doesn't affect the others", async () => {
  const wasm = `${site}/module.wasm?abort`;
  const controller = new AbortController();
  const reason = new Error("changed my mind");
  const impatient = loadValidator({ endpoint, wasm, signal: controller.signal });
  const patient = loadValidator({ endpoint, wasm, signal: new AbortController().signal });
  controller.abort(reason);
  assert.equal((await rejects(impatient, "aborted")).cause, reason);
  await patient;
  await rejects(loadValidator({ endpoint, wasm, signal: controller.signal }), "aborted");

  const { signal } = new AbortController();
  const absent = `${site}/absent.wasm?signal`;
  await rejects(loadValidator({ endpoint, wasm: absent, signal }), "load_failed", /404/);
});

test("why a load fails", async (t) => {
  const misnamed = join(folder, "page.wasm");
  writeFileSync(misnamed, "<html>");
  const file = (name: string) => pathToFileURL(join(folder, name));
  const offline = Promise.reject(new Error("offline"));
  offline.catch(() => {});
  const nothing = Promise.reject(Object.create(null));
  nothing.catch(() => {});
  const noise = new Uint8Array(100).fill(7);
  const otherModule = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const cases: [string, LoadOptions["wasm"], RegExp][] = [
    ["a missing file", file("absent.wasm"), /can't be read.*ENOENT/],
    ["a folder", pathToFileURL(folder), /can't be read.*EISDIR/],
    ["a page in a file", file("page.wasm"), /an HTML page/],
    ["HTTP status 404", `${site}/absent.wasm?token=secret`, /absent\.wasm\): HTTP status 404/],
    ["a fall-back page", `${site}/fallback.wasm`, /an HTML page.*text\/html/],
    ["a fall-back page of the right type", `${site}/fallback-typed.wasm`, /can't be compiled/],
    ["a module that is cut off", `${site}/cut.wasm`, /can't be compiled.*cut off/],
    ["a connection that is lost", `${site}/broken.wasm`, /could not be fetched/],
    ["nothing", `${site}/empty.wasm`, /0 bytes of something else/],
    [
      "nobody listens",
      "http://127.0.0.1:9/x.wasm",
      /could not be fetched.*Content Security Policy/,
    ],
    [
      "an address with a password",
      "http://user:secret@127.0.0.1:9/x.wasm?token=secret",
      /could not be fetched \(http:\/\/127/,
    ],
    ["a promise that rejects with what has no text", nothing, /could not be fetched/],
    ["a promise that rejects", offline, /could not be fetched.*offline/],
    ["a used Response", await used(), /could not be fetched/],
    ["other bytes", noise, /100 bytes of something else/],
    ["another module", otherModule, /not that of whop-license/],
  ];
  for (const [name, wasm, message] of cases) {
    await t.test(name, async () => {
      const error = await rejects(
        loadValidator({ endpoint, wasm: wasm as string }),
        "load_failed",
        message,
      );
      assert.ok(error instanceof LicenseError);
      assert.ok(!error.message.includes("secret"));
    });
  }

  async function used(): Promise<Response> {
    const response = await fetch(`${site}/octets.wasm?used`);
    await response.arrayBuffer();
    return response;
  }
});

// The messages of Chromium, Firefox and Safari.
for (const [name, message] of [
  [
    "CompileError",
    "WebAssembly.compile(): Compiling or instantiating WebAssembly module violates the following Content Security policy directive because neither 'wasm-eval' nor 'unsafe-eval' is an allowed source of script",
  ],
  ["CompileError", "WebAssembly.compile(): Wasm code generation disallowed by embedder"],
  ["CompileError", "call to WebAssembly.compile() blocked by CSP"],
  ["EvalError", "Refused to create a WebAssembly object"],
] as const) {
  // WebKit refuses when it instantiates, the others when they compile.
  for (const method of ["compile", "instantiate"] as const) {
    test(`a policy against WebAssembly, to ${method}: ${message.slice(0, 60)}`, async (t) => {
      t.mock.method(WebAssembly, method, async () => {
        throw Object.assign(new Error(message), { name });
      });
      const load = loadValidator({ endpoint, wasm: Uint8Array.from(bytes) });
      await rejects(load, "load_failed", /Add 'wasm-unsafe-eval' to its script-src/);
    });
  }
}

test("a module that can't be started", async (t) => {
  t.mock.method(WebAssembly, "instantiate", async () => {
    throw new RangeError("Out of memory");
  });
  const load = loadValidator({ endpoint, wasm: Uint8Array.from(bytes) });
  await rejects(load, "load_failed", /can't be started: Out of memory/);
});

for (const [missing, names] of [
  ["crypto, as Node 18", ["crypto"]],
  ["TextEncoder and TextDecoder, as Jest's jsdom", ["TextEncoder", "TextDecoder"]],
] as const) {
  const skip = process.versions.bun ? "Bun's own modules need them" : false;
  test(`a runtime without a global ${missing}`, { skip }, async () => {
    // Node's own fetch needs them.
    const without = (load: string) => `
    import { createRequire } from "node:module";
    const require = createRequire(import.meta.url);
    globalThis.fetch = () => Promise.reject(new TypeError("no connection"));
    for (const name of ${JSON.stringify(names)}) delete globalThis[name];
    const { loadValidator } = ${load};
    const wasm = require("fs").readFileSync(${JSON.stringify(join(packageFolder, "dist/whop-license.wasm"))});
    await loadValidator({ endpoint: "http://127.0.0.1:9", publicKey: "${publicKey}", wasm })
      .then(({ validateLicense }) => validateLicense("A1B2C3-D4E5F6-G7H8I9", "m1", { maxAttempts: 1 }))
      .catch(({ name, code, message }) => console.log(name, code, message, typeof globalThis[${JSON.stringify(names[0])}]));
  `;
    for (const [load, expected] of [
      ['require("whop-license")', /^LicenseError unavailable .* undefined$/],
      ['await import("whop-license")', /^LicenseError unavailable .* undefined$/],
      // The form for pages brings none of its own.
      ['await import("./dist/index.js")', /^LicenseError load_failed There is no `\w+` here/],
    ] as const) {
      const args = ["--input-type=module", "--eval", without(load)];
      const options = { cwd: packageFolder, timeout: 60_000 };
      const { stdout } = await promisify(execFile)(process.execPath, args, options);
      assert.match(stdout.trim(), expected);
    }
  });
}

test("a package of another version than the module", async () => {
  const stale = join(folder, "stale");
  cpSync(join(packageFolder, "dist"), stale, { recursive: true });
  writeFileSync(join(stale, "package.json"), '{ "type": "module" }');
  writeFileSync(join(stale, "version.js"), 'export const VERSION = "9.9.9";');
  const { loadValidator } = await import(pathToFileURL(join(stale, "node.js")).href);
  await rejects(loadValidator({ endpoint }), "load_failed", /this package is version 9\.9\.9/);
});

const publicKey = "_LcpwjH-1_0rQ-AstBaVcxJ3FM1YM72EEzAsLPUjN-U";

const throwing = Object.defineProperty({}, "endpoint", {
  enumerable: true,
  get() {
    throw new Error("thrown by the test");
  },
});

test("invalid options", async (t) => {
  const cases: [string, unknown, RegExp][] = [
    ["nothing", undefined, /^endpoint: must be a string/],
    ["null", null, /^options: /],
    ["a string", endpoint, /^options: /],
    ["an array", [endpoint], /^options: /],
    ["a getter that throws", throwing, /^options: can't be read/],
    ["a symbol", { endpoint, [Symbol("s")]: 1 }, /^options: has a member that is no option/],
    ["a misspelled option", { endpoint, wasmUrl: "x" }, /^options: .*wasmUrl/],
    ["no endpoint", {}, /^endpoint: /],
    ["a URL object as endpoint", { endpoint: new URL(endpoint) }, /^endpoint: /],
    ["an endless endpoint", { endpoint: `https://${"a".repeat(10_000_000)}` }, /^endpoint: /],
    ["an endpoint with NUL", { endpoint: "https://good.example\0.evil" }, /^endpoint: /],
    ["no key", { endpoint, publicKey: "" }, /^publicKey: /],
    ["undefined as key", { endpoint, publicKey: undefined }, /^publicKey: is undefined.*leave/],
    ["null as key", { endpoint, publicKey: null }, /^publicKey: /],
    ["a symbol as key", { endpoint, publicKey: Symbol("s") }, /^publicKey: /],
    ["a function as key", { endpoint, publicKey: () => publicKey }, /^publicKey: /],
    ["an object as key", { endpoint, publicKey: { toJSON() {} } }, /^publicKey: /],
    ["a key that is cut off", { endpoint, publicKey: publicKey.slice(1) }, /^publicKey: /],
    ["a key with white space", { endpoint, publicKey: ` ${publicKey}` }, /^publicKey: /],
    ["no keys", { endpoint, publicKey: [] }, /^publicKey: /],
    ["a hole for a key", { endpoint, publicKey: [publicKey, undefined] }, /^publicKey: /],
    ["a bad key among good", { endpoint, publicKey: [publicKey, ""] }, /^publicKey: /],
    ["eleven keys", { endpoint, publicKey: Array(11).fill(publicKey) }, /^publicKey: /],
    ["endless keys", { endpoint, publicKey: Array(1e9) }, /^publicKey: /],
    ["keys that throw", { endpoint, publicKey: revokedProxy() }, /^publicKey: /],
    ["an empty issuer", { endpoint, publicKey, issuer: "" }, /^issuer: /],
    ["a function as issuer", { endpoint, publicKey, issuer: () => "x" }, /^issuer: /],
    ["null as audience", { endpoint, publicKey, audience: null }, /^audience: /],
    ["an issuer without a key", { endpoint, issuer: "x" }, /^publicKey: /],
    ["an audience without a key", { endpoint, audience: "x" }, /^publicKey: /],
    ["leases without a key", { endpoint, leases: "memory" }, /^leases: needs a publicKey/],
    ["a store without a key", { endpoint, leases: new Map() }, /^leases: /],
    ["revalidateAfterMs without a key", { endpoint, revalidateAfterMs: 0 }, /needs a publicKey/],
    ["leases that are none", { endpoint, publicKey, leases: "session" }, /^leases: /],
    ["null as leases", { endpoint, publicKey, leases: null }, /^leases: /],
    ["half a store", { endpoint, publicKey, leases: { get() {}, set() {} } }, /^leases: /],
    ["a store that throws", { endpoint, publicKey, leases: revokedProxy() }, /^leases: can't be/],
    ["no localStorage", { endpoint, publicKey, leases: "local" }, /^leases: .*no localStorage/],
    ["an age below 0", { endpoint, publicKey, revalidateAfterMs: -1 }, /^revalidateAfterMs: /],
    ["NaN as age", { endpoint, publicKey, revalidateAfterMs: Number.NaN }, /^revalidateAfterMs: /],
    ["an endless age", { endpoint, publicKey, revalidateAfterMs: 1 / 0 }, /^revalidateAfterMs: /],
    ["a text as age", { endpoint, publicKey, revalidateAfterMs: "1" }, /^revalidateAfterMs: /],
    ["onChange that is none", { endpoint, publicKey, onChange: {} }, /^onChange: must/],
    ["onChange alone", { endpoint, publicKey, onChange() {} }, /^onChange: .*revalidateAfterMs/],
    ["a signal that is none", { endpoint, signal: {} }, /^signal: /],
    [
      "a signal that can't be let go of",
      { endpoint, signal: { aborted: false, addEventListener() {} } },
      /^signal: /,
    ],
    [
      "a signal that can't be listened to",
      {
        endpoint,
        signal: {
          aborted: false,
          addEventListener() {
            throw new Error("thrown by the test");
          },
          removeEventListener() {},
        },
      },
      /^signal: /,
    ],
    ["no source", { endpoint, wasm: "" }, /^wasm: /],
    ["null as source", { endpoint, wasm: null }, /^wasm: /],
    ["a number as source", { endpoint, wasm: 1 }, /^wasm: /],
    ["an object as source", { endpoint, wasm: {} }, /^wasm: /],
    ["a path as source", { endpoint, wasm: "./x.wasm" }, /^wasm: .*pathToFileURL/],
    ["a promise of something else", { endpoint, wasm: Promise.resolve(1) }, /^wasm: /],
    ["a source that throws", { endpoint, wasm: revokedProxy() }, /^wasm: /],
  ];
  for (const [name, options, message] of cases) {
    await t.test(name, async () => {
      await rejects(loadValidator(options as LoadOptions), "invalid_argument", message);
    });
  }
});

test("CommonJS has the same", async () => {
  const require = createRequire(import.meta.url);
  const common = require("whop-license");
  assert.deepEqual(Object.keys(common).sort(), ["LicenseError", "loadValidator"]);
  const { validateLicense } = await common.loadValidator({ endpoint });
  const error = await rejects(validateLicense(""), "invalid_argument");
  assert.ok(error instanceof common.LicenseError);
  assert.equal(common.LicenseError, require("whop-license/sidecar").LicenseError);
});

test("the version is that of the Go programs", async () => {
  const { version } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  const source = readFileSync(join(packageFolder, "../shared/version/version.go"), "utf8");
  assert.equal(/^const Version = "(.*)"$/m.exec(source)?.[1], version);
  assert.equal((await loadValidator({ endpoint })).version, version);
});
