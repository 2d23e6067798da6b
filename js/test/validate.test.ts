// validateLicense as a program calls it: many calls, invalid arguments, and aborts.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { LicenseError, loadValidator, type ValidateLicense } from "whop-license";
import { KEY, packageFolder, rejects, revokedProxy, serve } from "./helpers/support.js";

let requests = 0;

// Says yes to every key except those that ask for something else, and in any order.
const endpoint = await serve((request, response) => {
  requests++;
  const key = decodeURIComponent(request.url?.split("/")[4] ?? "");
  let body = "";
  request.on("data", (chunk) => {
    body += chunk;
  });
  request.on("end", () => {
    if (key === "SILENT") return;
    const { metadata } = JSON.parse(body);
    const answer = { valid: !key.startsWith("NO"), license_key: key, metadata };
    const send = () => response.writeHead(201).end(JSON.stringify(answer));
    if (requests % 3 === 0) setTimeout(send, requests % 7);
    else send();
  });
});
const { validateLicense } = await loadValidator({ endpoint });

test("a good key", async () => {
  const verdict = await validateLicense(` ${KEY}\n`, "machine-1");
  assert.ok(verdict.valid);
  assert.equal(verdict.code, "valid");
  assert.equal(verdict.source, "server");
  assert.deepEqual(verdict.membership, {
    valid: true,
    license_key: KEY,
    metadata: { HWID: "machine-1" },
  });
});

test("a thousand calls in flight each get their own answer", async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 1000 }, async (_, i) => {
      const key = `${["YES", "NO", ".."][i % 3]}-${i}`;
      if (i % 3 === 2) return rejects(validateLicense("..", `${i}`), "invalid_argument");
      const verdict = await validateLicense(key, `${i}`, { timeoutMs: 150_000 });
      if (!verdict.valid) return assert.equal(i % 3, 1);
      assert.equal(verdict.membership.license_key, key);
      return assert.deepEqual(verdict.membership.metadata, { HWID: `${i}` });
    }),
  );
  assert.equal(outcomes.length, 1000);
});

test("a fetch that is replaced later is used, with no receiver", async (t) => {
  const receivers: unknown[] = [];
  t.mock.method(globalThis, "fetch", async function (this: unknown) {
    receivers.push(this);
    return new Response('{"valid":true}', { status: 201 });
  });
  const verdict = await validateLicense(KEY);
  assert.ok(verdict.valid);
  assert.deepEqual(receivers, [undefined]);
});

const thrower = {
  get HWID(): string {
    throw new Error("thrown by the test");
  },
};
const revoked = revokedProxy();
const trap = new Proxy(
  {},
  {
    ownKeys() {
      throw new Error("thrown by the test");
    },
  },
);
const huge = "x".repeat(10_000_000);
const odd: [string, unknown][] = [
  ["null", null],
  ["a number", 1],
  ["NaN", Number.NaN],
  ["a bigint", 1n],
  ["a symbol", Symbol("s")],
  ["a boolean", true],
  ["an array", ["x"]],
  ["a function", () => "x"],
  ["a date", new Date()],
  ["a String object", Object("x")],
  ["a getter that throws", thrower],
  ["a revoked proxy", revoked],
  ["a proxy that throws", trap],
  ["10 MB", huge],
  ["a lone surrogate", "\ud800"],
  ["10 MB inside", { HWID: huge }],
  ["a lone surrogate inside", { HWID: "\udc00" }],
  ["a lone surrogate as a name", { "\udc00": "x" }],
  ["a symbol inside", { HWID: Symbol("s") }],
  ["a symbol as a name", { [Symbol("s")]: "x" }],
  ["an object inside", { HWID: {} }],
  ["undefined inside", { HWID: undefined }],
  ["a toString that throws", { HWID: { toString: thrower } }],
];

test("invalid arguments are refused at once, by name and without a request", async (t) => {
  const call = validateLicense as (...args: unknown[]) => ReturnType<ValidateLicense>;
  const asked = requests;
  const cases: [string, unknown[], RegExp][] = [
    ["nothing", [], /^licenseKey: /],
    ["an empty key", [" "], /^licenseKey: /],
    ["a key with a slash", ["A/B"], /^licenseKey: /],
    ["an option that is none", [KEY, undefined, { license: 1 }], /^options: /],
    ["an object as a key", [{}], /^licenseKey: /],
    ["a string as options", [KEY, undefined, "x"], /^options: /],
    ["a signal that is none", [KEY, undefined, { signal: {} }], /^signal: /],
    ["a signal that throws", [KEY, undefined, { signal: revoked }], /^signal: /],
    [
      "an endpoint without TLS",
      [KEY, undefined, { endpoint: "http://example.com" }],
      /^endpoint: /,
    ],
  ];
  for (const [name, value] of odd) {
    cases.push([`${name} as a key`, [value], /^licenseKey: /]);
    cases.push([`${name} as hwid`, [KEY, value], /^hwid: /]);
    if (name !== "undefined inside") {
      cases.push([`${name} as options`, [KEY, undefined, value], /^options: /]);
    }
    for (const option of ["endpoint", "apiKey", "timeoutMs", "maxAttempts", "signal"]) {
      if (name === "a number" && /timeoutMs|maxAttempts/.test(option)) continue;
      const options = { [option]: value };
      cases.push([`${name} as ${option}`, [KEY, undefined, options], new RegExp(`^${option}: `)]);
    }
  }
  for (const [name, args, message] of cases) {
    await t.test(name, async () => {
      const error = await rejects(call(...args), "invalid_argument", message);
      assert.ok(error instanceof LicenseError);
      assert.ok(error.message.length < 400, "the argument itself is in the message");
      assert.equal(error.retryable, false);
    });
  }
  assert.equal(requests, asked);
});

test("members of prototypes don't count as options", async () => {
  const polluted = Object.prototype as Record<string, unknown>;
  polluted.HWID = "someone else";
  polluted.endpoint = "https://attacker.example";
  polluted.timeoutMs = -1;
  polluted.redirect = "follow";
  try {
    const verdict = await validateLicense(KEY, { disk: "d1" }, {});
    assert.ok(verdict.valid);
    assert.deepEqual(Object.keys(verdict.membership.metadata ?? {}), ["disk"]);
    const fresh = await loadValidator({ endpoint: `${endpoint}//` });
    assert.ok((await fresh.validateLicense(KEY)).valid);
  } finally {
    for (const name of ["HWID", "endpoint", "timeoutMs", "redirect"]) delete polluted[name];
  }
});

test("a caller's objects are not changed, and may change after the call", async () => {
  const hwid = Object.freeze({ HWID: "m1" });
  const options: { endpoint: string } = { endpoint };
  const call = validateLicense(KEY, hwid, Object.freeze({ ...options }));
  const late = validateLicense(KEY, hwid, options);
  options.endpoint = "https://changed.example";
  assert.ok((await call).valid);
  assert.ok((await late).valid);
});

test("abort", async () => {
  const before = AbortSignal.abort(new Error("changed my mind"));
  const asked = requests;
  const error = await rejects(validateLicense(KEY, "m", { signal: before }), "aborted");
  assert.equal((error.cause as Error).message, "changed my mind");
  assert.equal(requests, asked);

  const controller = new AbortController();
  const { signal } = controller;
  const calls = [1, 2, 3].map(() => validateLicense("SILENT", "m", { signal }));
  const other = validateLicense(KEY, "m");
  controller.abort();
  for (const call of calls) await rejects(call, "aborted");
  assert.ok((await other).valid);
});

test("no answer in time", async () => {
  const error = await rejects(validateLicense("SILENT", "m", { timeoutMs: 50 }), "timeout");
  assert.equal(error.retryable, true);
});

test("a host that fetch can't parse is an invalid argument, not an outage", async () => {
  const hosts = ["1.2.3.999", "xn--0", "xn--a.example"];
  // Newer versions of Node can read those that start with "xn--".
  const unreadable = hosts.filter((host) => !URL.canParse(`https://${host}`));
  assert.equal(unreadable[0], hosts[0]);
  for (const host of unreadable) {
    await rejects(
      validateLicense(KEY, "m", { endpoint: `https://${host}` }),
      "invalid_argument",
      /^endpoint: /,
    );
  }
});

test("nothing listens at the endpoint", async () => {
  const { validateLicense } = await loadValidator({ endpoint: "http://127.0.0.1:9" });
  const error = await rejects(validateLicense(KEY, "m", { maxAttempts: 1 }), "unavailable");
  assert.equal(error.retryable, true);
});

/** Runs a module in a separate Node process, which must exit by itself, and returns its output. */
async function run(code: string): Promise<string> {
  const args = ["--input-type=module", "--eval", code];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: packageFolder,
    timeout: 60_000,
  });
  return stdout;
}

test("an import does nothing, nothing leaks, and a validator doesn't keep Node alive", async () => {
  const names = "JSON.stringify(Reflect.ownKeys(globalThis).map(String))";
  const out = await run(`
    await fetch("data:,"); // Node's own first fetch leaves a symbol
    const before = ${names};
    const { loadValidator } = await import("whop-license");
    await import("whop-license/sidecar");
    await import(${JSON.stringify(pathToFileURL(join(packageFolder, "dist/index.js")))});
    console.log(${names} === before);
    const { validateLicense } = await loadValidator({ endpoint: ${JSON.stringify(endpoint)} });
    console.log((await validateLicense("YES-1")).code);
    console.log(${names} === before);
  `);
  assert.equal(out, "true\nvalid\ntrue\n");
});

test("a worker", async () => {
  const worker = new Worker(
    `
      const { parentPort, workerData } = require("node:worker_threads");
      const { loadValidator } = require("whop-license");
      loadValidator(workerData)
        .then(({ validateLicense }) => validateLicense("YES-2", "m"))
        .then((verdict) => parentPort.postMessage(verdict));
    `,
    { eval: true, workerData: { endpoint } },
  );
  const [verdict] = await once(worker, "message");
  assert.equal(verdict.code, "valid");
});
