// Clocks that are wrong, and clocks that are set to stretch a lease.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type LoadOptions, loadValidator } from "whop-license";
import {
  DAY,
  down,
  HOUR,
  seconds,
  startLeaseServer,
  TestStore,
  yes,
} from "./helpers/lease-server.js";
import { KEY, rejects } from "./helpers/support.js";

const server = await startLeaseServer();
const { endpoint, publicKey } = server;

const MINUTE = 60;

/** This machine's clock, in seconds from the right time, and its running time, in seconds. */
function clockOf(t: TestContext, off = 0) {
  const now = Date.now;
  const running = performance.now.bind(performance);
  const start = now();
  const clock = { off, ran: 0, stopped: false };
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
    ask,
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
      const { cause } = await rejects(ask(), "unavailable", message);
      const byClock = message !== runOut;
      assert.equal((cause as { reason?: string }).reason === "clock", byClock, "not told by cause");
    },
    restart: async () => {
      validate = await started();
    },
  };
}

// A new object for the same texts, because what a program has seen belongs to the object.
const storeOf = (store: TestStore) => ({
  get: (name: string) => store.get(name),
  set: (name: string, text: string) => store.set(name, text),
  remove: (name: string) => store.remove(name),
});

const turnedBack = /turned back or stood still; set the clock/;
const beforeIssue = /issued later than this machine's clock says it is; set the clock/;
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

test("a clock that is turned back after the lease has expired", async (t) => {
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
  await app.lockedOut(beforeIssue);
});

test("a clock that stands still while the program runs", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  clock.stopped = true;
  clock.ran = 4 * MINUTE;
  await app.offline();
  clock.ran = 6 * MINUTE;
  await app.lockedOut(turnedBack);
  // The running time is also kept for the next start.
  await app.restart();
  await app.lockedOut(turnedBack);
  assert.equal((await app.online()).source, "server");
  await app.offline();
});

test("a clock that is years ahead locks nobody out after the server was asked", async (t) => {
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

/** How far the clock is off when the lease arrives, in seconds. Each test below covers all of them. */
const skews: [name: string, off: number][] = [
  ["right", 0],
  ["slow by nine hours, as where local time is taken for UTC", -9 * HOUR],
  ["fast by nine hours", 9 * HOUR],
  ["slow by three days", -3 * DAY],
  ["five years fast", 5 * 365 * DAY],
  ["at 1970, as without a battery", -seconds()],
];

/** Whether two times, in milliseconds, differ by less than 5 s and what a busy machine took since `began`. */
const isNear = (one: number, other: number, began: number) =>
  Math.abs(one - other) < 5000 + performance.now() - began;

for (const [name, off] of skews) {
  test(`a clock that is ${name}, and stays so`, async (t) => {
    const clock = clockOf(t, off);
    const began = performance.now();
    const app = await install();
    const { skew, lastSeen } = app.store.record;
    assert.ok(isNear(skew, -off * 1000, began), `the skew is ${skew}`);
    assert.ok(isNear(lastSeen, seconds() * 1000, began), "the latest time is the server's");
    for (clock.off = off; clock.off < off + 8 * DAY - MINUTE; clock.off += DAY) {
      await app.offline();
      await app.restart();
    }
    clock.off = off + 8 * DAY - MINUTE;
    await app.offline();
    clock.off = off + 8 * DAY + MINUTE;
    await app.lockedOut(runOut);
    assert.equal((await app.online()).source, "server");
    await app.offline();
  });

  test(`a clock that is ${name}, and is turned back`, async (t) => {
    const clock = clockOf(t, off);
    const app = await install();
    clock.off = off + 3 * DAY;
    await app.offline();
    clock.off = off + 3 * DAY - 4 * MINUTE;
    await app.offline();
    // A clock that is ahead by less than the lease's remaining time may be about to be corrected.
    const ahead = off > 0 && off < DAY ? off : 0;
    clock.off = off + 3 * DAY - ahead - 6 * MINUTE;
    await app.lockedOut(turnedBack);
    await app.restart();
    await app.lockedOut(turnedBack);
    clock.off = off + 9 * DAY;
    await app.lockedOut(runOut);
    clock.off = off + DAY;
    await app.lockedOut(turnedBack);
    clock.off = off - HOUR;
    await app.lockedOut(beforeIssue);
  });

  test(`a clock that is ${name}, and is turned forward`, async (t) => {
    const clock = clockOf(t, off);
    const app = await install();
    clock.off = off + DAY;
    await app.offline();
    clock.off = off + 20 * DAY;
    await app.lockedOut(runOut);
    clock.off = off + DAY;
    await app.lockedOut(turnedBack);
    assert.equal((await app.online()).source, "server");
    await app.offline();
  });

  test(`a clock that is ${name}, and stands still`, async (t) => {
    const clock = clockOf(t, off);
    const app = await install();
    clock.stopped = true;
    clock.ran = 4 * MINUTE;
    await app.offline();
    clock.ran = 8 * DAY + MINUTE;
    await app.lockedOut(turnedBack);
    await app.restart();
    await app.lockedOut(turnedBack);
  });

  test(`a clock that is ${name}, of a machine that was suspended`, async (t) => {
    const clock = clockOf(t, off);
    const app = await install();
    // While the machine sleeps, the clock advances, and the running time may stand still.
    clock.off = off + 2 * DAY;
    await app.offline();
    clock.off = off + 7 * DAY;
    clock.ran = 5 * DAY;
    await app.offline();
    clock.off = off + 9 * DAY;
    await app.lockedOut(runOut);
  });

  test(`a clock that is ${name}, and is put right`, async (t) => {
    const clock = clockOf(t, off);
    const app = await install();
    clock.off = 0;
    // A clock that was far behind looks as if it had been turned forward.
    if (off < -7 * DAY) await app.lockedOut(runOut);
    else await app.offline();
    const began = performance.now();
    assert.equal((await app.online()).source, "server");
    assert.ok(isNear(app.store.record.skew, 0, began));
    await app.offline();
  });
}

test("a record of a release without skew", async (t) => {
  const clock = clockOf(t);
  const app = await install();
  const name = [...app.store.texts.keys()][0] as string;
  const { lease, lastSeen } = app.store.record;
  app.store.texts.set(name, JSON.stringify({ lease, lastSeen }));
  await app.restart();
  await app.offline();
  assert.equal(app.store.record.skew, 0);
  clock.off = -HOUR;
  await app.lockedOut(beforeIssue);
});

test("a record with an invalid skew counts as none", async (t) => {
  clockOf(t);
  const app = await install();
  const name = [...app.store.texts.keys()][0] as string;
  const record = app.store.record;
  for (const skew of ["0", null, 8.7e15, -8.7e15, {}]) {
    app.store.texts.set(name, JSON.stringify({ ...record, skew }));
    await app.restart();
    server.answer = down;
    await rejects(app.ask(), "unavailable", /^((?!stored lease).)*$/);
  }
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
  await app.lockedOut(beforeIssue);
  assert.ok(app.store.record.lastSeen >= before);
});

test("a time that is out of range", async (t) => {
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
  await app.lockedOut(beforeIssue);
});
