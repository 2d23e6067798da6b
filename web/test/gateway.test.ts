// The launcher and the package in a browser through the gateway, as in production.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as forward } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { launcherPage } from "../launcher-page.js";
import { type Servers, sampleProduct, startServers } from "../servers.js";
import { type LocalServer, listen } from "../static-server.js";
import { launchBrowser } from "./helpers/browser.js";
import { enter, outcome } from "./helpers/customer.js";
import {
  ask,
  askAll,
  blankPage,
  codeOf,
  complaints,
  servePages,
  strictPolicy,
} from "./helpers/page.js";

type Harness = typeof import("./pages/harness.js");

const product = sampleProduct;
const memberships = [
  { license_key: "G-VALID", product, email: "someone@example.com", name: "Some One" },
  { license_key: "G-BOUND", product, metadata: { HWID: "another" } },
  { license_key: "G-ENDED", product, status: "expired" },
  { license_key: "G-OTHER", product: "prod_other" },
  { license_key: "G-MANY", product },
  { license_key: "G-RACE", product },
  ...["500", "401", "403", "timeout", "reset", "garbage", "html", "redirect"].map((fault) => ({
    license_key: `G-FAULT-${fault}`,
    product,
    fault,
  })),
];

suite("through the gateway", () => {
  let browser: Browser;
  let folder: string;
  let launcher: LocalServer;
  let pages: LocalServer;
  let servers: Servers;
  let page: Page;
  let said: string[];

  before(async () => {
    browser = await launchBrowser();
    folder = await mkdtemp(join(tmpdir(), "whop-license-"));
    const file = join(folder, "memberships.json");
    await writeFile(file, JSON.stringify(memberships));
    launcher = await listen();
    pages = await servePages(strictPolicy("http://127.0.0.1:*"));
    servers = await startServers({
      origins: [launcher.origin, pages.origin],
      memberships: file,
      simulatorArgs: ["--rate-limit-v1=0"],
      gatewayArgs: [
        "--client-limit=0",
        "--license-limit=0",
        "--upstream-budget=0",
        "--upstream-timeout=1s",
      ],
    });
    launcher.handle(launcherPage(servers.endpoint));
    page = await browser.newPage();
    said = complaints(page);
    await page.goto(pages.origin + blankPage);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([launcher?.close(), pages?.close(), servers?.stop()]);
    if (folder) await rm(folder, { recursive: true });
    assert.deepEqual(said, []);
  });

  test("the launcher shows each verdict, without any API key in the page", async () => {
    const customer = await browser.newPage();
    const heard = complaints(customer);
    await customer.goto(`${launcher.origin}/#machine-id=one`);
    for (const [key, code] of [
      ["G-VALID", "valid"],
      ["G-BOUND", "metadata_mismatch"],
      ["G-ENDED", "inactive"],
      ["G-OTHER", "not_found"],
      ["G-UNKNOWN", "not_found"],
      ["G-FAULT-401", "unavailable"],
    ] as const) {
      await enter(customer, key);
      assert.equal((await outcome(customer, 60_000)).code, code, key);
    }
    assert.deepEqual(heard, []);
    await customer.close();
  });

  test("no personal data reaches the page, and an app's own API key changes nothing", async () => {
    const answer = await ask(page, servers.endpoint, {
      key: "G-VALID",
      hwid: "one",
      options: { apiKey: "not-the-seller's", dangerouslyAllowBrowser: true },
    });
    assert.ok(answer.verdict?.valid, JSON.stringify(answer));
    assert.equal(answer.verdict.membership.product, product);
    assert.doesNotMatch(JSON.stringify(answer), /someone|Some One/);
  });

  test("no failure at Whop becomes a verdict", async () => {
    const faults = memberships
      .map(({ license_key: key }) => key)
      .filter((key) => key.startsWith("G-FAULT"));
    const options = { maxAttempts: 1, timeoutMs: 20_000 };
    const answers = await askAll(
      page,
      servers.endpoint,
      faults.map((key) => ({ key, hwid: "one", options })),
    );
    for (const [i, key] of faults.entries()) {
      assert.match(codeOf(answers[i]) ?? "", /^(unavailable|rate_limited)$/, key);
    }
  });

  test("of two machines whose first checks come at once, one is bound", async () => {
    const questions = Array.from({ length: 40 }, (_, i) => ({
      key: "G-RACE",
      hwid: `machine ${i % 2}`,
    }));
    const answers = await askAll(page, servers.endpoint, questions);
    const byMachine = [0, 1].map((n) => [
      ...new Set(answers.filter((_, i) => i % 2 === n).map(codeOf)),
    ]);
    assert.deepEqual(byMachine.toSorted(), [["metadata_mismatch"], ["valid"]]);
  });

  test("three hundred checks in flight", async () => {
    const options = { timeoutMs: 120_000 }; // of which the last ones spend most in the browser's queue
    const questions = Array.from({ length: 300 }, () => ({ key: "G-MANY", hwid: "one", options }));
    const answers = await askAll(page, servers.endpoint, questions);
    assert.deepEqual([...new Set(answers.map(codeOf))], ["valid"]);
  });

  test("a page of another origin gets no verdict", async () => {
    const stranger = await servePages();
    try {
      const visitor = await browser.newPage();
      await visitor.goto(stranger.origin + blankPage);
      const { error } = await ask(visitor, servers.endpoint, {
        key: "G-VALID",
        hwid: "one",
        options: { maxAttempts: 1 },
      });
      assert.equal(error?.code, "unavailable");
      await visitor.close();
    } finally {
      await stranger.close();
    }
  });

  test("the preflight allows what the package sends, from the listed origin", async () => {
    const preflight = (origin: string): Promise<Response> =>
      fetch(`${servers.endpoint}/api/v2/memberships/G-VALID/validate_license`, {
        method: "OPTIONS",
        headers: {
          Origin: origin,
          "Access-Control-Request-Method": "POST",
          "Access-Control-Request-Headers": "content-type",
        },
      });
    const listed = (await preflight(launcher.origin)).headers;
    assert.equal(listed.get("access-control-allow-origin"), launcher.origin);
    assert.match(listed.get("access-control-allow-headers") ?? "", /content-type/i);
    assert.equal(listed.get("access-control-allow-credentials"), null);
    const stranger = (await preflight("http://127.0.0.1:1")).headers;
    assert.equal(stranger.get("access-control-allow-origin"), null);
  });

  test("twenty checks from another origin need one preflight", async () => {
    const methods: (string | undefined)[] = [];
    const counter = await listen();
    counter.handle((request, response) => {
      const { method, url, headers } = request;
      methods.push(method);
      const onward = forward(servers.endpoint + url, { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      onward.once("error", () => response.destroy());
      request.pipe(onward);
    });
    try {
      const codes = await page.evaluate(
        async ({ endpoint, path }) => {
          const { answerOf, load }: Harness = await import(path);
          const { validateLicense } = await load(endpoint);
          const codes: (string | undefined)[] = [];
          for (let n = 0; n < 20; n++) {
            const { verdict, error } = await answerOf(validateLicense("G-MANY", "one"));
            codes.push(verdict?.code ?? error?.code);
          }
          return codes;
        },
        { endpoint: counter.origin, path: "/test/pages/harness.js" },
      );
      assert.deepEqual(codes, Array(20).fill("valid"));
      assert.deepEqual(methods, ["OPTIONS", ...Array(20).fill("POST")]);
    } finally {
      await counter.close();
    }
  });
});
