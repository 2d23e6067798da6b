// An app that quits right after something was stored or removed.
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { createFileLeases } from "../dist/electron/lease-file.js";
import { QuitGuard } from "../dist/electron/quit-guard.js";
import { temporaryFolder } from "./helpers/support.js";

/** Like Electron's app, which ends unless a listener has prevented it. */
class App extends EventEmitter {
  quits = 0;
  quit(): void {
    this.quits++;
    let goesOn = true;
    const preventDefault = () => {
      goesOn = false;
    };
    this.emit("will-quit", { preventDefault });
    if (goesOn) this.emit("quit");
  }
}

function guarded(store: QuitGuard["store"]) {
  const app = new App();
  const ended = once(app, "quit");
  let told = 0;
  const guard = new QuitGuard(app as never, store, () => {
    if (++told === 1) guard.release();
  });
  return { app, ended, guard, told: () => told };
}

/** A store that answers when the test says so. */
function slow() {
  const answers: (() => void)[] = [];
  const later = () => new Promise<undefined>((resolve) => answers.push(() => resolve(undefined)));
  return { answers, store: { get: later, set: later, remove: later } };
}

const turn = () => new Promise(setImmediate);

test("everything stored before is in the file when the app ends, in order", async () => {
  const path = join(temporaryFolder(), "leases");
  const { app, ended, guard } = guarded(createFileLeases({ path }));
  void guard.store.set("a", "1");
  void guard.store.set("b", "2");
  void guard.store.remove("a");
  app.quit();
  await ended;
  assert.equal(app.quits, 2);
  const after = createFileLeases({ path });
  assert.deepEqual([await after.get("a"), await after.get("b")], [undefined, "2"]);
  assert.equal(app.listenerCount("will-quit"), 0);
});

test("an app quits at once when nothing is being stored", async () => {
  const { store } = slow();
  const { app, told } = guarded(store);
  app.quit();
  assert.deepEqual([app.quits, told(), app.listenerCount("will-quit")], [1, 1, 0]);
});

test("an app waits for writes that follow a read, and quits once", async () => {
  const { answers, store } = slow();
  const { app, ended, guard } = guarded(store);
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });
  const changed = (async () => {
    await guard.store.get("a");
    await guard.store.set("a", "1");
  })();
  app.quit();
  app.quit(); // the customer is impatient
  answers.shift()?.();
  await turn();
  await turn();
  assert.equal(answers.length, 1, "the change has begun");
  assert.equal(hasEnded, false);
  answers.shift()?.();
  await Promise.all([changed, ended]);
  assert.equal(app.quits, 3);
});

test("a store that fails or throws doesn't keep an app from quitting", async () => {
  const fails = () => {
    throw new Error("full");
  };
  const { app, ended, guard } = guarded({ get: fails, set: fails, remove: fails });
  const failed = assert.rejects(guard.store.set("a", "1") as Promise<unknown>, /full/);
  app.quit();
  await Promise.all([ended, failed]);
});

test("a store that hangs keeps an app for three seconds", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { app, ended, guard } = guarded(slow().store);
  void guard.store.set("a", "1");
  app.quit();
  t.mock.timers.tick(2_999);
  await turn();
  assert.equal(app.quits, 1);
  t.mock.timers.tick(1);
  await ended;
  assert.equal(app.quits, 2);
});

test("a host that was disposed of still waits for its store", async () => {
  const { answers, store } = slow();
  const { app, ended, guard } = guarded(store);
  const stored = guard.store.set("a", "1");
  guard.release();
  app.quit();
  answers.shift()?.();
  await Promise.all([stored, ended]);
  assert.equal(app.quits, 2);
  await turn();
  assert.equal(app.listenerCount("will-quit"), 0);
});
