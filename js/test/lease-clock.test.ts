// Clocks that are wrong, and clocks that are set to stretch a lease.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type LoadOptions, loadValidator } from "whop-license";
import { DAY, down, HOUR, seconds, startLeaseServer, TestStore, yes } from "./lease-server.js";
import { KEY, rejects } from "./support.js";

const server = await startLeaseServer();
const { endpoint, publicKey } = server;

const MINUTE = 60;

/** This machine's clock, in seconds from the right time, and its running time, in seconds. */
function clockOf(t: TestContext) {
  const now = Date.now;
  const running = performance.now.bind(performance);
  const start = now();
  const clock = { off: 0, ran: 0, stopped: false };
  t.mock.method(Date, "now", () => (clock.stopped ? start : now()) + clock.off * 1000);
  t.mock.method(performance, "now", () => running() + clock.ran * 1000);
  return clock;
}

/** A program with a lease, which can be started again with the same store. */
async function install(options: Partial<LoadOptions> = {}) {
  const store = new TestStore();
  const started = async () => {
    const given = { endpoint, publicKey, leases: storeOf(store), ...options };
    const { validateLicense } = await loadValidator(given);
    return validateLicense;
  };
  let validate = await started();
  const ask = () => validate(KEY, "m1", { maxAttempts: 1 });
  server.answer = yes();
  assert.equal((await ask()).source, "server");
  return {
    store,
    online: () => {
      server.answer = yes();
      return ask();
    },
    offline: async () => {
      server.answer = down;
      assert.equal((await ask()).source, "lease");
    },
    lockedOut: async (message: RegExp) => {
      server.answer = down;
      await rejects(ask(), "unavailable", message);
    },
    restart: async () => {
      validate = await started();
    },
  };
}

// A new object for the same texts, as what a program has seen goes with it.
const storeOf = (store: TestStore) => ({
  get: (name: string) => store.get(name),
  set: (name: string, text: string) => store.set(name, text),
  remove: (name: string) => store.remove(name),
});

const turnedBack = /turned back/;
const runOut = /run out/;

test("a right clock, to the end of the grace", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  clock.off = 8 * DAY - MINUTE;
  await app.offline();
  clock.off = 8 * DAY + MINUTE;
  await app.lockedOut(runOut);
});

test("a clock that is turned back", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  clock.off = 3 * DAY;
  await app.offline();
  clock.off = 3 * DAY - 4 * MINUTE;
  await app.offline(); // As clocks are put right by a little.
  clock.off = 3 * DAY - 6 * MINUTE;
  await app.lockedOut(turnedBack);
  await app.restart();
  await app.lockedOut(turnedBack);
  clock.off = 3 * DAY + MINUTE;
  await app.offline();
});

test("a clock that is turned back little by little", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  for (clock.off = DAY; clock.off > DAY - 5 * MINUTE; clock.off -= 2 * MINUTE) {
    await app.offline();
    await app.restart();
  }
  clock.off = DAY - 6 * MINUTE;
  await app.lockedOut(turnedBack);
});

test("a clock that is turned back once the lease has run out", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  clock.off = 9 * DAY;
  await app.lockedOut(runOut);
  await app.restart();
  clock.off = DAY;
  await app.lockedOut(turnedBack);
});

test("a clock from before the lease", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  await app.restart();
  app.store.texts.set(
    [...app.store.texts.keys()][0] as string,
    JSON.stringify({ ...app.store.record, lastSeen: 0 }),
  );
  clock.off = -HOUR;
  await app.lockedOut(/behind the lease's time of issue/);
});

test("a clock that stands still while the program runs", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  clock.stopped = true;
  clock.ran = 4 * MINUTE;
  await app.offline();
  clock.ran = 6 * MINUTE;
  await app.lockedOut(turnedBack);
  // What it ran for is kept for its next start, too.
  await app.restart();
  await app.lockedOut(turnedBack);
  assert.equal((await app.online()).source, "server");
  await app.offline();
});

test("a clock that is years ahead locks nobody out once the server has been asked", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  clock.off = 5 * 365 * DAY;
  await app.lockedOut(runOut);
  clock.off = 0;
  await app.lockedOut(turnedBack);
  assert.equal((await app.online()).source, "server");
  assert.ok(app.store.record.lastSeen < (seconds() + DAY) * 1000);
  await app.offline();
  await app.restart();
  await app.offline();
});

test("a clock that is years off refuses every new lease that has run out by it", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  const { lease } = app.store.record;
  clock.off = 5 * 365 * DAY;
  await rejects(app.online(), "untrusted_response", /set this machine's clock/);
  assert.equal(app.store.record.lease, lease);
});

test("a slow clock, as of a computer that takes local time for UTC", async (t) => {
  const clock = clockOf(t);
  clock.off = -10 * HOUR;
  const app = await install();
  await app.lockedOut(/behind the lease's time of issue/);
  clock.off = 0;
  await app.offline();
});

test("the latest time seen grows with each use and never goes back", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  let before = app.store.record.lastSeen;
  for (const off of [MINUTE, HOUR, 2 * HOUR]) {
    clock.off = off;
    await app.offline();
    const { lastSeen } = app.store.record;
    assert.ok(lastSeen > before && lastSeen <= Date.now());
    before = lastSeen;
  }
  clock.off -= 3 * MINUTE;
  await app.offline();
  assert.ok(app.store.record.lastSeen >= before);
  clock.off = -DAY;
  await app.lockedOut(/time of issue/);
  assert.ok(app.store.record.lastSeen >= before);
});

test("a time that no clock tells", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  const name = [...app.store.texts.keys()][0] as string;
  const record = JSON.stringify({ ...app.store.record, lastSeen: 8.64e15 });
  app.store.texts.set(name, record);
  clock.ran = DAY;
  await app.lockedOut(turnedBack);
  clock.ran = 2 * DAY;
  await app.lockedOut(turnedBack);
  assert.equal(app.store.record.lastSeen, 8.64e15);
  clock.off = -seconds() - DAY; // before 1970
  await app.lockedOut(/time of issue/);
});
