// <whop-license-gate>: every answer that a validator can give, and every one that it must not.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { once } from "./engines/launch.js";
import {
  type GatePage,
  gateSuite,
  harness,
  key,
  type Plan,
  refusal,
  valid,
} from "./helpers/gate.js";
import { startSimulator } from "./helpers/simulator.js";

type Harness = typeof import("./pages/element.js");
type Gate = HTMLElementTagNameMap["whop-license-gate"];

const memberships = "https://whop.com/@me/settings/memberships/";

suite("the answers to a license gate", () => {
  const open = gateSuite();

  test("a valid key opens it", async (t) => {
    const p = await open(t, { gate: { machineId: "machine-1" } });
    await p.input.waitFor();
    assert.equal(await p.state(), null, "a framework hydrates the page as the server sent it");
    assert.equal(await p.gate.evaluate((gate: Element) => (gate as Gate).state), "idle");
    assert.equal(await p.content.isVisible(), false);
    await p.submit(`  ${key}\t`);
    assert.equal(await p.state(), "checking");
    assert.equal(await p.content.isVisible(), false);
    assert.equal(await p.page.getByRole("button", { name: "Checking…" }).isVisible(), true);
    assert.deepEqual(await p.calls(), [
      { key, hwid: "machine-1", argumentCount: 3, aborted: false },
    ]);
    await p.answer(valid());
    assert.equal(await p.state(), "open");
    assert.equal(await p.content.isVisible(), true);
    assert.equal(await p.input.isVisible(), false);
    assert.deepEqual(await p.events(), [
      {
        type: "whop-license-valid",
        target: "gate",
        detail: {
          valid: true,
          code: "valid",
          source: "server",
          checkedAt: "2026-01-01T00:00:00.000Z",
          membership: { valid: true, id: "mem_1" },
        },
      },
    ]);
  });

  const outcomes: [Plan, string, RegExp, { links?: string[]; retry?: true }][] = [
    [
      refusal("metadata_mismatch"),
      "refused",
      /another machine/,
      { links: ["Open Whop"], retry: true },
    ],
    [
      refusal("not_found"),
      "refused",
      /License key not found/,
      { links: ["Open Whop", "Get a license"] },
    ],
    [
      refusal("inactive"),
      "refused",
      /no longer active/,
      { links: ["Open Whop", "Get a license"], retry: true },
    ],
    [
      { error: "invalid_argument", message: "endpoint: is no URL" },
      "error",
      /seller’s side/,
      { links: ["Contact support"] },
    ],
    [
      { error: "unauthorized" },
      "error",
      /refused the request/,
      { links: ["Contact support"], retry: true },
    ],
    [{ error: "rate_limited" }, "error", /Too many checks/, { retry: true }],
    [{ error: "unavailable" }, "error", /can’t be reached/, { retry: true }],
    [{ error: "timeout" }, "error", /didn’t answer in time/, { retry: true }],
    [{ error: "aborted" }, "error", /was canceled/, { retry: true }],
    [
      { error: "bad_response" },
      "error",
      /network got in the way/,
      { links: ["Contact support"], retry: true },
    ],
    [
      { error: "untrusted_response" },
      "error",
      /can’t be verified/,
      { links: ["Contact support"], retry: true },
    ],
    [
      { error: "no_machine_id" },
      "error",
      /can’t be identified/,
      { links: ["Contact support"], retry: true },
    ],
    [
      { error: "load_failed" },
      "error",
      /couldn’t start/,
      { links: ["Contact support"], retry: true },
    ],
  ];

  test("every other outcome keeps it closed and says what to do", { skip: once }, async (t) => {
    const p = await open(t, { gate: false });
    const attributes = { "buy-url": "/buy", "support-url": "mailto:seller@example.com" };
    for (const [plan, state, title, { links = [], retry = false }] of outcomes) {
      const code =
        "error" in plan ? plan.error : (plan as { verdict: { code: string } }).verdict.code;
      await p.clear();
      await p.add({ attributes });
      const eventsBefore = (await p.events()).length;
      const callsBefore = (await p.calls()).length;
      await p.check(plan);
      assert.equal(await p.state(), state);
      assert.equal(await p.content.isVisible(), false);
      assert.match(await p.page.getByRole("heading", { level: 3 }).innerText(), title);
      assert.notEqual(await p.gate.getByRole("listitem").count(), 0);
      const shown = await p.gate
        .getByRole("link")
        .evaluateAll((links) =>
          links.map((link) => [(link.firstChild as Text).data, (link as HTMLAnchorElement).href]),
        );
      const addresses: Record<string, string> = {
        "Open Whop": memberships,
        "Get a license": `${new URL(p.page.url()).origin}/buy`,
        "Contact support": "mailto:seller@example.com",
      };
      assert.deepEqual(
        shown,
        links.map((link) => [link, addresses[link]]),
      );
      assert.equal(await p.retry.isVisible(), retry);
      const [event, ...more] = (await p.events()).slice(eventsBefore);
      assert.deepEqual(more, []);
      assert.equal(event?.type, `whop-license-${state}`);
      assert.equal(event?.detail.code, code);

      if (retry) {
        await p.retry.click();
        assert.equal((await p.calls()).length, callsBefore + 2);
        await p.answer(valid());
        assert.equal(await p.content.isVisible(), true);
      }
    }
  });

  test("an answer that may come from someone else on the network blames neither the license nor the seller", {
    skip: once,
  }, async (t) => {
    const p = await open(t);
    for (const error of ["bad_response", "untrusted_response", "unauthorized"] as const) {
      await p.check({ error });
      const said = await p.gate.locator("[part=result]").innerText();
      assert.match(said, /login page, a firewall, or a proxy.*was not checked/s, error);
      assert.match(said, /sign in.*another network.*Try again/s, error);
      assert.doesNotMatch(said, /seller’s side|isn’t set up/, error);
      assert.equal(await p.retry.isVisible(), true);
    }
  });

  test("a lease that can't stand in because of the clock", { skip: once }, async (t) => {
    const p = await open(t);
    const cause = { reason: "clock", message: `the clock is behind ${key}` };
    for (const error of ["unavailable", "bad_response", "untrusted_response"] as const) {
      await p.check({ error, cause });
      assert.equal(await p.state(), "error");
      const said = await p.gate.locator("[part=result]").innerText();
      assert.match(said, /clock is wrong.*Set this computer’s date, time, and time zone/s);
      assert.equal(await p.retry.isVisible(), true);
      const { detail } = (await p.events()).at(-1) ?? {};
      assert.equal(detail?.code, error);
      assert.deepEqual(detail?.cause, { reason: "clock", message: "The clock is wrong." });
    }
    await p.check({ error: "unavailable", cause: { reason: "expired" } });
    assert.match(await p.gate.locator("[part=result]").innerText(), /can’t be reached/);
    assert.equal((await p.events()).at(-1)?.detail.cause, undefined);
  });

  test("a lease opens it, whatever kept the server from answering", { skip: once }, async (t) => {
    for (const code of ["bad_response", "untrusted_response", "rate_limited", "unavailable"]) {
      const p = await open(t);
      const error = { code, message: `Something answered about ${key}.`, status: 404 };
      const leaseExpiresAt = new Date(Date.now() + 5.5 * 86_400_000).toISOString();
      await p.check(valid({ source: "lease", leaseExpiresAt, error }));
      assert.equal(await p.state(), "open");
      assert.equal(await p.content.isVisible(), true);
      assert.match(await p.gate.locator("[part=notice]").innerText(), /valid for 5 days/);
      const [event] = await p.events();
      assert.deepEqual(event?.detail.error, {
        ...error,
        message: "Something answered about •••.",
      });
    }
  });

  test("a malformed key is an error at the field", async (t) => {
    const p = await open(t);
    await p.page.getByRole("button", { name: "Check license" }).click();
    assert.deepEqual(await p.calls(), []);
    await p.page.getByText("Enter your license key.", { exact: true }).last().waitFor();
    assert.equal(await p.input.getAttribute("aria-invalid"), "true");
    assert.equal(await p.focused(), "key");

    await p.input.fill("a/b");
    assert.equal(await p.input.getAttribute("aria-invalid"), "false");
    await p.input.press("Enter");
    await p.answer({
      error: "invalid_argument",
      message: "licenseKey: has a slash",
      argument: "licenseKey",
    });
    assert.equal(await p.state(), "error");
    assert.equal(await p.input.getAttribute("aria-invalid"), "true");
    assert.equal(await p.page.getByRole("heading", { level: 3 }).isVisible(), false);
    const described = await p.input.evaluate((input) =>
      (input.getAttribute("aria-describedby") ?? "")
        .split(" ")
        .map((id) => (input.getRootNode() as ShadowRoot).getElementById(id)?.textContent)
        .join(" "),
    );
    assert.match(described, /can’t be a license key/);
    assert.equal(await p.focused(), "key");
  });

  /** The one button that stands out, and whether the form is there. */
  const shown = async (p: GatePage) => ({
    primary: await p.gate
      .locator("[part~=primary]")
      .evaluateAll((buttons) =>
        (buttons as HTMLElement[])
          .filter((button) => button.checkVisibility())
          .map((button) => button.innerText.split(/\n| \(/)[0]),
      ),
    form: await p.input.isVisible(),
  });

  test("the primary button is the one that helps, and the form is shown only if typing again can help", {
    skip: once,
  }, async (t) => {
    const p = await open(t, { gate: false });
    const attributes = { "support-url": "mailto:seller@example.com" };
    const cases: [Plan, string[], boolean][] = [
      [refusal("metadata_mismatch"), ["Open Whop"], false],
      [refusal("inactive"), ["Open Whop"], false],
      [refusal("not_found"), ["Check license"], true],
      [{ error: "aborted" }, ["Check license"], true],
      [{ error: "unavailable" }, ["Try again"], false],
      [{ error: "bad_response" }, ["Try again"], false],
      [{ error: "invalid_argument" }, ["Contact support"], false],
      [{ error: "load_failed" }, ["Try again"], false],
    ];
    for (const [plan, primary, form] of cases) {
      await p.clear();
      await p.add({ attributes });
      assert.deepEqual(await shown(p), { primary: ["Check license"], form: true });
      await p.check(plan);
      assert.deepEqual(await shown(p), { primary, form }, JSON.stringify(plan));
      const title = form ? "Enter your license key" : "Your license";
      assert.equal(await p.page.getByRole("heading", { level: 2 }).innerText(), title);
      assert.equal(await p.otherKey.isVisible(), !form);
      if (form) continue;
      await p.otherKey.click();
      assert.deepEqual(await shown(p), { primary: ["Check license"], form: true });
      assert.equal(await p.gate.locator("[part=result]").isVisible(), false);
      assert.equal(await p.state(), "idle");
      assert.equal(await p.focused(), "key");
      assert.equal(await p.input.inputValue(), key);
    }
  });

  test("a check without the form shows its progress, and can be canceled", async (t) => {
    const p = await open(t);
    await p.check({ error: "unavailable" });
    await p.retry.click();
    assert.equal(await p.state(), "checking");
    assert.equal(await p.input.isVisible(), false);
    assert.equal(await p.gate.locator("[part=progress]").innerText(), "Checking your license…");
    assert.match(await p.focused(), /cancel/);
    await p.page.keyboard.press("Escape");
    assert.equal(await p.input.isVisible(), true, "the key may have been the reason");
  });

  test("the page's own fields keep the form, because they may be wrong", async (t) => {
    const p = await open(t);
    await p.gate.evaluate((gate) => {
      const field = document.createElement("input");
      field.slot = "fields";
      gate.append(field);
    });
    await p.check({ error: "no_machine_id" });
    assert.equal(await p.input.isVisible(), true);
    assert.equal(await p.otherKey.isVisible(), false);
  });

  test("the error's own message is shown if nothing else says what to do", {
    skip: once,
  }, async (t) => {
    const p = await open(t);
    const result = p.gate.locator("[part=message]");
    const message = `Set \`sandbox: true\` in its webPreferences, not ${key}.`;
    for (const error of ["load_failed", "invalid_argument", "no_machine_id"] as const) {
      await p.check({ error, message });
      assert.equal(await result.innerText(), message.replace(key, "•••"), error);
    }
    for (const error of ["unavailable", "bad_response", "timeout"] as const) {
      await p.check({ error, message });
      assert.equal(await result.isVisible(), false, error);
    }
    await p.check({ error: "load_failed", message, retryable: true });
    assert.equal(await result.isVisible(), false, "trying again helps");
  });

  test("the name of the product", { skip: once }, async (t) => {
    const p = await open(t, { gate: { attributes: { "product-name": " Acme <b>Pro</b> " } } });
    const title = p.page.getByRole("heading", { level: 2 });
    assert.equal(await title.innerText(), "Enter your Acme <b>Pro</b> license key");
    await p.check(refusal("metadata_mismatch"));
    assert.equal(await title.innerText(), "Your Acme <b>Pro</b> license");
    await p.gate.evaluate((gate) => gate.removeAttribute("product-name"));
    assert.equal(await title.innerText(), "Your license");
  });

  test("a desktop app gives no advice about browsers", { skip: once }, async (t) => {
    const inElectron = (): void => {
      const userAgent = "Mozilla/5.0 Chrome/138.0.0.0 Electron/45.4.1 Safari/537.36";
      Object.defineProperty(navigator, "userAgent", { get: () => userAgent });
    };
    for (const [before, advice] of [
      [inElectron, /Restart the app/],
      [() => {}, /Reload the page.*browser extensions/s],
    ] as const) {
      const p = await open(t, { before });
      await p.check({ error: "load_failed" });
      const next = await p.gate.locator("[part=next]").innerText();
      assert.match(next, advice);
      assert.equal(/browser/.test(next), before !== inElectron, next);
    }
  });

  test("it is in the middle of the window, whatever the page's own style", async (t) => {
    for (const height of [500, 900]) {
      const p = await open(t, { viewport: { width: 700, height }, gate: false });
      await p.page.evaluate(() => {
        for (const element of document.querySelectorAll("h1, p")) element.remove();
      });
      await p.add({});
      const off = await p.gate.locator("[part=panel]").evaluate((panel) => {
        const { x, y, width, height } = panel.getBoundingClientRect();
        return { x: x + width / 2 - innerWidth / 2, y: y + height / 2 - innerHeight / 2 };
      });
      assert.ok(Math.abs(off.x) <= 8 && Math.abs(off.y) <= 40, JSON.stringify(off));
      const scrolls = await p.page.evaluate(
        () => document.documentElement.scrollHeight > document.documentElement.clientHeight,
      );
      assert.equal(scrolls, false);
    }
  });

  const throws = [
    ...["undefined", "null", "string", "symbol", "an error", "an object without a prototype"],
    ...[
      "an object whose members throw",
      "an error with an unknown code",
      "an error with a verdict's code",
    ],
  ] as const;

  test("a validator may throw anything", async (t) => {
    const p = await open(t);
    for (const what of throws) {
      await p.check({ throws: what as "null" });
      assert.equal(await p.state(), "error", what);
      assert.equal(await p.content.isVisible(), false);
      const event = (await p.events()).at(-1);
      assert.equal(event?.type, "whop-license-error");
      assert.equal(event?.detail.code, "load_failed", what);
    }
    assert.equal((await p.events()).length, throws.length);
  });

  test("an error of another copy of the class keeps its code", async (t) => {
    const p = await open(t);
    await p.check({ throws: "a foreign error" });
    const [event] = await p.events();
    assert.equal(event?.detail.code, "unavailable");
    assert.equal(event?.detail.own, true);
  });

  test("only a valid verdict opens it", { skip: once }, async (t) => {
    const p = await open(t);
    const good = { source: "server", checkedAt: "x", membership: { valid: true } };
    const values: unknown[] = [
      ...[undefined, null, true, 1, "valid", [], {}, { valid: true }, { code: "valid" }],
      ...[
        { ...good, valid: true },
        { ...good, code: "valid" },
      ],
      ...["true", 1, {}].map((valid) => ({ ...good, valid, code: "valid" })),
      ...["not_found", "VALID", "", null].map((code) => ({ ...good, valid: true, code })),
      ...["valid", "constructor", "unavailable"].map((code) => ({ ...good, valid: false, code })),
      ...[null, undefined, "x"].map((membership) => ({
        ...good,
        valid: true,
        code: "valid",
        membership,
      })),
    ];
    for (const verdict of values) {
      await p.check({ verdict });
      assert.equal(await p.state(), "error", JSON.stringify(verdict));
      assert.equal(await p.content.isVisible(), false, JSON.stringify(verdict));
    }
    assert.deepEqual(
      new Set((await p.events()).map(({ detail }) => detail.code)),
      new Set(["load_failed"]),
    );
  });

  test("the license key is only in its field", async (t) => {
    const spaced = `${key}!'(ä)`;
    const p = await open(t, { gate: { store: "none" } });
    const said: string[] = [];
    p.page.on("console", (message) => said.push(message.text()));
    const message = `No such Membership: ${spaced} ${encodeURIComponent(spaced)} ${spaced.toLowerCase()}`;
    for (const plan of [
      refusal("not_found", message),
      { error: "unavailable", message } as const,
      valid({ membership: { valid: true, license_key: spaced } }),
    ]) {
      await p.check(plan, spaced);
      const all = (await p.everything()) + JSON.stringify(await p.events()) + said.join();
      assert.doesNotMatch(all, /18DCE6/i);
    }
    assert.match(JSON.stringify(await p.events()), /No such Membership: •••/);
  });

  test("texts in another language", async (t) => {
    const p = await open(t, {
      clock: true,
      gate: {
        texts: {
          locale: "de",
          title: "Lizenzschlüssel eingeben",
          submit: "Prüfen",
          outcomes: { rate_limited: { title: "<b>Zu viele</b> Anfragen" } },
        },
      },
    });
    await p.page.getByRole("heading", { name: "Lizenzschlüssel eingeben" }).waitFor();
    await p.input.fill(key);
    await p.page.getByRole("button", { name: "Prüfen" }).click();
    await p.answer({ error: "rate_limited", retryAfterMs: 42_000 });
    // Texts are never markup.
    assert.equal(
      await p.page.getByRole("heading", { level: 3 }).innerText(),
      "<b>Zu viele</b> Anfragen",
    );
    assert.equal(
      await p.gate.locator("[part=wait]").innerText(),
      "You can try again in 42 Sekunden.",
    );
    assert.equal(await p.gate.locator("[part=panel]").getAttribute("lang"), "de");
    await p.gate.evaluate((gate: Element) => {
      (gate as Gate).texts = {
        retryIn: (time, seconds) => `${time} (${seconds})`,
      };
    });
    assert.equal(await p.gate.locator("[part=wait]").innerText(), "42 seconds (42)");
    await p.page.getByRole("heading", { name: "Your license" }).waitFor();
  });

  test("addresses that would run code are not links", async (t) => {
    const p = await open(t, {
      gate: {
        attributes: { "reset-url": "javascript:alert(1)", "buy-url": "data:text/html,x" },
      },
    });
    await p.check(refusal("not_found"));
    const links = p.gate.getByRole("link");
    assert.equal(await links.count(), 1);
    assert.equal(await links.getAttribute("href"), memberships);
    assert.equal(await links.getAttribute("rel"), "noopener noreferrer");
    await p.gate.evaluate((gate) => gate.setAttribute("reset-url", "https://seller.example/reset"));
    assert.equal(await links.getAttribute("href"), "https://seller.example/reset");
  });

  test("with the package's own validator", async (t) => {
    const simulator = await startSimulator();
    t.after(() => simulator.stop());
    const p = await open(t, { gate: { machineId: "machine-1", validator: "none" } });
    await p.page.evaluate(
      async ({ path, url, apiKey }) => {
        const { useReal }: Harness = await import(path);
        useReal(document.querySelector("whop-license-gate") as Gate, url, apiKey);
      },
      { path: harness, url: simulator.url, apiKey: simulator.apiKey },
    );
    const title = p.page.getByRole("heading", { level: 3 });

    await p.submit("not/a/key");
    await p.page.getByText("This can’t be a license key.").first().waitFor();
    await p.submit();
    await title.getByText("License key not found").waitFor();
    await simulator.add({ license_key: key, metadata: { HWID: "machine-0" } });
    await p.submit();
    await title.getByText("in use on another machine").waitFor();
    // The simulator's message contains the key, as Whop's does.
    assert.doesNotMatch(await p.everything(), /18DCE6/);
    await simulator.control(`reset/${key}`);
    await p.retry.click();
    await p.content.waitFor();
    assert.doesNotMatch(JSON.stringify(await p.events()), /18DCE6/);
    assert.deepEqual(await p.eventTypes(), ["error", "refused", "refused", "valid"]);
  });
});
