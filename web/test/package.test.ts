// The package in a browser: how it loads, what it leaves behind, and what it withstands.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import type { LocalServer } from "../static-server.js";
import { launchBrowser } from "./helpers/browser.js";
import {
  ask,
  askAll,
  blankPage,
  codeOf,
  complaints,
  packagePath,
  servePages,
  strictPolicy,
} from "./helpers/page.js";
import { type Simulator, startSimulator } from "./helpers/simulator.js";
import type { Answer } from "./pages/harness.js";

type Harness = typeof import("./pages/harness.js");
type Hostile = typeof import("./pages/hostile.js");
type Package = typeof import("whop-license");

suite("the package in a browser", () => {
  let browser: Browser;
  let pages: LocalServer;
  let simulator: Simulator;
  let options: Record<string, unknown>;
  const said: string[] = [];

  before(async () => {
    browser = await launchBrowser();
    simulator = await startSimulator();
    pages = await servePages(strictPolicy(simulator.url));
    options = { apiKey: simulator.apiKey, dangerouslyAllowBrowser: true };
  });

  after(async () => {
    await browser?.close();
    await pages?.close();
    await simulator?.stop();
    assert.deepEqual(said, []);
  });

  async function open(path = blankPage, origin = pages.origin): Promise<Page> {
    const page = await (await browser.newContext()).newPage();
    const list = complaints(page);
    page.on("close", () => said.push(...list));
    await page.goto(origin + path);
    return page;
  }

  test("it adds nothing to the global object", async () => {
    const page = await open();
    await simulator.add({ license_key: "GLOBALS" });
    const added = await page.evaluate(
      async ({ path, endpoint, options }) => {
        const names = (): string[] =>
          [globalThis, Object, Object.prototype, Array.prototype, Promise.prototype].flatMap(
            (object, i) => Reflect.ownKeys(object).map((key) => `${i} ${String(key)}`),
          );
        const before = names();
        const { loadValidator }: Package = await import(`${path}/index.js`);
        const { validateLicense } = await loadValidator({ endpoint });
        const { code } = await validateLicense("GLOBALS", "one", options);
        return { code, added: names().filter((name) => !before.includes(name)) };
      },
      { path: packagePath, endpoint: simulator.url, options },
    );
    assert.deepEqual(added, { code: "valid", added: [] });
    await page.close();
  });

  test("hostile arguments are refused by name, and nothing is sent", async () => {
    const page = await open();
    await simulator.forget();
    const wrong = await page.evaluate(
      async ({ endpoint }) => {
        const { load }: Harness = await import(String("/test/pages/harness.js"));
        const { trySomeHarm }: Hostile = await import(String("/test/pages/hostile.js"));
        const { validateLicense } = await load(endpoint);
        return trySomeHarm(validateLicense as (...args: unknown[]) => Promise<unknown>);
      },
      { endpoint: simulator.url },
    );
    assert.deepEqual(wrong, []);
    assert.deepEqual(await simulator.seen(), []);
    // The module still works.
    await simulator.add({ license_key: "HOSTILE" });
    const answer = await ask(page, simulator.url, { key: "HOSTILE", hwid: "one", options });
    assert.equal(codeOf(answer), "valid");
    await page.close();
  });

  test("a page that breaks its own prototypes changes no verdict", async () => {
    await simulator.add({ license_key: "PROTOTYPES", metadata: { HWID: "another" } });
    const page = await open();
    const answer = await page.evaluate(
      async ({ endpoint, options }) => {
        const { load }: Harness = await import(String("/test/pages/harness.js"));
        const { validateLicense } = await load(endpoint);
        Object.assign(Object.prototype, {
          valid: true,
          code: "valid",
          HWID: "another",
          status: 201,
        });
        try {
          const { valid, code } = await validateLicense("PROTOTYPES", "one", options);
          return { valid, code };
        } finally {
          for (const name of ["valid", "code", "HWID", "status"]) {
            Reflect.deleteProperty(Object.prototype, name);
          }
        }
      },
      { endpoint: simulator.url, options },
    );
    assert.deepEqual(answer, { valid: false, code: "metadata_mismatch" });
    await page.close();
  });

  test("aborted before, during and after", async () => {
    await simulator.add({ license_key: "HELD", fault: "timeout" }, { license_key: "QUICK" });
    await simulator.forget();
    const page = await open();
    const abort = page
      .waitForRequest((request) => request.url().includes("/HELD/"))
      .then(() => page.evaluate(() => dispatchEvent(new Event("abort-now"))));
    const codes = await page.evaluate(
      async ({ endpoint, options }) => {
        const { answerOf, load }: Harness = await import(String("/test/pages/harness.js"));
        const { validateLicense } = await load(endpoint);
        const run = (key: string, signal: AbortSignal): Promise<Answer> =>
          answerOf(validateLicense(key, "one", { ...options, signal }));
        const before = await run("HELD", AbortSignal.abort("why"));
        const during = new AbortController();
        addEventListener("abort-now", () => during.abort());
        const held = await run("HELD", during.signal);
        const afterward = new AbortController();
        const quick = await run("QUICK", afterward.signal);
        afterward.abort();
        return [before, held, quick].map(({ verdict, error }) => verdict?.code ?? error?.code);
      },
      { endpoint: simulator.url, options },
    );
    await abort;
    assert.deepEqual(codes, ["aborted", "aborted", "valid"]);
    await page.close();
  });

  test("a thousand checks in flight are all answered, each with its own answer", async () => {
    const count = 1000;
    const outcomes = ["valid", "metadata_mismatch", "not_found", "inactive", "aborted"] as const;
    await simulator.add(
      { license_key: "MANY-valid" },
      { license_key: "MANY-metadata_mismatch", metadata: { HWID: "another" } },
      { license_key: "MANY-inactive", status: "expired" },
      { license_key: "MANY-aborted", fault: "slow", fault_delay: "60s" },
    );
    const page = await open();
    const codes = await page.evaluate(
      async ({ endpoint, options, count, outcomes }) => {
        const { answerOf, load }: Harness = await import(String("/test/pages/harness.js"));
        const { validateLicense } = await load(endpoint);
        const abort = new AbortController();
        const waiting = Array.from({ length: count }, (_, i) => {
          const outcome = outcomes[i % outcomes.length] ?? "";
          const signal = outcome === "aborted" ? abort.signal : undefined;
          return answerOf(
            validateLicense(`MANY-${outcome}`, "one", { ...options, signal, timeoutMs: 120_000 }),
          );
        });
        abort.abort();
        return (await Promise.all(waiting)).map(
          ({ verdict, error }) => verdict?.code ?? error?.code,
        );
      },
      { endpoint: simulator.url, options, count, outcomes: [...outcomes] },
    );
    assert.equal(codes.length, count);
    for (const [i, code] of codes.entries()) assert.equal(code, outcomes[i % outcomes.length]);
    await page.close();
  });

  test("two tabs at once", async () => {
    await simulator.add({ license_key: "TABS-1" }, { license_key: "TABS-2" });
    const context = await browser.newContext();
    const [one, two] = await Promise.all([context.newPage(), context.newPage()]);
    await Promise.all([one, two].map((page) => page.goto(pages.origin + blankPage)));
    const questions = (key: string) =>
      Array.from({ length: 20 }, () => ({ key, hwid: key, options }));
    const answers = await Promise.all([
      askAll(one, simulator.url, questions("TABS-1")),
      askAll(two, simulator.url, questions("TABS-2")),
    ]);
    for (const answer of answers.flat()) assert.equal(codeOf(answer), "valid");
    await context.close();
  });

  test("a module worker", async () => {
    await simulator.add({ license_key: "WORKER" });
    // A policy with trusted types needs a policy of the page's own to start a worker.
    const plain = await servePages(strictPolicy(simulator.url).replace(/; require-trusted.*/, ""));
    try {
      const page = await open(blankPage, plain.origin);
      const [answer, refused] = await page.evaluate(
        async ({ endpoint, options }) => {
          const worker = new Worker("/test/pages/worker.js", { type: "module" });
          const ask = (data: object): Promise<Answer> =>
            new Promise((resolve, reject) => {
              const { port1, port2 } = new MessageChannel();
              port1.onmessage = (event) => resolve(event.data);
              worker.onerror = (event) => reject(new Error(event.message));
              worker.postMessage({ endpoint, key: "WORKER", hwid: "one", ...data }, [port2]);
            });
          return [await ask({ options }), await ask({ options: { apiKey: "secret" } })];
        },
        { endpoint: simulator.url, options },
      );
      assert.equal(codeOf(answer), "valid", JSON.stringify(answer));
      assert.equal(codeOf(refused), "invalid_argument");
      assert.match(refused?.error?.message ?? "", /^apiKey: /);
      await page.close();
    } finally {
      await plain.close();
    }
  });

  test("the module without the package, on a classic page", async () => {
    await simulator.add({ license_key: "CLASSIC" });
    const page = await open(
      `/test/pages/classic.html?endpoint=${encodeURIComponent(simulator.url)}`,
    );
    const codes = await page.evaluate(async (options) => {
      const page = window as unknown as {
        started: Promise<void>;
        validateLicense: (...args: unknown[]) => Promise<{ code: string }>;
      };
      await page.started;
      const codeOf = (promise: Promise<{ code: string }>): Promise<string> =>
        promise.then(
          ({ code }) => code,
          ({ name, code }) => `${name} ${code}`,
        );
      return [
        await codeOf(page.validateLicense("CLASSIC", "one", options)),
        await codeOf(page.validateLicense("CLASSIC", "two", options)),
        await codeOf(page.validateLicense("", "two", options)),
      ];
    }, options);
    assert.deepEqual(codes, ["valid", "metadata_mismatch", "LicenseError invalid_argument"]);
    await page.close();
  });

  test("a policy without 'wasm-unsafe-eval' is a load_failed that says so", async () => {
    const strict = await servePages(strictPolicy(simulator.url).replace(" 'wasm-unsafe-eval'", ""));
    try {
      const page = await browser.newPage();
      await page.goto(strict.origin + blankPage);
      const failed = await page.evaluate(async (endpoint) => {
        const { loadError }: Harness = await import(String("/test/pages/harness.js"));
        return loadError({ endpoint });
      }, simulator.url);
      assert.equal(failed.code, "load_failed");
      assert.match(failed.message, /wasm-unsafe-eval/);
      await page.close();
    } finally {
      await strict.close();
    }
  });

  test("a module that isn't there, or is something else, is a load_failed", async () => {
    const page = await open();
    const failures = await page.evaluate(
      async ({ endpoint }) => {
        const { loadError }: Harness = await import(String("/test/pages/harness.js"));
        return Promise.all(
          ["/nowhere.wasm", "/test/pages/blank.html", "/launcher/launcher.css"].map((wasm) =>
            loadError({ endpoint, wasm }),
          ),
        );
      },
      { endpoint: simulator.url },
    );
    for (const { code, message } of failures) {
      assert.equal(code, "load_failed");
      assert.match(message, /whop-license\.wasm/);
    }
    await page.close();
  });

  test("memory doesn't grow with the number of checks", async () => {
    await simulator.add({ license_key: "MEMORY" });
    const page = await open();
    const pagesOf = await page.evaluate(
      async ({ path, endpoint, options }) => {
        const memories: WebAssembly.Memory[] = [];
        const instantiate = WebAssembly.instantiate as (
          module: WebAssembly.Module,
          imports: WebAssembly.Imports,
        ) => Promise<WebAssembly.Instance>;
        WebAssembly.instantiate = (async (
          module: WebAssembly.Module,
          imports: WebAssembly.Imports,
        ) => {
          const instance = await instantiate(module, imports);
          memories.push(instance.exports.mem as WebAssembly.Memory);
          return instance;
        }) as unknown as typeof WebAssembly.instantiate;
        const { loadValidator }: Package = await import(`${path}/index.js`);
        const { validateLicense } = await loadValidator({ endpoint });
        // The network sets the pace of so many checks, so the first one's answer serves all.
        const ask = globalThis.fetch;
        let body: Promise<ArrayBuffer> | undefined;
        globalThis.fetch = async (...request) => {
          body ??= ask(...request).then((response) => response.arrayBuffer());
          await new Promise((resolve) => setTimeout(resolve));
          return new Response(await body, { status: 201 });
        };
        const run = async (count: number): Promise<number> => {
          for (let i = 0; i < count; i += 20) {
            await Promise.all(
              Array.from({ length: 20 }, () => validateLicense("MEMORY", "one", options)),
            );
          }
          return memories[0]?.buffer.byteLength ?? 0;
        };
        return [await run(100), await run(5000)];
      },
      { path: packagePath, endpoint: simulator.url, options },
    );
    const [early = 0, late = 0] = pagesOf;
    assert.ok(early > 0);
    // Checks at once need more or less by how they meet, up to a third more than the first hundred
    // did. What each leaves behind shows beyond that: 1 KiB a check is 5 MiB on top of 4.
    assert.ok(late <= early * 1.5, `wasm memory grew from ${early} to ${late} bytes`);
    await page.close();
  });
});
