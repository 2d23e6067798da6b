// <whop-license-gate machine="helper">, with a stand-in for the helper's extension in the
// page. The real one is in extension/.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { HelperState } from "whop-license/helper";
import { type GatePage, gateSuite, harness, key, valid } from "./helpers/gate.js";

type Harness = typeof import("./pages/element.js");
type Gate = HTMLElementTagNameMap["whop-license-gate"];

const attributes = { machine: "helper", "helper-url": "/helper" };
const titles = {
  no_extension: "To use your license on this computer, install the helper",
  no_program: "To use your license on this computer, install the helper’s program",
  no_consent: "Allow this site to identify this computer",
  refused: "The helper didn’t answer this page",
};

suite("a license gate that asks the browser helper", () => {
  const open = gateSuite();

  /** Changes the helper, from the next question on. */
  const set = (p: GatePage, change: Partial<Harness["helper"]>): Promise<unknown> =>
    p.page.evaluate(
      async ({ path, change }) => {
        const { helper, delivered }: Harness = await import(path);
        await delivered();
        Object.assign(helper, change);
      },
      { path: harness, change },
    );
  const asked = (p: GatePage) =>
    p.page.evaluate(async (path) => ((await import(path)) as Harness).helper.asked, harness);
  const title = (p: GatePage, reason: keyof typeof titles) =>
    p.page.getByRole("heading", { name: new RegExp(`^${titles[reason]}$`) });

  /** Advances the page's clock until a condition holds. */
  async function pass(p: GatePage, is: () => Promise<boolean>): Promise<void> {
    while (!(await is())) await p.page.clock.fastForward(600);
  }
  const shows = (p: GatePage, reason: keyof typeof titles) =>
    pass(p, () => title(p, reason).isVisible());
  /** Lets a watch ask a few times. */
  async function goOn(p: GatePage): Promise<void> {
    for (let i = 0; i < 10; i++) await p.page.clock.fastForward(600);
  }

  test("says what is missing before a key is entered, and continues when it is there", async (t) => {
    const p = await open(t, { clock: true, gate: { attributes } });
    await p.input.focus();
    await shows(p, "no_extension");
    assert.equal(await p.state(), "error");
    assert.equal(await p.input.isVisible(), false);
    assert.equal(await p.focused(), "result-title", "the field that had the focus is hidden");
    const steps = await p.gate.locator("[part=next]").innerText();
    assert.match(steps, /Install .* extension .*\n.*Install .* program/);
    const link = p.page.getByRole("link", { name: "Get the helper" });
    assert.match((await link.getAttribute("href")) ?? "", /\/helper$/);
    assert.equal(await p.page.getByRole("button", { name: "Reload this page" }).isVisible(), true);
    assert.equal(await p.otherKey.isVisible(), false, "there is none yet");
    assert.equal(await p.retry.isVisible(), false);

    await set(p, { state: "no_program" });
    await shows(p, "no_program");
    assert.equal(await link.isVisible(), true);
    assert.equal(await p.page.getByRole("button", { name: "Reload this page" }).isVisible(), false);
    assert.equal(await p.retry.isVisible(), false);

    await set(p, { state: "no_consent" });
    await pass(p, () => p.input.isVisible());
    assert.equal(await p.state(), "idle");
    assert.equal(await p.focused(), "key");
    assert.equal(await p.status.textContent(), "Enter your license key");
    assert.deepEqual(await p.events(), [], "no check has been made");

    // A form that can be used needs no watch.
    const { length } = await asked(p);
    await goOn(p);
    assert.equal((await asked(p)).length, length);
    assert.ok((await asked(p)).every(({ ask }) => ask === "state"));
  });

  test("takes neither the focus nor the key from a customer who is typing", async (t) => {
    const p = await open(t, { clock: true, gate: { attributes } });
    await p.page.locator("#outside").focus();
    await shows(p, "no_extension");
    assert.equal(await p.focused(), "outside");
    assert.match((await p.status.textContent()) ?? "", /install the helper/);

    const q = await open(t, { clock: true, gate: { attributes } });
    await q.input.fill("BETA");
    await goOn(q);
    assert.equal(await q.input.inputValue(), "BETA");
    assert.equal(await title(q, "no_extension").isVisible(), false);

    // A helper that is installed from the start is asked once.
    const r = await open(t, { clock: true, gate: false });
    await set(r, { state: "no_consent" });
    await r.add({ attributes });
    await goOn(r);
    assert.equal((await asked(r)).length, 1);
    assert.equal(await r.input.isVisible(), true);
  });

  test("gives the helper's id to the validator, unless the page gives one", async (t) => {
    const p = await open(t, { gate: false });
    await set(p, { state: "ready" });
    await p.add({ attributes: { machine: "helper", "helper-scheme": "node-machine-id" } });
    await p.submit();
    await p.called(1);
    await p.answer(valid());
    assert.equal(await p.state(), "open");
    assert.equal((await p.calls())[0]?.hwid, "ab".repeat(32));
    assert.ok((await asked(p)).every(({ scheme }) => scheme === "node-machine-id"));

    await p.clear();
    const { length } = await asked(p);
    await p.add({ attributes, machineId: "of the page" });
    await p.check(valid());
    assert.equal((await p.calls())[1]?.hwid, "of the page");
    assert.equal((await asked(p)).length, length, "the helper was asked");
  });

  for (const reason of Object.keys(titles) as (keyof typeof titles)[]) {
    test(`a check without the helper: ${reason}`, async (t) => {
      const p = await open(t, { clock: true, gate: { attributes } });
      await set(p, { state: reason });
      await p.submit();
      await shows(p, reason);
      assert.equal(await p.state(), "error");
      assert.equal(await p.focused(), "result-title");
      const [event] = await p.events();
      assert.equal(event?.detail.code, "no_machine_id");
      assert.equal(event?.detail.reason, reason);
      assert.deepEqual(await p.calls(), []);
      assert.equal(await p.retry.isVisible(), reason !== "no_extension");
      assert.equal(await p.otherKey.isVisible(), true);
      await p.page.getByText("Details for support").click();
      await p.page.getByText(`Outcome: no_machine_id ${reason}`).waitFor();
      await goOn(p);
      assert.equal((await p.events()).length, 1, "it asked again by itself");

      // What was missing has come: the check goes on by itself. Too many questions pass too,
      // but then the customer asks.
      await set(p, { state: "ready" });
      if (reason === "refused") await p.retry.click();
      await pass(p, async () => (await p.calls()).length === 1);
      await p.answer(valid());
      assert.equal(await p.state(), "open");
      assert.equal((await p.calls())[0]?.hwid, "ab".repeat(32));
    });
  }

  test("after the program is installed, consent still needs a click", async (t) => {
    const p = await open(t, { clock: true, gate: { attributes } });
    await set(p, { state: "no_program" });
    await p.submit();
    await shows(p, "no_program");
    await set(p, { state: "no_consent" });
    await shows(p, "no_consent");
    assert.equal((await asked(p)).filter(({ ask }) => ask === "machineId").length, 1);
    await set(p, { says: "ready" });
    await p.retry.click();
    await pass(p, async () => (await p.calls()).length === 1);
  });

  test("a check is not repeated because the watch sees another state", async (t) => {
    const p = await open(t, { clock: true, gate: { attributes } });
    await set(p, { state: "ready", says: "no_program" });
    await p.submit();
    await shows(p, "no_program");
    await goOn(p);
    assert.equal((await asked(p)).filter(({ ask }) => ask === "machineId").length, 1);
  });

  test("a question without an answer is not shown as a timeout of the server", async (t) => {
    const p = await open(t, { clock: true, gate: { attributes } });
    await set(p, { state: "no_consent", answers: false });
    await p.submit();
    await pass(p, async () => (await asked(p)).some(({ ask }) => ask === "machineId"));
    assert.equal(await p.state(), "checking");
    await p.page.clock.fastForward(120_000);
    await shows(p, "no_consent");
  });

  test("a gate that is removed, or no longer uses the helper, stops asking it", async (t) => {
    const p = await open(t, { clock: true, gate: { attributes } });
    await set(p, { state: "no_consent", answers: false });
    await p.submit();
    await pass(p, async () => (await asked(p)).some(({ ask }) => ask === "machineId"));
    await p.gate.evaluate((gate) => gate.removeAttribute("machine"));
    assert.equal(await p.state(), "checking");
    await p.page.getByRole("button", { name: "Cancel" }).click();
    assert.equal((await p.events()).at(-1)?.detail.code, "aborted");
    await p.check(valid());
    assert.equal((await p.calls()).at(-1)?.hwid, null);

    const q = await open(t, { clock: true, gate: { attributes } });
    await shows(q, "no_extension");
    await set(q, { state: "no_program" });
    await q.gate.evaluate((gate) => gate.removeAttribute("machine"));
    await goOn(q);
    assert.deepEqual(await asked(q), []);
    assert.equal(await q.input.isVisible(), true, "the form is back");

    const r = await open(t, { clock: true, gate: { attributes } });
    await set(r, { state: "no_consent", answers: false });
    await r.submit();
    await pass(r, async () => (await asked(r)).some(({ ask }) => ask === "machineId"));
    const { length } = await asked(r);
    await r.clear();
    await r.page.clock.fastForward(120_000);
    assert.equal((await asked(r)).length, length);
    assert.deepEqual(await r.events(), []);
  });

  test("reloads the page, as Chrome needs it", async (t) => {
    const p = await open(t, { clock: true, gate: { attributes } });
    await shows(p, "no_extension");
    await p.page.getByRole("button", { name: "Reload this page" }).click();
    await p.page.waitForFunction(() => document.querySelector("whop-license-gate") === null);
  });

  test("a machine id from elsewhere ends it", async (t) => {
    const p = await open(t, { clock: true, gate: { attributes } });
    await shows(p, "no_extension");
    await p.gate.evaluate((gate) => {
      (gate as Gate).machineId = "from the app";
    });
    assert.equal(await p.state(), "idle");
    await p.check(valid());
    assert.equal((await p.calls())[0]?.hwid, "from the app");
  });

  test("a misspelled attribute is an error, not an unbound license", async (t) => {
    const p = await open(t, { gate: false });
    for (const [wrong, argument] of [
      [{ machine: "helpr" }, "machine"],
      [{ machine: "" }, "machine"],
      [{ machine: "helper", "helper-scheme": "best" }, "scheme"],
    ] as const) {
      await p.clear();
      await p.add({ attributes: wrong });
      await p.submit();
      await p.page
        .getByRole("heading", { name: "There’s a problem on the seller’s side" })
        .waitFor();
      assert.equal((await p.events()).at(-1)?.detail.argument, argument);
    }
    assert.deepEqual(await p.calls(), []);
  });

  test("its texts can be replaced", async (t) => {
    const helper = { no_program: { title: "Fast geschafft" } };
    const p = await open(t, {
      gate: { attributes, texts: { helper, getHelper: "Hilfsprogramm" } },
    });
    await set(p, { state: "no_program" satisfies HelperState });
    await p.submit(key);
    await p.page.getByRole("heading", { name: "Fast geschafft" }).waitFor();
    assert.equal(await p.page.getByRole("link", { name: "Hilfsprogramm" }).isVisible(), true);
  });
});
