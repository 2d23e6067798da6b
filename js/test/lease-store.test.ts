// Stores of every kind, including broken and hostile ones.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { type TestContext, test } from "node:test";
import { type LeaseStore, type LoadOptions, loadValidator } from "whop-license";
import {
  down,
  notFound,
  sha256,
  startLeaseServer,
  TestStore,
  yes,
} from "./helpers/lease-server.js";
import { KEY, rejects, revokedProxy } from "./helpers/support.js";

const common = createRequire(import.meta.url)("whop-license") as {
  loadValidator: typeof loadValidator;
};
const server = await startLeaseServer();
const { endpoint, publicKey } = server;
const name = `whop-license:${sha256(KEY)}.${sha256('{"HWID":"m1"}')}`;

/** A separate program: the package's two forms share nothing. */
async function program(leases: unknown, load = loadValidator) {
  const given = { endpoint, publicKey, leases } as LoadOptions;
  const { validateLicense } = await load(given);
  return async (answer = yes()) => {
    server.answer = answer;
    return validateLicense(KEY, "m1", { maxAttempts: 1 });
  };
}

test("a store that returns promises", async () => {
  const store = new TestStore();
  store.later = true;
  const ask = await program(store);
  assert.equal((await ask()).source, "server");
  assert.equal((await ask(down)).source, "lease");
  assert.equal((await ask(notFound)).code, "not_found");
  assert.equal(store.texts.size, 0);
  await rejects(ask(down), "unavailable");
});

test("a store's functions are called with the store as this", async () => {
  class Store extends TestStore {}
  const ask = await program(new Store());
  await ask();
  assert.equal((await ask(down)).source, "lease");
});

test("a store that holds something else counts as empty", async (t) => {
  const store = new TestStore();
  const ask = await program(store);
  await ask();
  const { lease, lastSeen } = store.record;
  const records: [string, unknown][] = [
    ["nothing", undefined],
    ["null", null],
    ["no text", ""],
    ["a number", 5],
    ["an object", { lease, lastSeen }],
    ["a String object", Object(JSON.stringify({ lease, lastSeen }))],
    ["a revoked proxy", revokedProxy()],
    ["a function", () => "x"],
    ["a lease alone", lease],
    ["JSON that is cut off", JSON.stringify({ lease, lastSeen }).slice(0, -1)],
    ["JSON null", "null"],
    ["a list", JSON.stringify([lease, lastSeen])],
    ["a record without a lease", JSON.stringify({ lastSeen })],
    ["a record without a time", JSON.stringify({ lease })],
    ["a time as text", JSON.stringify({ lease, lastSeen: `${lastSeen}` })],
    ["a time below 0", JSON.stringify({ lease, lastSeen: -1 })],
    ["a time beyond all", JSON.stringify({ lease, lastSeen: 8.7e15 })],
    ["a time that is none", `{"lease":"${lease}","lastSeen":1e999}`],
    ["an endless lease", JSON.stringify({ lease: "x".repeat(100_000), lastSeen })],
    ["a lone surrogate", JSON.stringify({ lease: "\ud800", lastSeen })],
    ["an altered lease", JSON.stringify({ lease: `${lease.slice(0, -9)}AAAAAAAAA`, lastSeen })],
    ["10 MB", "x".repeat(10_000_000)],
    ["a record in 10 MB", `${" ".repeat(10_000_000)}${JSON.stringify({ lease, lastSeen })}`],
  ];
  for (const [about, record] of records) {
    await t.test(about, async () => {
      store.texts.set(name, record as string);
      await rejects(ask(down), "unavailable");
      store.texts.set(name, record as string);
      assert.equal((await ask()).source, "server");
      assert.notEqual(store.record.lease, lease);
      assert.equal((await ask(down)).source, "lease");
    });
  }
});

function fail(): never {
  throw new Error("thrown by the test");
}

const never = () => new Promise<never>(() => {});
const failLater = () => Promise.reject(new Error("rejected by the test"));
const hostile = {
  // biome-ignore lint/suspicious/noThenProperty: that is what it tests
  get then(): never {
    throw new Error("thrown by the test");
  },
};

test("a store that fails breaks no check", async (t) => {
  // The timeout of a store that hangs is simulated.
  const setTimer = globalThis.setTimeout;
  t.mock.method(globalThis, "setTimeout", (run: () => void, ms: number, ...args: unknown[]) =>
    setTimer(run, ms === 2000 ? 1 : ms, ...(args as [])),
  );
  for (const [how, broken] of [
    ["throws", fail],
    ["rejects", failLater],
    ["hangs", never],
    ["answers with something odd", () => hostile],
  ] as const) {
    for (const method of ["get", "set", "remove"] as const) {
      await t.test(`${method} ${how}`, async () => {
        const store = new TestStore();
        const ask = await program(Object.assign(store, { [method]: broken }));
        assert.equal((await ask()).source, "server");
        if (method === "remove") assert.equal((await ask(down)).source, "lease");
        else await rejects(ask(down), "unavailable");
        assert.equal((await ask(notFound)).code, "not_found");
        await rejects(ask(down), "unavailable");
      });
    }
  }
});

/** A localStorage that several programs share. */
function stubLocalStorage(t: TestContext, own: Partial<Storage> = {}): Map<string, string> {
  const texts = new Map<string, string>();
  const value = {
    getItem: (key: string) => texts.get(key) ?? null,
    setItem: (key: string, text: string) => void texts.set(key, text),
    removeItem: (key: string) => void texts.delete(key),
    ...own,
  };
  stub(t, { value });
  return texts;
}

function stub(t: TestContext, property: PropertyDescriptor, name = "localStorage"): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { configurable: true, ...property });
  t.after(() => {
    Reflect.deleteProperty(globalThis, name);
    if (before) Object.defineProperty(globalThis, name, before);
  });
}

test("localStorage", async (t) => {
  const texts = stubLocalStorage(t);
  texts.set("another's", "thing");
  const ask = await program("local");
  await ask();
  assert.deepEqual([...texts.keys()], ["another's", name]);
  const reloaded = await program("local", common.loadValidator);
  assert.equal((await reloaded(down)).source, "lease");
  assert.equal((await ask(notFound)).code, "not_found");
  assert.deepEqual([...texts.keys()], ["another's"]);
});

test("a localStorage that is full, or that the user forbids", async (t) => {
  stubLocalStorage(t, { setItem: fail });
  const full = await program("local");
  assert.equal((await full()).source, "server");
  await rejects(full(down), "unavailable");
});

const absent: [string, PropertyDescriptor | undefined][] = [
  ["forbidden by the user", { get: fail }],
  ["null, as in some embedded browsers", { value: null }],
  ["not there", undefined],
];
for (const [about, property] of absent) {
  test(`a localStorage that is ${about}`, async (t) => {
    if (property) stub(t, property);
    await rejects(program("local"), "invalid_argument", /^leases: .*no localStorage/);

    stub(t, { value: {} }, "window");
    for (const load of [loadValidator, common.loadValidator]) {
      const ask = await program("local", load);
      assert.equal((await ask()).source, "server");
      assert.equal((await ask(notFound)).code, "not_found");
      await rejects(ask(down), "unavailable");
    }
  });
}

test("two tabs", async (t) => {
  const texts = stubLocalStorage(t);
  const record = () => JSON.parse(texts.get(name) as string);
  const [first, second] = [await program("local"), await program("local", common.loadValidator)];
  let off = 0;
  const now = Date.now;
  t.mock.method(Date, "now", () => now() + off);

  await first();
  off = 3_600_000;
  await second(down);
  const { lease, lastSeen } = record();
  off -= 120_000;
  assert.equal((await first(down)).source, "lease");
  assert.ok(record().lastSeen >= lastSeen, "the latest time seen went down");
  assert.equal(record().lease, lease);

  // One call waits for the server while the other gets a new lease.
  let answerNow = () => {};
  const asked = new Promise<void>((resolve) => {
    server.answer = (response) => {
      answerNow = () => response.destroy();
      resolve();
    };
  });
  const waiting = first(server.answer);
  await asked;
  await second();
  const renewed = record();
  answerNow();
  assert.equal((await waiting).source, "lease");
  assert.notEqual(renewed.lease, lease);
  assert.equal(record().lease, renewed.lease);
});

for (const [name, answer, code, records] of [
  ["ended", notFound, "not_found", 0],
  ["replaced", yes(), "valid", 1],
] as const) {
  test(`a lease that the server has ${name} is not written again by a call that was late`, async () => {
    const store = new TestStore();
    let reached = () => {};
    let slow = false;
    let goOn = () => {};
    const leases: LeaseStore = {
      async get(name) {
        const text = store.texts.get(name);
        if (slow) {
          await new Promise<void>((resolve) => {
            goOn = resolve;
            reached();
          });
        }
        return text;
      },
      set: (name, text) => store.set(name, text),
      remove: (name) => store.remove(name),
    };
    const ask = await program(leases);
    await ask();
    const { lease } = store.record;

    // The late call has its answer, and reads the store to note the time.
    const reading = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const late = ask((response) => {
      slow = true;
      response.destroy();
    });
    await reading;
    slow = false;
    assert.equal((await ask(answer)).code, code);
    goOn();
    assert.equal((await late).source, "lease");
    assert.equal(store.texts.size, records);
    if (records) assert.notEqual(store.record.lease, lease);
  });
}

/** What a call waits for, and the function that lets it continue. */
function gate() {
  let open = () => {};
  let reach = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    reach = resolve;
  });
  return { open, reach, opened, reached };
}

test("a yes whose request came before a refusal is not kept, whenever it arrives", async () => {
  const store = new TestStore();
  const ask = await program(store);
  const { open, reach, opened, reached } = gate();
  const early = ask(async (...all) => {
    reach();
    await opened;
    return yes()(...all);
  });
  await reached;
  assert.equal((await ask(notFound)).code, "not_found");
  open();
  assert.equal((await early).source, "server");
  assert.equal(store.texts.size, 0);
  await rejects(ask(down), "unavailable");
  assert.equal((await ask()).source, "server");
  assert.equal((await ask(down)).source, "lease", "what is asked for later is kept");
});

test("a lease offered before a refusal does not stand in after it", async () => {
  const store = new TestStore();
  const ask = await program(store);
  await ask();
  const { open, reach, opened, reached } = gate();
  const early = ask(async (response) => {
    reach();
    await opened;
    response.destroy();
  });
  await reached;
  assert.equal((await ask(notFound)).code, "not_found");
  open();
  assert.equal((await rejects(early, "unavailable")).retryable, true);
  assert.equal(store.texts.size, 0);
});

test("a refresh that began before a refusal brings no lease back", async () => {
  const store = new TestStore();
  server.answer = yes();
  const settings = { endpoint, publicKey, leases: store };
  const { validateLicense } = await loadValidator({ ...settings, revalidateAfterMs: 0 });
  await validateLicense(KEY, "m1");
  const { open, reach, opened, reached } = gate();
  let answered = () => {};
  const refreshed = new Promise<void>((resolve) => {
    answered = resolve;
  });
  server.answer = async (response, ...more) => {
    reach();
    await opened;
    response.on("close", answered);
    return yes()(response, ...more);
  };
  assert.equal((await validateLicense(KEY, "m1")).source, "lease");
  await reached;
  const first = await program(store);
  store.texts.clear();
  assert.equal((await first(notFound)).code, "not_found");
  server.answer = notFound;
  assert.equal((await validateLicense(KEY, "m1")).code, "not_found");
  open();
  await refreshed;
  await rejects(first(down), "unavailable");
  assert.equal(store.texts.size, 0);
});

test("a store that hangs takes no longer than the call's timeout", async () => {
  server.answer = yes();
  const leases: LeaseStore = { get: never, set: never, remove: never };
  const { validateLicense } = await loadValidator({ endpoint, publicKey, leases });
  const asks = server.asked.length;
  await rejects(validateLicense(KEY, "m1", { signal: AbortSignal.abort() }), "aborted");
  await rejects(validateLicense(KEY, "m1", { timeoutMs: 1 }), "timeout");
  assert.equal(server.asked.length, asks);
  const controller = new AbortController();
  const call = validateLicense(KEY, "m1", { signal: controller.signal });
  controller.abort();
  await rejects(call, "aborted");
});
