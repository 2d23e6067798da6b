// Leases from a program's point of view: what is kept, when it stands in, and what ends it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LicenseErrorCode, type LoadOptions, loadValidator, type Verdict } from "whop-license";
import {
  type Answer,
  down,
  HOUR,
  newKey,
  no,
  says,
  sha256,
  silent,
  startLeaseServer,
  TestStore,
  yes,
} from "./helpers/lease-server.js";
import { KEY, rejects } from "./helpers/support.js";

const server = await startLeaseServer();
const { endpoint, publicKey } = server;
const once = { maxAttempts: 1 };

async function load(options: Partial<LoadOptions> = {}) {
  server.answer = yes();
  const store = new TestStore();
  const given = { endpoint, publicKey, leases: store, ...options };
  const { validateLicense } = await loadValidator(given);
  const validate = (hwid = "m1", key = KEY) => validateLicense(key, hwid, once);
  return { store, validate, validateLicense };
}

function assertFromLease(verdict: Verdict): asserts verdict is Verdict & { valid: true } {
  assert.equal(verdict.source, "lease");
  assert.ok(verdict.valid);
}

test("a lease is kept, and stands in if the server can't be asked", async () => {
  const { store, validate } = await load();
  const online = await validate();
  assert.ok(online.valid);
  assert.equal(online.source, "server");
  assert.deepEqual(online.membership, { valid: true, id: "mem_1" });
  const { lease, skew, lastSeen } = store.record;
  assert.equal(lease, online.lease);
  const { iat, exp, grace } = claimsOf(lease);
  assert.equal(skew, iat * 1000 - Date.parse(online.checkedAt));
  assert.ok(lastSeen >= iat * 1000 && lastSeen <= Date.now() + skew);
  const name = `whop-license:${sha256(KEY)}.${sha256('{"HWID":"m1"}')}`;
  assert.deepEqual([...store.texts.keys()], [name]);

  server.answer = down;
  const offline = await validate();
  assertFromLease(offline);
  assert.equal(offline.code, "valid");
  assert.deepEqual(offline.membership, { valid: true, id: "mem_1", product: "prod_1" });
  assert.equal(offline.lease, lease);
  assert.equal(Date.parse(offline.checkedAt), iat * 1000);
  assert.equal(Date.parse(offline.leaseExpiresAt ?? ""), (exp + grace) * 1000);
  assert.equal(online.leaseExpiresAt, offline.leaseExpiresAt);
});

function claimsOf(lease: string): { iat: number; exp: number; grace: number } {
  return JSON.parse(Buffer.from(lease.split(".")[1] ?? "", "base64url").toString());
}

for (const [name, answer, options] of [
  ["no connection", down, once],
  ["HTTP status 500", says(500, {}), once],
  ["HTTP status 408", says(408, {}), once],
  ["too many requests", says(429, {}), once],
  ["no answer in time", silent, { timeoutMs: 50 }],
] as [string, Answer, object][]) {
  test(`a lease stands in: ${name}`, async () => {
    const { store, validateLicense } = await load();
    await validateLicense(KEY, "m1");
    const { lease } = store.record;
    server.answer = answer;
    assertFromLease(await validateLicense(KEY, "m1", options));
    assert.equal(store.record.lease, lease);
  });
}

const other = await newKey();

/** Answers that are not verdicts, and the error's code in the verdict from the lease. */
const unheard: [string, Answer, LicenseErrorCode][] = [
  ["no connection", down, "unavailable"],
  ["a block page", says(401, { error: {} }), "bad_response"],
  ["a captive portal", says(200, { hello: "guest" }), "bad_response"],
  ["a platform's own 404", says(404, { status: "error", code: 404 }), "bad_response"],
  ["a platform's own 400", says(400, { error: "Bad Request" }), "bad_response"],
  ["a no without a code", says(200, { valid: false }), "untrusted_response"],
  ["a forged no", says(404, { error: { code: "not_found" } }), "untrusted_response"],
  ["a no with a key of its own", no("not_found", {}, other), "untrusted_response"],
  ["a no to another call", no("not_found", { nonce: "AAAA" }), "untrusted_response"],
  ["a no of another code", no("not_found", { code: "license_inactive" }), "untrusted_response"],
  ["a no of another issuer", no("not_found", { iss: "elsewhere" }), "untrusted_response"],
  ["a no to another key", no("not_found", { lic: sha256("ANOTHER") }), "untrusted_response"],
  ["a forged server without a lease", says(201, { valid: true }), "untrusted_response"],
  ["a forged server with a key of its own", yes({}, other), "untrusted_response"],
  ["a lease of another product", yes({ aud: "prod_2" }), "untrusted_response"],
  ["a lease of another issuer", yes({ iss: "elsewhere" }), "untrusted_response"],
  ["a lease of another key", yes({ lic: sha256("ANOTHER") }), "untrusted_response"],
  ["a lease of another machine", yes({ hwm: sha256('{"HWID":"m2"}') }), "untrusted_response"],
  ["a lease of another membership", yes({ sub: "mem_2" }), "untrusted_response"],
  ["an old positive answer", replay, "untrusted_response"],
];

for (const [name, answer, code] of unheard) {
  test(`a lease stands in and stays: ${name}`, async () => {
    const { store, validate } = await load({ issuer: "gateway", audience: "prod_1" });
    assert.equal((await validate()).source, "server");
    const { lease } = store.record;
    server.answer = answer;
    const verdict = await validate();
    assertFromLease(verdict);
    assert.equal(verdict.error?.code, code);
    assert.ok(verdict.error.message);
    assert.equal(store.record.lease, lease);
    store.texts.clear();
    assert.equal((await rejects(validate(), code)).retryable, true);
  });
}

test("no lease stands in for a request that the server rejects as malformed", async () => {
  const { store, validate } = await load();
  await validate();
  const { lease } = store.record;
  server.answer = says(400, { error: { code: "invalid_request" } });
  assert.equal((await rejects(validate(), "invalid_argument")).retryable, false);
  assert.equal(store.record.lease, lease);
});

/** The answer to the previous call, word for word. */
async function replay(...[response, asked, server]: Parameters<Answer>) {
  const nonces = server.asked.map(({ nonce }) => nonce);
  assert.notEqual(nonces.at(-1), nonces.at(-2));
  await yes({ nonce: nonces.at(-2) })(response, asked, server);
}

for (const [code, answer] of [
  ["inactive", no("license_inactive")],
  ["not_found", no("not_found")],
  ["metadata_mismatch", no("metadata_mismatch")],
] as [string, Answer][]) {
  test(`a refusal ends the lease: ${code}`, async () => {
    const { store, validate } = await load();
    await validate();
    await validate("m2");
    server.answer = answer;
    const verdict = await validate();
    assert.equal(verdict.code, code);
    assert.deepEqual([...store.texts.keys()], [nameOf("m2")], "only this machine's");
    server.answer = down;
    await rejects(validate(), "unavailable");
    assertFromLease(await validate("m2"));
  });
}

const nameOf = (hwid: string, key = KEY) =>
  `whop-license:${sha256(key)}.${sha256(JSON.stringify({ HWID: hwid }))}`;

test("a lease that is stored under another lease's name", async (t) => {
  const { store, validate } = await load();
  await validate();
  const text = store.texts.get(nameOf("m1")) as string;
  server.answer = down;

  const places: [string, Partial<LoadOptions>, string, string][] = [
    ["another machine", {}, "m2", KEY],
    ["another license key", {}, "m1", "OTHER-KEY"],
    ["another public key", { publicKey: other.x }, "m1", KEY],
    ["another issuer", { issuer: "elsewhere" }, "m1", KEY],
    ["another product", { audience: "prod_2" }, "m1", KEY],
  ];
  for (const [name, options, hwid, key] of places) {
    await t.test(name, async () => {
      const there = await load(options);
      there.store.texts.set(nameOf(hwid, key), text);
      server.answer = down;
      const error = await rejects(there.validate(hwid, key), "unavailable", /can't stand in/);
      assert.ok(!error.message.includes("eyJ"));
    });
  }
  const both = await load({ publicKey: [other.x, publicKey], issuer: "gateway" });
  both.store.texts.set(nameOf("m1"), text);
  server.answer = down;
  assertFromLease(await both.validate());
});

test("the lease's name depends only on the cleaned license key", async () => {
  const { store, validate } = await load();
  const pasted = ` \u200b${KEY.slice(0, 5)}\u2060${KEY.slice(5)}\ufe0f\n`;
  await validate("m1", pasted);
  assert.deepEqual([...store.texts.keys()], [nameOf("m1")]);
  assert.equal(server.asked.at(-1)?.licenseKey, KEY);
  server.answer = down;
  assertFromLease(await validate());
});

test("a verdict has exactly the contract's members", async () => {
  const { validate } = await load();
  const members = ["checkedAt", "code", "lease", "leaseExpiresAt", "membership", "source", "valid"];
  assert.deepEqual(Object.keys(await validate()).sort(), members);
  server.answer = down;
  assert.deepEqual(Object.keys(await validate()).sort(), [...members, "error"].sort());
});

test("a program that is restarted continues with the lease", async () => {
  const { store, validate } = await load();
  await validate();
  const again = await load({ leases: store });
  server.answer = down;
  assertFromLease(await again.validate());
});

test("in memory, leases last as long as the program, and only so many", async () => {
  const { validate } = await load({ leases: undefined });
  for (let i = 0; i < 101; i++) await validate(`memory-${i}`);
  const same = await load({ leases: "memory", issuer: "gateway" });
  server.answer = down;
  await rejects(validate("memory-0"), "unavailable");
  assertFromLease(await validate("memory-1"));
  assertFromLease(await same.validate("memory-100"));
});

test("a call's own options take precedence", async () => {
  const { store, validate, validateLicense } = await load();
  await validate();
  const { lease } = store.record;

  const asked = server.asked.length;
  assertFromLease(await validateLicense(KEY, "m1", { preferLease: true }));
  assert.equal(server.asked.length, asked);

  await rejects(validateLicense(KEY, "m1", { publicKey: other.x }), "untrusted_response");
  server.answer = down;
  await rejects(validateLicense(KEY, "m1", { ...once, lease: "x" }), "unavailable");
  const ahead = { lastSeen: Date.now() + HOUR * 1000 };
  await rejects(validateLicense(KEY, "m1", { ...once, clock: ahead }), "unavailable");
  const skewed = { ...ahead, skew: HOUR * 1000 };
  assertFromLease(await validateLicense(KEY, "m1", { ...once, clock: skewed }));
  assert.equal(store.record.lease, lease);
  assertFromLease(await validate());
});

test("invalid arguments are refused by name, and no store is asked", async () => {
  const { validateLicense } = await load({ leases: { get: fail, set: fail, remove: fail } });
  const call = validateLicense as (...args: unknown[]) => Promise<Verdict>;
  const getter = {
    get HWID(): string {
      throw new Error("thrown by the test");
    },
  };
  const crowd = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`n${i}`, "x"]));
  for (const [args, message] of [
    [[], /^licenseKey: /],
    [["A/B"], /^licenseKey: /],
    [[KEY, 1], /^hwid: /],
    [[KEY, getter], /^hwid: can't be read/],
    [[KEY, ["x"]], /^hwid: /],
    [[KEY, new Date()], /^hwid: /],
    [[KEY, crowd], /^hwid: has too many/],
  ] as [unknown[], RegExp][]) {
    await rejects(call(...args), "invalid_argument", message);
  }
  function fail(): undefined {
    assert.fail("the store was asked");
  }
});

test("invalid options are refused by name, and the lease stays", async () => {
  const { store, validate, validateLicense } = await load();
  const call = validateLicense as (...args: unknown[]) => Promise<Verdict>;
  await validate();
  const { lease } = store.record;
  const inherited = Object.create({ timeoutMs: 5 });
  for (const [options, message] of [
    ["x", /^options: /],
    [["x"], /^options: /],
    [inherited, /^options: /],
    [{ license: 1 }, /^options: /],
    [{ timeoutMs: "x" }, /^timeoutMs: /],
    [{ [Symbol("s")]: 1 }, /^options: /],
  ] as [unknown, RegExp][]) {
    await rejects(call(KEY, "m1", options), "invalid_argument", message);
  }
  assert.equal(store.record.lease, lease);
});

test("a caller's objects may change after the call, even if the store answers later", async () => {
  const { store, validateLicense } = await load();
  store.later = true;
  const hwid = { HWID: "m1" };
  const options = { endpoint };
  const call = validateLicense(KEY, hwid, options);
  hwid.HWID = "m2";
  options.endpoint = "https://changed.example";
  assert.ok((await call).valid);
  assert.deepEqual(server.asked.at(-1)?.metadata, { HWID: "m1" });
  assert.deepEqual([...store.texts.keys()], [nameOf("m1")]);
});

test("a call that is aborted", async () => {
  const { store, validate, validateLicense } = await load();
  await validate();
  const { lease } = store.record;
  await rejects(validateLicense(KEY, "m1", { signal: AbortSignal.abort() }), "aborted");
  const controller = new AbortController();
  server.answer = () => controller.abort();
  await rejects(validateLicense(KEY, "m1", { signal: controller.signal }), "aborted");
  assert.equal(store.record.lease, lease);
});
