// <whop-license-gate>: what a page sets, and what the gate remembers.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { once } from "./engines/launch.js";
import { gateSuite, harness, key, refusal, valid } from "./helpers/gate.js";

type Harness = typeof import("./pages/element.js");

suite("settings of a license gate", () => {
  const open = gateSuite();

  test("how a validator and a machine id may be given", { skip: once }, async (t) => {
    const p = await open(t, { gate: false });
    for (const how of ["object", "promise", "function"] as const) {
      await p.clear();
      await p.add({ validator: how });
      await p.check(valid());
      assert.equal(await p.state(), "open", how);
    }
    assert.deepEqual(
      (await p.calls()).map(({ hwid }) => hwid),
      [null, null, null],
    );
    for (const how of ["rejected", "none"] as const) {
      await p.clear();
      await p.add({ validator: how });
      await p.submit();
      await p.retry.waitFor();
      assert.equal((await p.events()).at(-1)?.detail.code, "load_failed", how);
    }
    // The next check uses a new validator.
    await p.page.evaluate(async (path) => {
      const { setValidator }: Harness = await import(path);
      setValidator(document.querySelector("whop-license-gate") as never, "object");
    }, harness);
    await p.retry.click();
    await p.answer(valid());
    assert.equal(await p.state(), "open");

    for (const [source, hwid] of [
      ["async () => 'found'", "found"],
      ["() => 'found'", "found"],
      ["'plain'", "plain"],
      ["''", undefined],
      ["' '", undefined],
      ["null", undefined],
      ["() => undefined", undefined],
      ["async () => ({})", undefined],
      ["() => { throw new Error('no sidecar') }", undefined],
      [
        "async () => { throw Object.assign(new Error('none'), { name: 'LicenseError', code: 'no_machine_id' }) }",
        undefined,
      ],
    ] as const) {
      await p.clear();
      await p.add({});
      const before = (await p.calls()).length;
      await p.page.evaluate(`document.querySelector("whop-license-gate").machineId = ${source}`);
      await p.submit();
      await p.page.evaluate(() => new Promise((done) => setTimeout(done)));
      const calls = await p.calls();
      if (hwid !== undefined) {
        assert.equal(calls.at(-1)?.hwid, hwid, source);
        continue;
      }
      assert.equal(calls.length, before, source);
      assert.equal((await p.events()).at(-1)?.detail.code, "no_machine_id", source);
    }
  });

  test("wrong settings are refused at once", { skip: once }, async (t) => {
    const p = await open(t);
    for (const [setting, argument] of [
      ["validator = {}", "validator"],
      ["validator = 5", "validator"],
      ["store = 'session'", "store"],
      ["store = { get() {} }", "store"],
      ["store = null", "store"],
      ["texts = null", "texts"],
      ["texts = { title: 5 }", "texts.title"],
      ["texts = { retryIn: 'x' }", "texts.retryIn"],
      ["texts = { locale: 'not a tag' }", "texts.locale"],
      ["texts = { outcomes: { valid: { next: 'x' } } }", "texts.outcomes.valid.next"],
      ["texts = { helper: { refused: { next: 'x' } } }", "texts.helper.refused.next"],
      ["receive({ valid: true })", "verdict"],
      ["receive()", "verdict"],
    ]) {
      const thrown = await p.page.evaluate(`(() => {
        try { document.querySelector("whop-license-gate").${setting} }
        catch ({ name, code, message }) { return { name, code, message } }
      })()`);
      const { name, code, message } = thrown as { name: string; code: string; message: string };
      assert.deepEqual([name, code], ["LicenseError", "invalid_argument"], setting);
      assert.ok(message.startsWith(`${argument}: `), message);
    }
    await p.check(valid());
    assert.equal(await p.state(), "open");
  });

  test("a remembered key is checked at once", async (t) => {
    const p = await open(t, { gate: { store: "filled" } });
    assert.deepEqual(
      (await p.calls()).map(({ key }) => key),
      ["STORED-KEY"],
    );
    assert.equal(await p.state(), "checking");
    assert.equal(await p.input.isVisible(), false);
    await p.page.getByRole("button", { name: "Cancel" }).click();
    assert.equal(await p.input.inputValue(), "STORED-KEY");
    await p.page.getByRole("button", { name: "Try again" }).click();
    await p.answer(valid());
    assert.equal(await p.state(), "open");

    // Removed and added again while it is checked: checked again.
    const q = await open(t, { gate: { store: "filled" } });
    await q.gate.evaluate(async (gate) => {
      gate.remove();
      await Promise.resolve();
      document.body.append(gate);
      await new Promise((done) => setTimeout(done));
    });
    assert.deepEqual(
      (await q.calls()).map(({ aborted }) => aborted),
      [true, false],
    );
    await q.answer(refusal("not_found"));
    assert.equal(await q.input.inputValue(), "STORED-KEY");
  });

  test("a malformed remembered key counts as none", async (t) => {
    const p = await open(t, { gate: { store: "filled" } });
    await p.answer({
      error: "invalid_argument",
      message: "licenseKey: has a slash",
      argument: "licenseKey",
    });
    assert.equal(await p.state(), "idle");
    assert.equal(await p.input.inputValue(), "");
    assert.deepEqual(await p.events(), []);
    const stored = await p.page.evaluate(
      async (path) => ((await import(path)) as Harness).storeCalls,
      harness,
    );
    assert.deepEqual(stored, ["remove"]);
  });

  for (const store of ["corrupt", "huge", "throwing", "rejecting", "hanging"]) {
    test(`a store that is ${store} counts as none`, async (t) => {
      const p = await open(t, { gate: { store } });
      assert.deepEqual(await p.calls(), []);
      await p.check(valid());
      assert.equal(await p.state(), "open");
    });
  }

  test("the local store", async (t) => {
    const p = await open(t, { gate: { attributes: { store: "local" } } });
    const stored = () => p.page.evaluate(() => JSON.stringify({ ...localStorage }));
    await p.check(refusal("inactive"));
    assert.equal(await stored(), "{}");
    await p.check(valid());
    assert.equal(await stored(), JSON.stringify({ "whop-license-key": key }));
    await p.page.reload();
    await p.add({ store: "local" });
    assert.deepEqual(
      (await p.calls()).map(({ key }) => key),
      [key],
    );
    await p.answer(refusal("metadata_mismatch"));
    // A refused key is kept, because it is the same after a reset.
    assert.equal(await stored(), JSON.stringify({ "whop-license-key": key }));
    await p.page.reload();
    await p.add({});
    assert.deepEqual(await p.calls(), []);
  });

  test("a local store that throws", async (t) => {
    const p = await open(t, {
      gate: { store: "local" },
      before: () =>
        Object.defineProperty(globalThis, "localStorage", {
          get() {
            throw new DOMException("denied", "SecurityError");
          },
        }),
    });
    await p.check(valid());
    assert.equal(await p.state(), "open");
  });

  test("it is defined once, and applies properties that were set before", async (t) => {
    const p = await open(t, { gate: false, path: "/test/pages/blank.html" });
    const defined = await p.page.evaluate(async () => {
      const early = document.createElement("whop-license-gate");
      const calls: string[] = [];
      const validator = {
        validateLicense: async (key: string) => {
          calls.push(key);
          throw new Error("for the test");
        },
      };
      const store = { get: () => "EARLY-KEY", set() {}, remove() {} };
      Object.assign(early, { validator, store, texts: { license: "Early" } });
      document.body.append(early);
      const path = "/launcher/whop-license/element/index.js";
      const one = await import(path);
      // Another copy of the module finds the name taken.
      const two = await import(`${path}?again`);
      one.defineLicenseGate();
      two.defineLicenseGate();
      await new Promise((done) => setTimeout(done));
      return {
        same: customElements.get("whop-license-gate") === one.WhopLicenseGate,
        title: early.shadowRoot?.querySelector("h2")?.textContent,
        calls,
      };
    });
    assert.deepEqual(defined, { same: true, title: "Early", calls: ["EARLY-KEY"] });
  });

  test("importing it without a DOM", { skip: once }, async () => {
    // By a variable, as a second declaration of the element would be at odds with the pages'.
    const name: string = "whop-license/element";
    const { defineLicenseGate, WhopLicenseGate } = await import(name);
    defineLicenseGate();
    assert.equal(typeof WhopLicenseGate, "function");
    assert.equal("customElements" in globalThis, false);
  });
});
