// The launcher page as a customer meets it: page → WebAssembly → HTTP → gateway →
// simulator. Without the gateway, the simulator is what may answer in its place.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, suite, test } from "node:test";
import { launcherPage } from "../launcher-page.js";
import { type Running, startGateway } from "../servers.js";
import { type LocalServer, listen } from "../static-server.js";
import type { Browser, Context, Page } from "./engines/engine.js";
import { launchEngine, noOffline } from "./engines/launch.js";
import { enter, outcome, type Shown } from "./helpers/customer.js";
import { complaints } from "./helpers/page.js";
import { type Front, type Simulator, startFront, startSimulator } from "./helpers/simulator.js";

interface Outcome {
  key: string;
  code: string;
  says: RegExp;
  /** Whether there is a link to Whop, and whether the customer can try again. */
  whop?: boolean;
  retry?: boolean;
}

suite("the launcher page", () => {
  let browser: Browser;
  let simulator: Simulator;
  let front: Front;
  let gateway: Running;
  let server: LocalServer;
  let context: Context;
  let page: Page;
  let said: string[];

  before(async () => {
    browser = await launchEngine();
    simulator = await startSimulator(["--retry-after"]);
    front = await startFront(simulator);
    server = await listen();
    gateway = await startGateway({
      ...{ simulator: simulator.url, apiKey: simulator.apiKey },
      ...{ product: "prod_sim", origins: [server.origin] },
    });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    await gateway?.stop();
    await front?.close();
    await simulator?.stop();
  });
  beforeEach(async () => {
    context = await browser.newContext();
    page = await context.newPage();
    said = complaints(page);
    server.handle(launcherPage(front.origin));
    await simulator.forget();
  });
  afterEach(async () => {
    await context.close();
    assert.deepEqual(said, []);
  });

  const open = async (fragment = ""): Promise<void> => {
    await page.goto(`${server.origin}/${fragment}`);
    await field().waitFor();
  };

  const throughGateway = (): void => server.handle(launcherPage(gateway.url));

  const check = (key: string): Promise<void> => enter(page, key);
  const result = (): Promise<Shown> => outcome(page);
  const valid = (): Promise<void> =>
    page.getByRole("heading", { name: "Your license is valid" }).waitFor();
  const status = () => page.getByRole("status");
  const field = () => page.getByRole("textbox", { name: "License key" });
  const link = () => page.getByRole("link", { name: "Open Whop" });
  const retry = () => page.getByRole("button", { name: "Try again" });
  /** What has the focus, in the gate too. */
  const focused = (): Promise<string> =>
    page.evaluate(() => {
      let at = document.activeElement;
      while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
      return at?.id || at?.getAttribute("part") || `${at?.parentElement?.id} ${at?.localName}`;
    });
  const requests = async (): Promise<number> =>
    (await simulator.seen()).filter(({ operation }) => operation === "v2.validate").length;

  const verdicts: Outcome[] = [
    { key: "L-VALID", code: "valid", says: /is valid.*Status\s+active.*Valid until\s+\S+/s },
    {
      key: "L-BOUND",
      code: "metadata_mismatch",
      says: /another machine.*Reset Key/s,
      whop: true,
      retry: true,
    },
    {
      key: "L-UNKNOWN",
      code: "not_found",
      says: /key not found.*Copy the whole key/s,
      whop: true,
    },
    {
      key: "L-ENDED",
      code: "inactive",
      says: /no longer active.*renew/s,
      whop: true,
      retry: true,
    },
  ];
  const errors: Outcome[] = [
    {
      key: "L-401",
      code: "bad_response",
      says: /answered in the license server’s place.*was not checked.*another network/s,
      retry: true,
    },
    {
      key: "L-429",
      code: "rate_limited",
      says: /asking you to wait.*was not checked.*Wait/s,
      retry: true,
    },
    { key: "L-500", code: "unavailable", says: /can’t be reached.*was not checked/s, retry: true },
    {
      key: "L-RESET",
      code: "unavailable",
      says: /can’t be reached.*was not checked/s,
      retry: true,
    },
    {
      key: "L-HTML",
      code: "bad_response",
      says: /answered in the license server’s place.*was not checked.*another network/s,
      retry: true,
    },
    {
      key: "L-REDIRECT",
      code: "bad_response",
      says: /answered in the license server’s place.*was not checked.*another network/s,
      retry: true,
    },
  ];

  test("says what happened and what to do next for every outcome", async () => {
    await simulator.add(
      { license_key: "L-VALID", renewal_period_end: 1893456000, cancel_at_period_end: true },
      { license_key: "L-BOUND", metadata: { HWID: "another" } },
      { license_key: "L-ENDED", status: "expired" },
      { license_key: "L-401", fault: "401" },
      { license_key: "L-429", fault: "429", fault_retry_after: "60" },
      { license_key: "L-500", fault: "500" },
      { license_key: "L-RESET", fault: "reset" },
      { license_key: "L-HTML", fault: "html" },
      { license_key: "L-REDIRECT", fault: "redirect" },
    );
    throughGateway();
    await open("#machine-id=one");
    for (const verdict of verdicts) await shows(verdict);
    server.handle(launcherPage(front.origin));
    await page.reload();
    for (const error of errors) await shows(error);
  });

  async function shows({ key, code, says, whop = false, retry: again = false }: Outcome) {
    await check(key);
    const shown = await result();
    assert.equal(shown.code, code, key);
    assert.match(shown.text, says, key);
    assert.match(shown.text, /What to do next/);
    assert.ok(shown.focused, `${key}: the result did not take the focus`);
    assert.equal(await link().isVisible(), whop, `${key}: link to Whop`);
    assert.equal(await retry().isVisible(), again, `${key}: try again`);
    if (code === "metadata_mismatch") {
      assert.match((await link().getAttribute("href")) ?? "", /^https:\/\/whop\.com\//);
      assert.match((await link().getAttribute("rel")) ?? "", /noopener/);
    }
    if (code === "valid") return;
    const invalid = await field().getAttribute("aria-invalid");
    assert.equal(invalid, String(code === "not_found"), key);
  }

  test("says what a license is, and until when", async () => {
    const end = Date.parse("2030-01-15T12:00Z") / 1000;
    await simulator.add(
      { license_key: "L-RENEWS", status: "trialing", renewal_period_end: end },
      { license_key: "L-ENDS", renewal_period_end: end, cancel_at_period_end: true },
      { license_key: "L-FOREVER", status: "completed" },
    );
    await open("#machine-id=one");
    for (const [key, facts] of [
      ["L-RENEWS", "Status trialing Renews January 15, 2030"],
      ["L-ENDS", "Status active Valid until January 15, 2030"],
      ["L-FOREVER", "Status completed"],
    ] as const) {
      await check(key);
      assert.equal((await result()).code, "valid");
      const shown = await page.locator("#facts").innerText();
      assert.equal(shown.replace(/\s+/g, " "), facts);
      assert.equal(await field().isVisible(), false);
    }
    // The next customer starts with an empty form.
    await page.getByRole("button", { name: "Check another license" }).click();
    assert.equal(await field().inputValue(), "");
    assert.equal(await focused(), "key");
    assert.equal(await page.locator("#license").isVisible(), false);
  });

  test("a malformed key, machine id or endpoint is reported where it was entered", async () => {
    await simulator.add({ license_key: "L-ARGUMENT" });
    await open("#machine-id=one");
    await check("L/NEVER");
    const said = page.getByText("This can’t be a license key. Check it for missing").first();
    await said.waitFor();
    assert.equal(await field().getAttribute("aria-invalid"), "true");
    assert.equal(await focused(), "key");

    await open(`#machine-id=${"m".repeat(10_000)}`);
    await page.reload();
    assert.equal(await page.getByRole("textbox", { name: "Machine id" }).isVisible(), false);
    await check("L-ARGUMENT");
    const shown = await result();
    assert.equal(shown.code, "no_machine_id");
    assert.match(shown.text, /can’t be identified.*was not checked.*under Advanced/s);
    await page.getByRole("textbox", { name: "Machine id" }).fill("one");
    await page.keyboard.press("Enter");
    await valid();
    assert.equal(await requests(), 1);

    server.handle(launcherPage("http://license.example.com"));
    await page.goto(`${server.origin}/#machine-id=two`);
    await page.reload();
    await check("L-ARGUMENT");
    const { code, text } = await result();
    assert.equal(code, "invalid_argument");
    assert.match(text, /seller’s side.*Your license isn’t the cause.*Contact the seller/s);
  });

  test("after Reset Key, trying again works", async () => {
    await simulator.add({ license_key: "L-RESET-KEY", metadata: { HWID: "another" } });
    throughGateway();
    await open("#machine-id=one");
    await check("L-RESET-KEY");
    assert.equal((await result()).code, "metadata_mismatch");
    await simulator.control("reset/L-RESET-KEY");
    await retry().click();
    await valid();
  });

  test("sends the machine id of the fragment or the field, or asks for the helper", async () => {
    await simulator.add({ license_key: "L-ID", fault: "403" });
    await open("#machine-id=from+the+app");
    await check("L-ID");
    await result();
    await page.getByText("Advanced").click();
    await page.getByRole("textbox", { name: "Machine id" }).fill("by hand");
    await check("L-ID");
    await result();
    await page.evaluate(() => {
      location.hash = "machine-id=";
    });
    await page.waitForFunction(
      () => document.querySelector<HTMLInputElement>("#machine-id")?.value === "",
    );
    await check("L-ID");
    const { code, text } = await result();
    assert.equal(code, "no_machine_id");
    assert.match(text, /install the helper.*extension in this browser.*program on this computer/s);

    // A seller may remove this. Then no machine id is sent.
    await page.evaluate(() => {
      document.querySelector("whop-license-gate")?.removeAttribute("machine");
    });
    await check("L-ID");
    assert.equal((await result()).code, "bad_response");
    const bodies = (await simulator.seen())
      .filter(({ operation }) => operation === "v2.validate")
      .map(({ body }) => JSON.parse(body));
    assert.deepEqual(bodies, [
      { metadata: { HWID: "from the app" } },
      { metadata: { HWID: "by hand" } },
      { metadata: {} },
    ]);
  });

  test("an empty field is pointed out without a request", async () => {
    await open("#machine-id=one");
    await check("   ");
    const said = page.locator("[part=field-error]");
    assert.equal(await said.innerText(), "Enter your license key.");
    assert.equal(await field().getAttribute("aria-invalid"), "true");
    assert.equal(await focused(), "key");
    assert.equal(await page.locator("[part=result]").isVisible(), false);
    assert.equal(await requests(), 0);
  });

  test("shows that it is busy, asks only once, and can be canceled", async () => {
    await simulator.add({ license_key: "L-HELD", fault: "timeout" });
    await open("#machine-id=one");
    for (const way of ["button", "Escape"]) {
      await simulator.forget();
      const sent = front.nextCheck();
      await check("L-HELD");
      await sent;
      const form = page.locator("form");
      const submit = page.locator("[part~=submit]");
      assert.equal(await form.getAttribute("aria-busy"), "true");
      assert.equal(await status().textContent(), "Checking your license…");
      assert.equal(await submit.innerText(), "Checking…");
      await page.keyboard.press("Enter");
      await submit.click({ force: true });
      if (way === "button") await page.getByRole("button", { name: "Cancel" }).click();
      else await page.keyboard.press("Escape");
      const shown = await result();
      assert.equal(shown.code, "aborted");
      assert.ok(shown.focused);
      assert.equal(await form.getAttribute("aria-busy"), "false");
      assert.equal(await page.getByRole("button", { name: "Cancel" }).isVisible(), false);
      assert.ok((await requests()) <= 1);
    }
  });

  test("a server that doesn't answer is a timeout", async () => {
    await simulator.add({ license_key: "L-SILENT", fault: "timeout" });
    await page.clock.install();
    await open("#machine-id=one");
    const sent = front.nextCheck();
    await check("L-SILENT");
    await sent;
    await page.clock.fastForward(20_000);
    const shown = await result();
    assert.equal(shown.code, "timeout");
    assert.match(shown.text, /was not checked/);
  });

  test("counts down to when the server may be asked again", async () => {
    await simulator.add({
      license_key: "L-LATER",
      fault: "429",
      fault_times: 1,
      fault_retry_after: "90",
    });
    await page.clock.install();
    await open("#machine-id=one");
    await page.clock.pauseAt(Date.now() + 60_000); // as in helpers/gate.ts
    await check("L-LATER");
    assert.equal((await result()).code, "rate_limited");
    const wait = page.locator("[part=wait]");
    assert.equal(await retry().getAttribute("aria-disabled"), "true");
    assert.match(await wait.innerText(), /try again in 90 seconds/);
    await page.clock.fastForward(60_000);
    assert.match(await wait.innerText(), /try again in 30 seconds/);
    await retry().click({ force: true });
    assert.equal(await requests(), 1);
    await page.clock.fastForward(30_000);
    assert.equal(await retry().getAttribute("aria-disabled"), "false");
    assert.equal(await wait.isVisible(), false);
    assert.equal(await status().textContent(), "You can try again now.");
    await retry().click();
    await valid();
  });

  test("offline, it says so, and works again afterward", { skip: noOffline }, async () => {
    await simulator.add({ license_key: "L-OFFLINE" });
    await open("#machine-id=one");
    // The module is there before the network goes.
    await page.waitForFunction(() =>
      performance.getEntriesByType("resource").some(({ name }) => name.endsWith(".wasm")),
    );
    await context.setOffline(true);
    await check("L-OFFLINE");
    const shown = await result();
    assert.equal(shown.code, "unavailable");
    assert.match(shown.text, /You seem to be offline/);
    // It asks again automatically.
    await context.setOffline(false);
    await valid();
  });

  test("a module that can't be loaded is reported, and the next check loads it", async () => {
    await simulator.add({ license_key: "L-LOAD" });
    const served = launcherPage(front.origin);
    server.handle((request, response) => {
      if (request.url?.endsWith(".wasm")) response.writeHead(404).end();
      else served(request, response);
    });
    await open("#machine-id=one");
    await check("L-LOAD");
    const shown = await result();
    assert.equal(shown.code, "load_failed");
    assert.match(shown.text, /was not checked.*Reload/s);
    server.handle(served);
    await check("L-LOAD");
    await valid();
  });

  test("the server's message is shown as text, never as markup, and the report contains no key", async () => {
    const words = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    const hostile = await listen();
    hostile.handle((request, response) => {
      response.writeHead(request.method === "OPTIONS" ? 204 : 400, {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Headers": "*",
        "Content-Type": "application/json",
      });
      response.end(JSON.stringify({ error: { code: "metadata_mismatch", message: words } }));
    });
    server.handle(launcherPage(hostile.origin));
    try {
      await open("#machine-id=the-machine-id");
      await check("L-SECRET-KEY-1234");
      assert.equal((await result()).code, "metadata_mismatch");
      await page.getByText("Details for support").click();
      const report = await page.locator("[part=report]").innerText();
      assert.ok(report.includes(words), report);
      assert.ok(!report.includes("SECRET") && !report.includes("the-machine-id"));
      assert.equal(await page.locator("[part=result] img, [part=result] script").count(), 0);
      assert.equal(await page.title(), "Check your license");
    } finally {
      await hostile.close();
    }
  });

  test("works with only the keyboard", async () => {
    await simulator.add({ license_key: "L-KEYS", metadata: { HWID: "another" } });
    throughGateway();
    await open();
    const focus: string[] = [];
    const tab = async (): Promise<void> => {
      await page.keyboard.press("Tab");
      focus.push(await focused());
    };
    await tab();
    await page.keyboard.type("L-KEYS");
    await tab();
    await page.keyboard.press("Space");
    await tab();
    await page.keyboard.type("one");
    await tab();
    await page.keyboard.press("Enter");
    assert.equal((await result()).code, "metadata_mismatch");
    await tab();
    await tab();
    await tab();
    await simulator.control("reset/L-KEYS");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Enter");
    await valid();
    await tab();
    assert.deepEqual(focus, [
      ...["key", "advanced summary", "machine-id", "button submit primary"],
      ...["button manage", "button retry", "details-title", "another"],
    ]);
  });

  test("its policy forbids what it doesn't need", async () => {
    const policy = (await fetch(server.origin)).headers.get("content-security-policy") ?? "";
    for (const part of [
      "default-src 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]) {
      assert.ok(policy.includes(part), policy);
    }
    assert.ok(policy.includes(`connect-src 'self' ${front.origin};`), policy);
    assert.ok(!/unsafe-(inline|eval)(?<!wasm-unsafe-eval)/.test(policy), policy);
    // The page says the same by itself, where a seller's server sends no header.
    await open();
    const meta = page.locator('meta[http-equiv="Content-Security-Policy"]');
    const own = await meta.getAttribute("content");
    assert.equal(`${own}; frame-ancestors 'none'`, policy);
  });
});
