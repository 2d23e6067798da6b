// <whop-license-gate>: what happens to a check and a verdict over time.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { noOffline, once } from "./engines/launch.js";
import { gateSuite, harness, key, type Plan, refusal, valid } from "./helpers/gate.js";

type Gate = HTMLElementTagNameMap["whop-license-gate"];
type Harness = typeof import("./pages/element.js");

const day = 86_400_000;
const hour = 3_600_000;

suite("a license gate over time", () => {
  const open = gateSuite();

  test("canceling, and answers that come too late", async (t) => {
    const p = await open(t);
    await p.submit();
    // A second submit during a check does nothing.
    await p.input.press("Enter");
    // Forced, as Playwright waits for a button that says it is disabled.
    await p.page.getByRole("button", { name: "Checking…" }).click({ force: true });
    assert.equal((await p.calls()).length, 1);
    await p.page.getByRole("button", { name: "Cancel" }).click();
    assert.deepEqual(
      (await p.calls()).map(({ aborted }) => aborted),
      [true],
    );
    assert.deepEqual(await p.eventTypes(), ["error"]);
    await p.answer(valid(), 0);
    assert.equal(await p.state(), "error");
    assert.equal(await p.content.isVisible(), false);

    await p.submit("ANOTHER-KEY");
    await p.input.press("Escape");
    await p.submit("A-THIRD-KEY");
    await p.answer(valid(), 1);
    assert.equal(await p.state(), "checking");
    await p.answer(refusal("inactive"), 2);
    assert.equal(await p.state(), "refused");
    assert.deepEqual(await p.eventTypes(), ["error", "error", "refused"]);
  });

  test("removing it aborts a check, moving it does not", async (t) => {
    const p = await open(t);
    await p.submit();
    await p.gate.evaluate((gate) => document.querySelector("main")?.prepend(gate));
    assert.deepEqual(
      (await p.calls()).map(({ aborted }) => aborted),
      [false],
    );
    await p.gate.evaluate(async (gate) => {
      Object.assign(globalThis, { removed: gate });
      gate.remove();
      await Promise.resolve();
    });
    assert.deepEqual(
      (await p.calls()).map(({ aborted }) => aborted),
      [true],
    );
    await p.answer(valid());
    await p.page.evaluate(() =>
      document.body.append((globalThis as unknown as { removed: Element }).removed),
    );
    assert.equal(await p.state(), "idle");
    assert.deepEqual(await p.events(), []);
    await p.check(valid());
    assert.equal(await p.state(), "open");
    await p.gate.evaluate(async (gate) => {
      gate.remove();
      await Promise.resolve();
      document.body.append(gate);
    });
    assert.equal(await p.content.isVisible(), true);
  });

  test("removed during the check of a remembered key, it returns with its form", async (t) => {
    const p = await open(t, { gate: { store: "filled" } });
    assert.equal(await p.state(), "checking");
    assert.equal(await p.input.isVisible(), false);
    await p.gate.evaluate(async (gate) => {
      gate.remove();
      await Promise.resolve();
      Object.assign(gate, { store: "none" });
      document.body.append(gate);
    });
    assert.equal(await p.state(), "idle");
    assert.equal(await p.input.isVisible(), true);
  });

  test("trying again with a key that has been changed", async (t) => {
    const p = await open(t);
    await p.check({ error: "unavailable" });
    await p.otherKey.click();
    await p.input.fill("ANOTHER-KEY");
    // Not automatically, because it may be half a key.
    await p.page.evaluate(() => dispatchEvent(new Event("online")));
    assert.equal((await p.calls()).length, 1);
    await p.input.press("Enter");
    assert.deepEqual(
      (await p.calls()).map(({ key }) => key),
      [key, "ANOTHER-KEY"],
    );
  });

  test("it checks again on another network after every error that a network can cause", {
    skip: once,
  }, async (t) => {
    const p = await open(t);
    const goOnline = () => p.page.evaluate(() => dispatchEvent(new Event("online")));
    for (const error of [
      ...(["unavailable", "timeout", "load_failed"] as const),
      ...(["bad_response", "untrusted_response", "unauthorized"] as const),
    ]) {
      await p.check({ error, retryable: true });
      const before = (await p.calls()).length;
      await goOnline();
      assert.equal((await p.calls()).length, before + 1, error);
      await p.answer(refusal("inactive"));
    }
    for (const plan of [
      refusal("not_found"),
      { error: "no_machine_id" } as const,
      { error: "load_failed" } as const, // for another reason
    ]) {
      await p.check(plan);
      const before = (await p.calls()).length;
      await goOnline();
      assert.equal((await p.calls()).length, before);
    }
  });

  test("what couldn't be loaded offline is loaded again when there is a network", {
    skip: noOffline,
  }, async (t) => {
    const p = await open(t);
    await p.page.context().setOffline(true);
    await p.check({ throws: "an error" });
    const [event] = await p.events();
    assert.deepEqual([event?.detail.code, event?.detail.retryable], ["load_failed", true]);
    const said = await p.gate.locator("[part=result]").innerText();
    assert.match(said, /seem to be offline.*Check your internet connection/s);
    assert.doesNotMatch(said, /extensions/);
    await p.page.context().setOffline(false);
    await p.page.locator("whop-license-gate[state=checking]").waitFor();
    await p.answer(valid());
    assert.equal(await p.content.isVisible(), true);
  });

  test("a countdown to the next try", async (t) => {
    const p = await open(t, { clock: true });
    await p.check({ error: "rate_limited", retryAfterMs: 125_000 });
    const wait = p.gate.locator("[part=wait]");
    assert.equal(await wait.innerText(), "You can try again in 3 minutes.");
    assert.equal(await p.retry.getAttribute("aria-disabled"), "true");
    await p.retry.click({ force: true });
    assert.equal((await p.calls()).length, 1);

    await p.page.evaluate(() => {
      const status = document
        .querySelector("whop-license-gate")
        ?.shadowRoot?.querySelector("[role=status]");
      const said: (string | null)[] = [];
      Object.assign(globalThis, { said });
      if (status)
        new MutationObserver(() => said.push(status.textContent)).observe(status, {
          childList: true,
        });
    });
    await p.page.clock.runFor(6_000);
    assert.equal(await wait.innerText(), "You can try again in 119 seconds.");
    await p.page.clock.runFor(118_000);
    assert.equal(await wait.innerText(), "You can try again in 1 second.");
    assert.equal(await p.retry.getAttribute("aria-disabled"), "true");
    await p.page.clock.runFor(1_000);
    assert.equal(await wait.isVisible(), false);
    assert.equal(await p.retry.getAttribute("aria-disabled"), "false");
    assert.deepEqual(await p.page.evaluate("said"), [
      "You can try again in 2 minutes.",
      "You can try again in 60 seconds.",
      "You can try again in 30 seconds.",
      "You can try again in 10 seconds.",
      "You can try again now.",
    ]);
    await p.retry.click();
    await p.answer({ error: "rate_limited", retryAfterMs: Number.POSITIVE_INFINITY });
    assert.equal(await wait.innerText(), "You can try again in 24 hours.");
    await p.check({ error: "rate_limited", retryAfterMs: Number.NaN });
    assert.equal(await p.retry.getAttribute("aria-disabled"), "false");
  });

  test("a lease: the days left, and its end", async (t) => {
    const p = await open(t, { clock: true });
    const now = await p.page.evaluate(() => Date.now());
    const lease = (ms: number): Plan =>
      valid({ source: "lease", leaseExpiresAt: new Date(now + ms).toISOString() });
    await p.check(lease(3 * day + hour / 2));
    const notice = p.gate.locator("[part=notice]");
    assert.equal(
      await notice.innerText(),
      "Your license stays valid for 3 days without a connection to the license server.",
    );
    assert.match(await p.status.innerText(), /valid\s+Your license stays valid for 3 days/);
    await p.page.clock.runFor(hour);
    assert.equal(
      await notice.innerText(),
      "Your license stays valid for 2 days without a connection to the license server.",
    );
    await p.page.clock.runFor(2 * day);
    assert.equal(
      await notice.innerText(),
      "Your license stays valid for 23 hours without a connection to the license server.",
    );
    assert.equal((await p.calls()).length, 1);

    // It is over: asked again, and open until the answer.
    await p.page.clock.runFor(day);
    assert.equal((await p.calls()).length, 2);
    assert.equal(await p.state(), "open");
    await p.answer({ error: "unavailable" });
    assert.equal(await p.state(), "error");
    assert.equal(await p.content.isVisible(), false);
    assert.equal(await notice.isVisible(), false);

    // A lease that is over by this clock is no reason to ask at once, or often.
    await p.check(lease(0));
    assert.equal(await p.state(), "open");
    assert.match(await notice.innerText(), /was checked without a connection/);
    await p.page.clock.runFor(hour - 1000);
    assert.equal((await p.calls()).length, 3);
    await p.page.clock.runFor(1000);
    assert.equal((await p.calls()).length, 4);
    await p.answer(valid());
    assert.equal(await notice.isVisible(), false);
    await p.page.clock.runFor(2 * day);
    assert.equal((await p.calls()).length, 4);
  });

  test("turning the clock back doesn't prolong an open lease", async (t) => {
    const p = await open(t, { clock: true });
    const now = await p.page.evaluate(() => Date.now());
    const leaseExpiresAt = new Date(now + hour).toISOString();
    await p.check(valid({ source: "lease", leaseExpiresAt }));
    await p.page.clock.setSystemTime(now - 30 * day);
    await p.page.clock.runFor(hour + 1000);
    assert.equal((await p.calls()).length, 2);
    await p.answer({ error: "unavailable" });
    assert.equal(await p.state(), "error");
  });

  test("checking again while it is open", async (t) => {
    const p = await open(t);
    const recheck = (): Promise<void> =>
      p.gate.evaluate((gate: Element) => void (gate as Gate).recheck());
    await recheck();
    assert.deepEqual(await p.calls(), []);
    await p.check(valid());
    for (const plan of [
      { error: "unavailable" },
      { error: "untrusted_response" },
      valid(),
    ] as const) {
      await recheck();
      assert.equal(await p.state(), "open");
      await p.answer(plan);
      assert.equal(await p.content.isVisible(), true);
    }
    await recheck();
    await recheck();
    assert.equal((await p.calls()).length, 5);
    await p.answer(refusal("inactive"));
    assert.equal(await p.state(), "refused");
    assert.equal(await p.content.isVisible(), false);
    assert.deepEqual(await p.eventTypes(), ["valid", "error", "error", "valid", "refused"]);
  });

  test("verdicts from receive(), and forget()", async (t) => {
    const p = await open(t, { gate: { store: "map" } });
    const receive = (plan: Plan): Promise<void> =>
      p.gate.evaluate(
        (gate: Element, verdict) => (gate as Gate).receive(verdict as never),
        (plan as { verdict: unknown }).verdict,
      );
    await p.check(valid());
    await receive(refusal("metadata_mismatch"));
    assert.equal(await p.state(), "refused");
    assert.equal(await p.content.isVisible(), false);
    await receive(valid());
    assert.equal(await p.content.isVisible(), true);

    // A check that is running is older news.
    await p.gate.evaluate((gate: Element) => void (gate as Gate).recheck());
    await receive(refusal("inactive"));
    await p.answer(valid());
    assert.equal(await p.state(), "refused");

    // But not if the customer is waiting for it.
    await p.submit();
    await receive(valid());
    assert.equal(await p.state(), "checking");
    await p.answer(valid());
    assert.equal(await p.state(), "open");

    const cloned = await p.gate.evaluate((gate) => {
      const clone = gate.cloneNode() as Element;
      gate.after(clone);
      const state = clone.getAttribute("state");
      clone.remove();
      return state;
    });
    assert.equal(cloned, "idle", "it is not open as its original is");
    await p.gate.evaluate((gate: Element) => (gate as Gate).forget());
    assert.equal(await p.state(), "idle");
    assert.equal(await p.input.inputValue(), "");
    assert.equal(await p.content.isVisible(), false);
    const stored = await p.page.evaluate(
      async (path) => ((await import(path)) as Harness).storeCalls,
      harness,
    );
    assert.deepEqual(stored, [`set ${key}`, `set ${key}`, "remove"]);
  });

  test("two gates on one page", async (t) => {
    const p = await open(t, { gate: false });
    await p.add({ id: "one", content: "First." });
    await p.add({ id: "two", content: "Second." });
    await p.input.nth(0).fill("KEY-ONE");
    await p.input.nth(0).press("Enter");
    await p.page.locator("#two").getByRole("textbox").fill("KEY-TWO");
    await p.page.locator("#two").getByRole("textbox").press("Enter");
    assert.deepEqual(
      (await p.calls()).map(({ key }) => key),
      ["KEY-ONE", "KEY-TWO"],
    );
    await p.answer(valid(), 1);
    assert.equal(await p.page.getByText("Second.").isVisible(), true);
    assert.equal(await p.page.getByText("First.").isVisible(), false);
    await p.answer(refusal("inactive"), 0);
    assert.deepEqual(
      (await p.events()).map(({ type, target }) => [type, target]),
      [
        ["whop-license-valid", "two"],
        ["whop-license-refused", "one"],
      ],
    );
  });

  test("the network comes back", { skip: noOffline }, async (t) => {
    const p = await open(t);
    await p.page.context().setOffline(true);
    await p.check({ error: "unavailable" });
    assert.equal(await p.page.getByText("You seem to be offline.").isVisible(), true);
    await p.page.context().setOffline(false);
    await p.gate.getByRole("button", { name: "Cancel" }).waitFor();
    await p.answer(refusal("inactive"));
    await p.page.context().setOffline(true);
    await p.page.context().setOffline(false);
    await p.check(valid({ source: "lease" }));
    assert.equal(
      await p.gate.locator("[part=notice]").innerText(),
      "Your license was checked without a connection to the license server.",
    );
    assert.equal((await p.calls()).length, 3);
    await p.page.context().setOffline(true);
    await p.page.context().setOffline(false);
    await p.called(4);
    await p.answer(valid());
    assert.equal(await p.gate.locator("[part=notice]").isVisible(), false);
  });
});
