// Every answer that the simulator can give, through the package in a page.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { LocalServer } from "../static-server.js";
import type { Browser, Page } from "./engines/engine.js";
import { launchEngine, noOffline } from "./engines/launch.js";
import {
  ask,
  askAll,
  blankPage,
  codeOf,
  complaints,
  servePages,
  strictPolicy,
} from "./helpers/page.js";
import { type Simulator, startSimulator } from "./helpers/simulator.js";

// How a client that asks once sees each fault of the simulator.
const outcomes: Record<string, string> = {
  timeout: "timeout",
  reset: "unavailable",
  close: "unavailable",
  truncated: "unavailable",
  "stalled-body": "timeout",
  slow: "valid",
  "slow-body": "valid",
  "200": "valid",
  "202": "bad_response",
  "204": "bad_response",
  "304": "bad_response",
  "400": "metadata_mismatch",
  "400-id": "metadata_mismatch",
  "401": "unauthorized",
  "403": "unauthorized",
  "403-ip": "unauthorized",
  "403-membership": "unauthorized",
  "404": "not_found",
  "404-route": "not_found",
  "408": "unavailable",
  "418": "bad_response",
  "422": "bad_response",
  "429": "rate_limited",
  "500": "unavailable",
  "502": "unavailable",
  "503": "unavailable",
  "504": "unavailable",
  "random-500": "unavailable",
  garbage: "bad_response",
  html: "bad_response",
  "html-403": "bad_response",
  "html-404": "bad_response",
  "html-500": "unavailable",
  "html-503": "unavailable",
  empty: "bad_response",
  array: "bad_response",
  null: "bad_response",
  "empty-404": "bad_response",
  huge: "bad_response",
  "duplicate-names": "bad_response",
  "trailing-data": "bad_response",
  "invalid-utf8": "bad_response",
  "wrong-types": "bad_response",
  "valid-missing": "bad_response",
  "valid-false": "inactive",
  "valid-null": "bad_response",
  "valid-number": "bad_response",
  "valid-string": "bad_response",
  "status-unknown": "valid",
  "key-other": "valid",
  redirect: "bad_response",
  "redirect-307": "bad_response",
  "lost-write-500": "unavailable",
};
// Where a connection that was used before is reset, the browser itself asks
// again. Which connection a call gets is up to the browser, and so is what comes
// of asking once; asking until it is answered is tested below.
const upToTheBrowser = ["lost-write"];
// Faults of the current API, which a client never uses.
const upstreamOnly = [
  ...["status-missing", "key-null", "failed-write", "ignored-write", "late-write"],
  ...["late-write-504", "late-write-html-500", "late-write-html-503", "overwritten", "stale-read"],
  ...["unapplied-write", "lowered-names", "text-values", "trimmed-values"],
  ...["metadata-missing", "odd-members", "repeated-member", "bare-ids", "objects"],
];

suite("answers in a page", () => {
  let browser: Browser;
  let pages: LocalServer;
  let simulator: Simulator;
  let page: Page;
  let said: string[];
  let options: Record<string, unknown>;

  before(async () => {
    browser = await launchEngine();
    simulator = await startSimulator();
    pages = await servePages(strictPolicy("http://127.0.0.1:*"));
    options = { apiKey: simulator.apiKey, dangerouslyAllowBrowser: true };
    page = await browser.newPage();
    said = complaints(page);
    await page.goto(pages.origin + blankPage);
  });

  after(async () => {
    await browser?.close();
    await pages?.close();
    await simulator?.stop();
    assert.deepEqual(said, []);
  });

  test("a first machine, a second machine, an unknown key, a canceled key", async () => {
    const license_key = "FIRST-USE";
    await simulator.add({ license_key, product: "prod_x", expires_at: 1893456000 });
    const valid = await ask(page, simulator.url, {
      key: ` ${license_key}\n`,
      hwid: "one",
      options,
    });
    assert.ok(valid.verdict?.valid, JSON.stringify(valid));
    assert.equal(valid.verdict.source, "server");
    assert.equal(valid.verdict.membership.product, "prod_x");
    assert.equal(valid.verdict.membership.expires_at, 1893456000);
    assert.deepEqual(valid.verdict.membership.metadata, { HWID: "one" });
    assert.ok(!("email" in valid.verdict.membership));
    assert.ok(Math.abs(Date.parse(valid.verdict.checkedAt) - Date.now()) < 60_000);

    const mismatch = await ask(page, simulator.url, { key: license_key, hwid: "two", options });
    assert.equal(codeOf(mismatch), "metadata_mismatch");
    assert.ok(mismatch.verdict && !mismatch.verdict.valid && mismatch.verdict.status === 400);
    assert.match(mismatch.verdict.message, /reset your key/);

    await simulator.control(`reset/${license_key}`);
    const again = await ask(page, simulator.url, { key: license_key, hwid: "two", options });
    assert.equal(codeOf(again), "valid");

    const unknown = await ask(page, simulator.url, {
      key: "NOBODY-HAS-THIS",
      hwid: "one",
      options,
    });
    assert.equal(codeOf(unknown), "not_found");

    await simulator.add({ license_key: "CANCELED", status: "canceled" });
    const canceled = await ask(page, simulator.url, { key: "CANCELED", hwid: "one", options });
    assert.equal(codeOf(canceled), "inactive");
  });

  test("the request is that of the contract", async () => {
    await simulator.add({ license_key: "ÄÖ+&=;,:@$'()*!~" });
    await simulator.forget();
    const key = "ÄÖ+&=;,:@$'()*!~";
    const { verdict } = await ask(page, simulator.url, { key, hwid: { A: "1", B: "2" }, options });
    assert.equal(verdict?.code, "valid");
    const request = (await simulator.seen()).find(({ operation }) => operation === "v2.validate");
    assert.equal(request?.method, "POST");
    assert.equal(request.key, key);
    assert.equal(request.origin, pages.origin);
    assert.deepEqual(JSON.parse(request.body), { metadata: { A: "1", B: "2" } });
  });

  test("every fault has its outcome", async () => {
    const faults = Object.keys(outcomes);
    await simulator.add(
      ...faults.map((fault) => ({
        license_key: `FAULT-${fault}`,
        fault,
        fault_delay: "50ms",
        fault_probability: 1,
        fault_retry_after: "7",
      })),
    );
    const answers = await askAll(
      page,
      simulator.url,
      faults.map((fault) => ({
        key: `FAULT-${fault}`,
        hwid: "one",
        // Only checks that get no answer wait until their timeout.
        options: {
          ...options,
          maxAttempts: 1,
          timeoutMs: outcomes[fault] === "timeout" ? 1000 : 30_000,
        },
      })),
    );
    const got = Object.fromEntries(faults.map((fault, i) => [fault, codeOf(answers[i])]));
    assert.deepEqual(got, outcomes);

    for (const [i, fault] of faults.entries()) {
      const error = answers[i]?.error;
      if (!error) continue;
      assert.equal(error.name, "LicenseError", fault);
      assert.ok(error.own, `${fault}: not the package's class`);
      assert.ok(error.message.length > 20, `${fault}: ${error.message}`);
      assert.equal(
        error.retryable,
        ["unavailable", "rate_limited", "timeout", "bad_response"].includes(error.code),
      );
      if (fault === "429") assert.equal(error.retryAfterMs, 7000);
      if (fault === "500") assert.equal(error.status, 500);
    }
    const seen = await simulator.seen();
    assert.ok(seen.some(({ key }) => key === "FAULT-redirect"));
    assert.deepEqual(
      seen.filter(({ operation }) => operation === "redirected"),
      [],
      "a redirect was followed",
    );
  });

  test("the table above names every fault that the simulator has", async () => {
    const refused = await simulator.control("memberships", { license_key: "X", fault: "no such" });
    const { error } = (await refused.json()) as { error: string };
    const known = error.replace(/^.*known are /s, "").split(", ");
    const named = [...Object.keys(outcomes), ...upToTheBrowser, ...upstreamOnly];
    assert.deepEqual(known.toSorted(), named.toSorted());
  });

  test("a temporary failure is retried, and counts once", async () => {
    await simulator.add(
      { license_key: "TWICE-500", fault: "500", fault_times: 2 },
      { license_key: "TWICE-LOST", fault: "lost-write", fault_times: 2 },
      { license_key: "EVER-500", fault: "500" },
      { license_key: "EVER-401", fault: "401" },
    );
    await simulator.forget();
    const keys = ["TWICE-500", "TWICE-LOST", "EVER-500", "EVER-401"];
    const answers = await askAll(
      page,
      simulator.url,
      keys.map((key) => ({ key, hwid: "one", options })),
    );
    assert.deepEqual(answers.map(codeOf), ["valid", "valid", "unavailable", "unauthorized"]);
    const seen = (await simulator.seen()).filter(({ operation }) => operation === "v2.validate");
    const times = keys.map((key) => seen.filter((request) => request.key === key).length);
    assert.equal(times[0], 3);
    assert.ok(times[1] === 2 || times[1] === 3);
    assert.deepEqual(times.slice(2), [3, 1]);
  });

  test("offline is unavailable, and back online there is an answer", {
    skip: noOffline,
  }, async () => {
    await simulator.add({ license_key: "OFFLINE" });
    const context = page.context();
    const question = { key: "OFFLINE", hwid: "one", options: { ...options, maxAttempts: 1 } };
    assert.equal(codeOf(await ask(page, simulator.url, question)), "valid");
    await context.setOffline(true);
    try {
      const { error } = await ask(page, simulator.url, question);
      assert.equal(error?.code, "unavailable");
      assert.equal(error.retryable, true);
      assert.equal(error.status, undefined);
    } finally {
      await context.setOffline(false);
    }
    assert.equal(codeOf(await ask(page, simulator.url, question)), "valid");
  });

  test("a port where nothing listens is unavailable", async () => {
    const gone = await startSimulator();
    await gone.stop();
    const answer = await ask(page, gone.url, {
      key: "ANY",
      hwid: "one",
      options: { ...options, maxAttempts: 1 },
    });
    assert.equal(codeOf(answer), "unavailable");
  });
});
