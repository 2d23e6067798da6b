// What depends on the engine and is tested in Chromium among other things: the
// package under a strict policy and in a worker, many checks at once, and leases
// that are kept and tampered with.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import {
  makeSigningKey,
  type Servers,
  type SigningKey,
  sampleKeys,
  startServers,
} from "../../servers.js";
import type { LocalServer } from "../../static-server.js";
import { blankPage, servePages, strictPolicy } from "../helpers/page.js";
import type { Answer } from "../pages/harness.js";
import type { Browser, Page } from "./engine.js";
import { engineName, launchEngine } from "./launch.js";

type Harness = typeof import("../pages/harness.js");

suite(`in ${engineName}`, () => {
  let browser: Browser;
  let pages: LocalServer;
  let servers: Servers;
  let key: SigningKey;

  before(async () => {
    browser = await launchEngine();
    pages = await servePages(strictPolicy("http://127.0.0.1:*"));
    key = await makeSigningKey();
    servers = await startAll();
  });
  after(async () => {
    await browser?.close();
    await Promise.all([pages?.close(), servers?.stop(), key?.remove()]);
  });

  const startAll = (): Promise<Servers> =>
    startServers({
      origins: [pages.origin],
      simulatorArgs: ["--rate-limit-v1=0"],
      gatewayArgs: [
        `--signing-key=${key.file}`,
        ...["--client-limit=0", "--license-limit=0", "--upstream-budget=0", "--cache-ttl=0"],
      ],
    });

  async function open(url = pages.origin + blankPage): Promise<Page> {
    const page = await browser.newPage();
    await page.goto(url);
    return page;
  }

  interface Question {
    keys: string[];
    hwid?: string;
    endpoint?: string;
  }

  /** Checks all keys at once, like an app that keeps its leases, and returns the codes. */
  async function check(page: Page, { keys, hwid = "m1", endpoint }: Question) {
    const answers = await page.evaluate(
      async ({ endpoint, publicKey, keys, hwid }): Promise<Answer[]> => {
        const { answerOf, load }: Harness = await import(String("/test/pages/harness.js"));
        const { validateLicense } = await load(endpoint, { publicKey, leases: "local" });
        const options = { maxAttempts: 1, timeoutMs: 60_000 };
        return Promise.all(keys.map((key) => answerOf(validateLicense(key, hwid, options))));
      },
      { endpoint: endpoint ?? servers.endpoint, publicKey: key.publicKey, keys, hwid },
    );
    return answers.map(({ verdict, error }) =>
      verdict?.valid ? `valid from ${verdict.source}` : (verdict?.code ?? error?.code),
    );
  }

  test("every verdict under a strict policy, which the package never violates", async () => {
    const page = await open();
    await page.evaluate(() => {
      addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
        document.title += ` violated: ${violatedDirective} by ${blockedURI}`;
      });
    });
    const { good, canceled, unknown } = sampleKeys;
    assert.deepEqual(await check(page, { keys: [good] }), ["valid from server"]);
    assert.deepEqual(await check(page, { keys: [good], hwid: "m2" }), ["metadata_mismatch"]);
    assert.deepEqual(await check(page, { keys: [unknown, canceled, "A/B"] }), [
      ...["not_found", "inactive", "invalid_argument"],
    ]);
    assert.equal(await page.evaluate(() => document.title), "Blank");
    await page.context().close();
  });

  test("a policy without 'wasm-unsafe-eval' is a load_failed that says so", async () => {
    const strict = await servePages(
      strictPolicy(servers.endpoint).replace(" 'wasm-unsafe-eval'", ""),
    );
    try {
      const page = await open(strict.origin + blankPage);
      const failed = await page.evaluate(async (endpoint) => {
        const { loadError }: Harness = await import(String("/test/pages/harness.js"));
        return loadError({ endpoint });
      }, servers.endpoint);
      assert.equal(failed.code, "load_failed");
      assert.match(failed.message, /wasm-unsafe-eval/);
      await page.context().close();
    } finally {
      await strict.close();
    }
  });

  test("a module worker", async () => {
    // A policy with trusted types needs a policy of the page's own to start a worker.
    const plain = await servePages(
      strictPolicy("http://127.0.0.1:*").replace(/; require-trusted.*/, ""),
    );
    const behind = await startServers({ origins: [plain.origin] });
    try {
      const page = await open(plain.origin + blankPage);
      const answer = await page.evaluate(
        (data) =>
          new Promise<Answer>((resolve, reject) => {
            const worker = new Worker("/test/pages/worker.js", { type: "module" });
            worker.addEventListener("error", ({ message }) => reject(new Error(message)));
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = ({ data }) => resolve(data);
            worker.postMessage(data, [port2]);
          }),
        { endpoint: behind.endpoint, key: sampleKeys.good, hwid: "m1" },
      );
      assert.equal(answer.verdict?.code, "valid", JSON.stringify(answer));
      await page.context().close();
    } finally {
      await Promise.all([plain.close(), behind.stop()]);
    }
  });

  test("a thousand checks in flight each get their own answer", async () => {
    const page = await open();
    const { good, canceled, unknown } = sampleKeys;
    const three = [good, unknown, canceled];
    const keys = Array.from({ length: 999 }, (_, i) => three[i % 3] ?? "");
    const want = ["valid from server", "not_found", "inactive"];
    const codes = await check(page, { keys });
    assert.equal(codes.length, 999);
    for (const [i, code] of codes.entries()) assert.equal(code, want[i % 3]);
    await page.context().close();
  });

  test("a kept lease stands in while the gateway is gone; one that was tampered with doesn't", async () => {
    const own = await startAll();
    const page = await open();
    const ask = (hwid = "m1") =>
      check(page, { keys: [sampleKeys.good], hwid, endpoint: own.endpoint });
    assert.deepEqual(await ask(), ["valid from server"]);
    await own.stop();
    assert.deepEqual(await ask(), ["valid from lease"]);
    assert.deepEqual(await ask("m2"), ["unavailable"]);

    // The page is reloaded, as after a restart.
    await page.goto(pages.origin + blankPage);
    assert.deepEqual(await ask(), ["valid from lease"]);
    const kept = await page.evaluate(() => ({ ...localStorage }) as Record<string, string>);
    assert.equal(Object.keys(kept).length, 1);
    for (const [name, text] of Object.entries(kept)) {
      // One character of each part of the lease is changed.
      for (const part of [0, 1, 2]) {
        await page.evaluate(
          ({ name, text, part }) => {
            let seen = 0;
            const flip = (c: string): string => (c === "A" ? "B" : "A");
            const changed = text.replace(/[\w-]{20,}/g, (found) =>
              seen++ === part
                ? found.slice(0, 10) + flip(found.charAt(10)) + found.slice(11)
                : found,
            );
            if (changed === text) throw new Error("nothing was changed");
            localStorage.setItem(name, changed);
          },
          { name, text, part },
        );
        assert.deepEqual(await ask(), ["unavailable"], `part ${part}`);
      }
    }
    await page.context().close();
  });

  test("how long the start and a check take, beside the page's own fetch", async (t) => {
    const page = await open();
    const times = await page.evaluate(
      async ({ endpoint, key }) => {
        const { load }: Harness = await import(String("/test/pages/harness.js"));
        const started = performance.now();
        const { validateLicense } = await load(endpoint);
        await validateLicense(key, "m1");
        const start = performance.now() - started;
        const url = `${endpoint}/api/v2/memberships/${key}/validate_license`;
        const headers = { "Content-Type": "application/json" };
        const body = JSON.stringify({ metadata: { HWID: "m1" } });
        const own = async () => (await fetch(url, { method: "POST", headers, body })).json();
        const median = async (ask: () => Promise<unknown>): Promise<number> => {
          const taken: number[] = [];
          for (let i = 0; i < 51; i++) {
            const before = performance.now();
            await ask();
            taken.push(performance.now() - before);
          }
          return taken.sort((a, b) => a - b)[25] ?? 0;
        };
        const check = await median(() => validateLicense(key, "m1"));
        return { start, check, plain: await median(own) };
      },
      { endpoint: servers.endpoint, key: sampleKeys.good },
    );
    const ms = (time: number): string => `${time.toFixed(1)} ms`;
    const { start, check, plain } = times;
    t.diagnostic(
      `start and first check ${ms(start)}, a check ${ms(check)}, plain fetch ${ms(plain)} (medians of 51)`,
    );
    assert.ok(check > 0 && plain > 0);
    await page.context().close();
  });
});
