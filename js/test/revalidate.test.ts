// revalidateAfterMs: an immediate answer from the lease, and a refresh in the background.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { type InvalidVerdict, type LoadOptions, loadValidator, type Verdict } from "whop-license";
import {
  type Answer,
  down,
  HOUR,
  no,
  notFound,
  says,
  seconds,
  startLeaseServer,
  TestStore,
  yes,
} from "./helpers/lease-server.js";
import { KEY, packageFolder, rejects } from "./helpers/support.js";

const server = await startLeaseServer();
const { endpoint, publicKey } = server;
const AFTER = HOUR * 1000;

const rightTime = Date.now;
let passed = 0;
Date.now = () => rightTime() + passed;

/** A program that has a lease from two hours ago. */
async function installAged(options: Partial<LoadOptions> = {}) {
  const installed = await install(yes(), options);
  passed += 2 * HOUR * 1000;
  return installed;
}

/** A program that has a lease from that answer. */
async function install(answer: Answer, options: Partial<LoadOptions> = {}) {
  const store = new TestStore();
  const { validateLicense } = await loadValidator({
    ...{ endpoint, publicKey, leases: store, revalidateAfterMs: AFTER },
    ...options,
  });
  const validate = () => validateLicense(KEY, "m1", { maxAttempts: 1 });
  server.answer = answer;
  assert.equal((await validate()).source, "server");
  server.asked.length = 0;
  return { store, validate, validateLicense, lease: store.record.lease };
}

/** Resolves when the server has been asked, and leaves the answer to the test. */
function held(): Promise<(answer: Answer) => void> {
  return new Promise((resolve) => {
    server.answer = (response, asked) => resolve((answer) => void answer(response, asked, server));
  });
}

/** An object that records each access to a member. */
function noting<Members extends object>(members: Members, read: string[]): Members {
  return new Proxy(members, {
    get: (target, name) => {
      read.push(String(name));
      return Reflect.get(target, name);
    },
  });
}

test("the arguments of a check are read once, even for the refresh in the background", async () => {
  const { store, validateLicense } = await installAged();
  const read: string[] = [];
  const hwid = noting({ HWID: "m1" }, read);
  const options = noting({ maxAttempts: 1, timeoutMs: 60_000 }, read);
  const request = held();
  assert.equal((await validateLicense(KEY, hwid, options)).source, "lease");
  const answer = await request;
  const changed = store.changed();
  answer(yes());
  await changed;
  assert.deepEqual(read.sort(), ["HWID", "maxAttempts", "timeoutMs"]);
});

test("a younger lease answers without the server", async () => {
  const { store, validate, lease } = await install(yes());
  for (let i = 0; i < 3; i++) {
    const verdict = await validate();
    assert.equal(verdict.source, "lease");
    assert.ok(verdict.valid);
    assert.equal(verdict.lease, lease);
  }
  assert.equal(store.record.lease, lease);
  // A request in the background would have come before this one.
  server.answer = yes();
  const other = await loadValidator({ endpoint, publicKey });
  await other.validateLicense("ANOTHER-KEY");
  assert.deepEqual(
    server.asked.map(({ licenseKey }) => licenseKey),
    ["ANOTHER-KEY"],
  );
});

test("an older lease answers too, and one request replaces it in the background", async () => {
  const { store, validate, lease } = await installAged();
  const request = held();
  const verdicts = await Promise.all(Array.from({ length: 20 }, validate));
  for (const { source } of verdicts) assert.equal(source, "lease");
  const answer = await request;
  assert.equal((await validate()).source, "lease");
  assert.equal(server.asked.length, 1);

  const changed = store.changed();
  answer(yes());
  await changed;
  assert.notEqual(store.record.lease, lease);
  const verdict = await validate();
  assert.ok(verdict.valid);
  assert.equal(verdict.lease, store.record.lease);
  assert.equal(server.asked.length, 1);
});

test("each machine has its own refresh", async () => {
  const { validate, validateLicense } = await installAged();
  const other = () => validateLicense(KEY, "m2");
  await other();
  passed += 2 * HOUR * 1000;
  server.asked.length = 0;
  const both = new Promise<void>((resolve) => {
    server.answer = (response) => {
      response.destroy();
      if (server.asked.length === 2) resolve();
    };
  });
  for (const call of [validate, other]) assert.equal((await call()).source, "lease");
  await both;
  const machines = server.asked.map(({ metadata }) => metadata.HWID);
  assert.deepEqual(machines.sort(), ["m1", "m2"]);
});

test("with 0 the server is always asked in the background", async (t) => {
  const { validate } = await install(yes(), { revalidateAfterMs: 0 });
  await untilAsked(3, validate);
  // With a slow clock, a lease can be from the future.
  const now = Date.now;
  t.mock.method(Date, "now", () => now() - 120_000);
  const { validate: slow } = await install(yes(), { revalidateAfterMs: 0 });
  await untilAsked(3, slow);
});

for (const hours of [-9, 9]) {
  test(`age is judged by a clock that is ${hours} hours off plus its skew`, async (t) => {
    const now = Date.now;
    t.mock.method(Date, "now", () => now() + hours * 3_600_000);
    const { validate } = await install(yes());
    for (let i = 0; i < 5; i++) assert.equal((await validate()).source, "lease");
    assert.equal(server.asked.length, 0, "a fresh lease was taken for an old one");
    const { validate: old } = await installAged();
    await untilAsked(1, old);
  });
}

/** Makes calls, which the lease answers, until they have led to the given number of requests. */
async function untilAsked(count: number, validate: () => Promise<Verdict>): Promise<void> {
  for (let calls = 0; server.asked.length < count; calls++) {
    assert.ok(calls < 1000, `asked ${server.asked.length} times`);
    assert.equal((await validate()).source, "lease");
    await new Promise(setImmediate);
  }
}

test("a refusal in the background removes the lease and calls onChange", async () => {
  const told: InvalidVerdict[] = [];
  let tell = () => {};
  const { store, validate } = await installAged({
    onChange: (verdict) => {
      told.push(verdict);
      assert.equal(store.texts.size, 0, "told before the lease was gone");
      tell();
    },
  });
  const toldNow = new Promise<void>((resolve) => {
    tell = resolve;
  });
  server.answer = no("license_inactive");
  assert.ok((await validate()).valid);
  await toldNow;
  assert.deepEqual(
    told.map(({ valid, code, source }) => ({ valid, code, source })),
    [{ valid: false, code: "inactive", source: "server" }],
  );
  server.answer = down;
  await rejects(validate(), "unavailable");
  server.answer = notFound;
  assert.equal((await validate()).code, "not_found");
  assert.equal(told.length, 1, "what the caller was answered is not told again");
});

for (const [name, answer] of [
  ["no connection", down],
  ["a block page", says(401, { error: {} })],
  ["a forged server", says(201, { valid: true })],
  ["a forged refusal", says(404, { error: { code: "not_found" } })],
  ["a platform's own 404", says(404, { status: "error", message: "Application not found" })],
] as [string, Answer][]) {
  test(`a refresh that fails changes nothing: ${name}`, async () => {
    const { store, validate, lease } = await installAged({
      onChange: () => assert.fail("told of a failure"),
    });
    server.answer = answer;
    await untilAsked(2, validate); // The second is only made when the first is over.
    assert.equal(store.record.lease, lease);
    server.answer = down;
    const verdict = await validate();
    assert.equal(verdict.valid && verdict.lease, lease);
  });
}

test("a refresh repeats the request, whatever the caller has done with its objects and signal", async () => {
  const { validateLicense, store } = await installAged();
  const controller = new AbortController();
  const hwid = { HWID: "m1" };
  const options = { endpoint: `${endpoint}/v`, signal: controller.signal };
  const request = held();
  assert.equal((await validateLicense(KEY, hwid, options)).source, "lease");
  controller.abort();
  hwid.HWID = "m2";
  options.endpoint = "https://changed.example";
  const answer = await request;
  assert.deepEqual(server.asked[0]?.metadata, { HWID: "m1" });
  const changed = store.changed();
  answer(yes());
  assert.equal(await changed, "set");
});

test("a lease in its grace period does not answer at once", async () => {
  const { validate } = await install(yes({ exp: seconds() + HOUR }));
  passed += 2 * HOUR * 1000;
  server.answer = yes();
  assert.equal((await validate()).source, "server");
});

test("an error thrown by onChange is an uncaught error, not an unhandled rejection", async () => {
  const out = await run(
    `
    let end;
    const ended = new Promise((resolve) => { end = resolve; });
    process.on("uncaughtException", (error, origin) => {
      console.log(origin, error.message);
      end();
    });
    const { validateLicense } = await loadValidator({
      ...settings,
      onChange() { throw new Error("thrown by the test"); },
    });
    console.log((await validateLicense(key, "m1")).source);
    const later = Date.now() + ${2 * HOUR * 1000};
    Date.now = () => later;
    console.log((await validateLicense(key, "m1")).source);
    await ended;
  `,
    [yes(), notFound],
  );
  assert.equal(out, "server\nlease\nuncaughtException thrown by the test\n");
});

test("a refresh doesn't keep Node alive after its answer", async () => {
  const out = await run(
    `
    const { validateLicense } = await loadValidator(settings);
    console.log((await validateLicense(key, "m1")).source);
    const later = Date.now() + ${2 * HOUR * 1000};
    Date.now = () => later;
    console.log((await validateLicense(key, "m1")).source);
  `,
    [yes(), yes()],
  );
  assert.equal(out, "server\nlease\n");
  assert.equal(server.asked.length, 2);
});

/** Runs a module in a separate Node process, which must exit by itself, with these answers in turn. */
async function run(code: string, answers: Answer[]): Promise<string> {
  server.asked.length = 0;
  server.answer = (...args) => answers[server.asked.length - 1]?.(...args);
  const settings = { endpoint, publicKey, revalidateAfterMs: AFTER };
  const script = `
    import { loadValidator } from "whop-license";
    const settings = ${JSON.stringify(settings)}, key = ${JSON.stringify(KEY)};
    ${code}
  `;
  const args = ["--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: packageFolder,
    timeout: 60_000,
  });
  return stdout;
}
