// The real gateway behind real nginx and HAProxy: their own pages are no word of
// the gateway's, and what it says comes through.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { loadValidator, type Validator } from "whop-license";
import {
  makeSigningKey,
  sampleProduct as product,
  type Servers,
  type SigningKey,
  startServers,
} from "../servers.js";
import type { LocalServer } from "../static-server.js";
import {
  type Expected,
  expectedOf,
  leaseName,
  memoryStore,
  outcomesInPage,
  type ProxyRow,
  table,
  told,
  toldOf,
  unheard,
} from "./helpers/between.js";
import { launchBrowser } from "./helpers/browser.js";
import { blankPage, complaints, servePages, strictPolicy } from "./helpers/page.js";
import { type Proxies, startProxies } from "./helpers/proxies.js";
import { type Case, type Outcomes, outcomesOf } from "./pages/between.js";
import { answerOf } from "./pages/harness.js";

type Harness = typeof import("./pages/harness.js");

const kinds = ["nginx", "haproxy"] as const;
const rows = table.proxies;
// Nothing must be lost or changed in an address on its way through a proxy.
const odd = "ÄÖ+&=;,:@$'()*!~";
const memberships = [
  ...[...rows.keys()].map((n) => ({ license_key: `KEPT-${n}`, product })),
  ...["P-VALID", odd].map((license_key) => ({ license_key, product })),
  { license_key: "P-BOUND", product, metadata: { HWID: "another" } },
  { license_key: "P-ENDED", product, status: "expired" },
];
const said: Record<string, string> = {
  "P-VALID": "valid by server",
  [odd]: "valid by server",
  "P-BOUND": "metadata_mismatch 400",
  "P-ENDED": "inactive 403",
  "P-UNKNOWN": "not_found 404",
};

suite("behind proxies", () => {
  let browser: Browser;
  let pages: LocalServer;
  let page: Page;
  let complained: string[];
  let folder: string;
  let key: SigningKey;
  let servers: Servers;
  let proxies: Proxies;

  before(async () => {
    browser = await launchBrowser();
    pages = await servePages(strictPolicy("http://127.0.0.1:*"));
    folder = await mkdtemp(join(tmpdir(), "whop-license-"));
    const file = join(folder, "memberships.json");
    await writeFile(file, JSON.stringify(memberships));
    key = await makeSigningKey();
    servers = await startServers({
      origins: [pages.origin],
      memberships: file,
      simulatorArgs: ["--rate-limit-v1=0"],
      gatewayArgs: [
        ...[`--signing-key=${key.file}`, "--trusted-proxies=127.0.0.1/32"],
        ...["--client-limit=0", "--license-limit=0", "--upstream-budget=0"],
      ],
    });
    proxies = await startProxies(servers.endpoint);
    page = await browser.newPage();
    complained = complaints(page);
    await page.goto(pages.origin + blankPage);
  });
  after(async () => {
    await browser?.close();
    await proxies?.stop();
    await Promise.all([pages?.close(), servers?.stop(), key?.remove()]);
    if (folder) await rm(folder, { recursive: true });
  });

  const endpointOf = ({ proxy, path }: ProxyRow): string => {
    if (proxy === "nginx" && path === "/bad") return proxies.strictNginx;
    return proxies[proxy] + path;
  };
  const cases = (): Case[] =>
    rows.map((row, n) => ({
      ...{ kept: `KEPT-${n}`, none: "P-VALID", plain: "P-VALID" },
      endpoint: endpointOf(row),
    }));

  function byName(outcomes: Outcomes[], leases: string[]): Record<string, Expected> {
    return Object.fromEntries(
      rows.map(({ name }, n) => {
        const of = outcomes[n] as Outcomes;
        assert.equal(told(of.first), "valid by server", `${name}: no lease to begin with`);
        return [name, toldOf(of, leases.includes(leaseName(`KEPT-${n}`)))];
      }),
    );
  }

  test("each page is the proxy's own", async () => {
    for (const row of rows.filter(({ status }) => status !== 0)) {
      const url = `${endpointOf(row)}/api/v2/memberships/P-VALID/validate_license`;
      const body = '{"metadata":{"HWID":"m1"}}';
      const headers = { "content-type": "application/json" };
      const got = await fetch(url, { method: "POST", body, headers, redirect: "manual" }).catch(
        // Node's fetch keeps a 407 to itself, as a browser does.
        () => ({ status: 407, text: async () => "" }),
      );
      assert.equal(got.status, row.status, row.name);
      assert.doesNotMatch(await got.text(), /^\{/, row.name);
    }
  });

  test("the proxies' own pages, in Node", async () => {
    const leases = memoryStore();
    const { publicKey } = key;
    const given = { load: loadValidator, endpoint: servers.endpoint, publicKey, leases };
    const got = byName(await outcomesOf(given, cases()), leases.names());
    assert.deepEqual(got, Object.fromEntries(rows.map((row) => [row.name, expectedOf(row)])));
  });

  test("the proxies' own pages, in a browser: no page may read them", async () => {
    const given = { endpoint: servers.endpoint, publicKey: key.publicKey };
    const { outcomes, leases } = await outcomesInPage(page, given, cases());
    assert.deepEqual(
      byName(outcomes, leases),
      Object.fromEntries(rows.map(({ name }) => [name, unheard])),
    );
    complained.length = 0; // of each answer without CORS headers
  });

  test("the gateway's answers come through, in Node", async () => {
    for (const kind of kinds) {
      const given = { endpoint: proxies[kind] };
      const keyed: Validator = await loadValidator({ ...given, publicKey: key.publicKey });
      const plain: Validator = await loadValidator(given);
      for (const { validateLicense } of [keyed, plain]) {
        for (const [licenseKey, outcome] of Object.entries(said)) {
          const got = told(await answerOf(validateLicense(licenseKey, "m1")));
          assert.equal(got, outcome, `${kind}: ${licenseKey}`);
        }
      }
    }
  });

  test("the gateway's answers come through, in a browser", async () => {
    for (const kind of kinds) {
      const answers = await page.evaluate(
        async ({ endpoint, publicKey, keys, path }) => {
          const { answerOf, load }: Harness = await import(path);
          const { validateLicense } = await load(endpoint, { publicKey });
          return Promise.all(keys.map((key) => answerOf(validateLicense(key, "m1"))));
        },
        {
          endpoint: proxies[kind],
          publicKey: key.publicKey,
          keys: Object.keys(said),
          path: "/test/pages/harness.js",
        },
      );
      assert.deepEqual(answers.map(told), Object.values(said), kind);
    }
    assert.deepEqual(complained, []);
  });

  test("a proxy whose gateway is down", async () => {
    const leases = memoryStore();
    const { publicKey } = key;
    const validators: Validator[] = [];
    for (const kind of kinds) {
      validators.push(await loadValidator({ endpoint: proxies[kind], publicKey, leases }));
    }
    for (const { validateLicense } of validators) {
      assert.equal(told(await answerOf(validateLicense("P-VALID", "m1"))), "valid by server");
    }
    await servers.stop();
    const got = validators.map(async ({ validateLicense }) =>
      told(await answerOf(validateLicense("P-VALID", "m1", { maxAttempts: 1 }))),
    );
    assert.deepEqual(await Promise.all(got), [
      "valid by lease (unavailable 502)",
      "valid by lease (unavailable 503)",
    ]);
    assert.equal(leases.names().length, 1);
  });
});
