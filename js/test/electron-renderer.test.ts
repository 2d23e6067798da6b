// The page's side of the Electron bridge, where the preload or the main process
// isn't what it should be. The browser tests run it with real ones.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import {
  licenseStore,
  loadElectronValidator,
  loadMainValidator,
} from "whop-license/electron/renderer";
import type { Bridge } from "../dist/electron/ipc.js";
import { KEY, packageFolder, rejects, revokedProxy, serve } from "./helpers/support.js";

const wasm = new Uint8Array(readFileSync(join(packageFolder, "dist/whop-license.wasm")));
const machine = { id: "a".repeat(64), scheme: "node-machine-id", source: "etc", warnings: [] };
const endpoint = "https://license.example.com";

function expose(bridge: Partial<Record<keyof Bridge | "refused", unknown>> | string | null): void {
  Reflect.set(globalThis, "whopLicense", bridge);
}

afterEach(() => void Reflect.deleteProperty(globalThis, "whopLicense"));

const bridge = {
  protocol: 1,
  machineId: async () => ({ value: machine }),
  wasm: async () => ({ value: wasm }),
};

test("a page without a bridge, and with one that can't be used", async () => {
  for (const [given, message] of [
    [undefined, /has not run/],
    [null, /has not run/],
    ["text", /has not run/],
    [{ ...bridge, protocol: 2 }, /different versions/],
    [{}, /different versions/],
    [{ protocol: 1, refused: "Set `sandbox: true`." }, /sandbox: true/],
    [
      { ...bridge, wasm: () => Promise.reject(new Error("No handler registered")) },
      /registerLicenseHost/,
    ],
  ] as const) {
    expose(given as null);
    await rejects(loadElectronValidator({ endpoint }), "load_failed", message);
    if (given && typeof given === "object" && "wasm" in given && given.protocol === 1) continue;
    await rejects(loadMainValidator(), "load_failed", message);
    await rejects(Promise.resolve(licenseStore.get("x")), "load_failed", message);
  }
});

test("a public key that is undefined is refused before the host is asked", async () => {
  const options = { endpoint, publicKey: undefined as unknown as string };
  await rejects(loadElectronValidator(options), "invalid_argument", /^publicKey: is undefined/);
});

test("an error from the main process keeps its members", async () => {
  const error = { code: "no_machine_id", message: "None.", retryable: true, retryAfterMs: 5 };
  expose({ ...bridge, machineId: async () => ({ error }) });
  const thrown = await rejects(loadElectronValidator({ endpoint }), "no_machine_id", /^None\.$/);
  assert.deepEqual([thrown.retryable, thrown.retryAfterMs, thrown.status], [true, 5, undefined]);
  const clock = { ...error, code: "unavailable", argument: "x", clock: "It is slow." };
  expose({ ...bridge, machineId: async () => ({ error: clock }) });
  const unheard = await rejects(loadElectronValidator({ endpoint }), "unavailable");
  assert.deepEqual({ ...(unheard.cause as object) }, { reason: "clock" });
  assert.equal(unheard.argument, "x");
  // A failure is not kept: the next load asks again.
  expose(bridge);
  assert.equal((await loadElectronValidator({ endpoint })).machineId.id, machine.id);
});

test("the machine id is sent unless another is given, and the host is asked once", async () => {
  const sent: unknown[] = [];
  const endpoint = await serve(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    sent.push(JSON.parse(body).metadata);
    response.writeHead(201).end('{"valid":true}');
  });
  let asked = 0;
  expose({ ...bridge, wasm: async () => ({ value: ++asked && wasm }) });
  const [one, two] = await Promise.all([
    loadElectronValidator({ endpoint }),
    loadElectronValidator({ endpoint }),
  ]);
  await one.validateLicense(KEY);
  await two.validateLicense(KEY, "other");
  await two.validateLicense(KEY, { disk: "d" });
  assert.deepEqual(sent, [{ HWID: machine.id }, { HWID: "other" }, { disk: "d" }]);
  assert.ok(asked <= 1, "the module was asked for again");
});

test("arguments of any kind", async () => {
  expose({ ...bridge, onChange: () => {}, validate: async () => assert.fail("was sent") });
  for (const options of [revokedProxy(), { endpoint, leases: "local" }, { endpoint, wasm }, 1]) {
    await rejects(loadElectronValidator(options as never), "invalid_argument", /^options: /);
  }
  await rejects(loadElectronValidator({} as never), "invalid_argument", /^endpoint: /);
  await rejects(loadMainValidator({ onChange: 1 as never }), "invalid_argument", /^onChange: /);
  const { validateLicense } = await loadMainValidator({ onChange: () => {} });
  for (const [given, argument] of [
    [[{}], "licenseKey"],
    [[Symbol("key")], "licenseKey"],
    [[() => {}], "licenseKey"],
    [[KEY, "machine"], "hwid"],
    [[KEY, undefined, { timeoutMs: {} }], "timeoutMs"],
    [[KEY, undefined, { signal: 1 }], "signal"],
    [[KEY, undefined, { endpoint }], "options"],
    [[KEY, undefined, revokedProxy()], "options"],
  ] as const) {
    await rejects(
      validateLicense(...(given as unknown as [string])),
      "invalid_argument",
      new RegExp(`^${argument}: `),
    );
  }
});

test("signals end the wait, and abort the check in the main process", async () => {
  const told: number[] = [];
  const calls: number[] = [];
  expose({
    ...bridge,
    validate: (call: number) => {
      calls.push(call);
      return new Promise(() => {});
    },
    abort: async (call: number) => told.push(call),
  });
  const { validateLicense } = await loadMainValidator();
  const controller = new AbortController();
  const answer = validateLicense(KEY, undefined, { signal: controller.signal });
  controller.abort();
  await rejects(answer, "aborted");
  assert.deepEqual(told, calls);
  await rejects(validateLicense(KEY, undefined, { signal: AbortSignal.abort() }), "aborted");
  assert.equal(calls.length, 1);
  await rejects(loadElectronValidator({ endpoint, signal: AbortSignal.abort() }), "aborted");
});
