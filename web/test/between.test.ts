// Every row of between.json, through the package in Node and in a browser.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { loadValidator } from "whop-license";
import type { LocalServer } from "../static-server.js";
import type { Browser, Context, Page } from "./engines/engine.js";
import { engineName, launchEngine, once } from "./engines/launch.js";
import {
  type BetweenServer,
  type Expected,
  expectedOf,
  keysOf,
  leaseName,
  memoryStore,
  outcomesInPage,
  serveBetween,
  table,
  told,
  toldOf,
  unheard,
} from "./helpers/between.js";
import { blankPage, servePages } from "./helpers/page.js";
import { type Outcomes, outcomesOf } from "./pages/between.js";

const rows = table.answers.map((row, index) => ({ ...row, index }));
type Row = (typeof rows)[number];

/** The outcome of each row, by its name. */
function byName(asked: Row[], outcomes: Outcomes[], leases: string[]): Record<string, Expected> {
  return Object.fromEntries(
    asked.map(({ name, index }, i) => {
      const of = outcomes[i] as Outcomes;
      assert.equal(told(of.first), "valid by server", `${name}: no lease to begin with`);
      return [name, toldOf(of, leases.includes(leaseName(keysOf(index).kept)))];
    }),
  );
}

const expected = (asked: Row[]): Record<string, Expected> =>
  Object.fromEntries(asked.map((row) => [row.name, expectedOf(row)]));

const expectedInEngine = (asked: Row[]): Record<string, Expected> =>
  expected(engineName === "chromium" ? asked : asked.map((row) => ({ ...row, ...row.readable })));

test("no two rows have the same name", () => {
  assert.equal(new Set(rows.map(({ name }) => name)).size, rows.length);
});

test("what is between app and gateway, in Node", { skip: once }, async () => {
  const server = await serveBetween();
  try {
    const leases = memoryStore();
    const { origin: endpoint, publicKey } = server;
    const outcomes = await outcomesOf(
      { load: loadValidator, endpoint, publicKey, leases },
      rows.map(({ index }) => keysOf(index)),
    );
    assert.deepEqual(byName(rows, outcomes, leases.names()), expected(rows));
  } finally {
    await server.close();
  }
});

suite("what is between app and gateway, in a browser", () => {
  let browser: Browser;
  let pages: LocalServer;
  const servers: BetweenServer[] = [];

  before(async () => {
    browser = await launchEngine();
    pages = await servePages();
  });
  after(async () => {
    await browser?.close();
    await Promise.all([pages, ...servers].map((server) => server?.close()));
  });

  async function serve(options: Parameters<typeof serveBetween>[0]): Promise<BetweenServer> {
    const server = await serveBetween(options);
    servers.push(server);
    return server;
  }

  async function run(page: Page, server: BetweenServer, asked: Row[]) {
    const given = { endpoint: server.origin, publicKey: server.publicKey };
    const cases = asked.map(({ index }) => keysOf(index));
    const { outcomes, leases } = await outcomesInPage(page, given, cases);
    return byName(asked, outcomes, leases);
  }

  async function open(): Promise<{ context: Context; page: Page }> {
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(pages.origin + blankPage);
    return { context, page };
  }

  test("answers that a page can read", async () => {
    const { context, page } = await open();
    const asked = rows.filter(({ answer }) => !answer.serviceWorker);
    assert.deepEqual(await run(page, await serve({}), asked), expectedInEngine(asked));
    await context.close();
  });

  test("answers without CORS headers don't count", async () => {
    const { context, page } = await open();
    const asked = rows.filter(({ answer }) => !answer.serviceWorker);
    assert.deepEqual(
      await run(page, await serve({ readable: false }), asked),
      Object.fromEntries(asked.map(({ name }) => [name, unheard])),
    );
    await context.close();
  });

  test("a service worker's offline page", async () => {
    const asked = rows.filter(({ answer }) => answer.serviceWorker);
    assert.ok(asked.length > 0);
    for (const row of asked) {
      const { context, page } = await open();
      await page.evaluate(async (worker) => {
        const controlled = new Promise((done) => {
          navigator.serviceWorker.addEventListener("controllerchange", done, { once: true });
        });
        await navigator.serviceWorker.register(worker);
        await controlled;
      }, `/test/pages/offline-worker.js?status=${row.answer.status}`);
      const server = await serve({ serviceWorker: true });
      assert.deepEqual(await run(page, server, [row]), expected([row]));
      await context.close();
    }
  });
});
