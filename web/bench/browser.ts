// What the module costs in Chromium: to start, for each check, and in memory.
import type { Browser, Page } from "playwright-core";
import { startServers } from "../servers.js";
import { listen, staticFiles } from "../static-server.js";
import { browsers, launchBrowser } from "../test/helpers/browser.js";
import { verifying } from "./leases.js";
import { inTurns, median, milliseconds, type Row } from "./measure.js";
import { openBench, startModule } from "./page.js";
import { served } from "./size.js";

const startRounds = 11;
const callRounds = 1000;

const membership = JSON.stringify({
  id: "mem_bench",
  product: "prod_bench",
  plan: "plan_bench",
  user: "user_bench",
  email: "customer@example.com",
  status: "active",
  valid: true,
  license_key: "BETA-18DCE6-E146E733-5C8655W",
  metadata: { HWID: "0035969ec53f6e7f0fb40f08cc9ed4783aa99c2000cf1ebe4187c10dd0d8370f" },
  expires_at: null,
  renewal_period_start: 1735689600,
  renewal_period_end: 1893456000,
  created_at: 1735689600,
  cancel_at_period_end: false,
  quantity: 1,
  manage_url: "https://whop.com/billing/manage/mem_bench",
});

export async function inBrowser(): Promise<Row[]> {
  const files = staticFiles(served, {
    // An isolated page has a clock of 5 µs instead of 100 µs.
    headers: {
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    },
  });
  const server = await listen();
  server.handle((request, response) => {
    if (request.method !== "POST") return files(request, response);
    request.resume().on("end", () => {
      response.writeHead(201, { "Content-Type": "application/json" }).end(membership);
    });
  });
  const browser = await launchBrowser([], browsers);
  try {
    return [
      await starting(browser, server.origin),
      await checking(browser, server.origin),
      await remembering(browser, server.origin),
      await verifying(browser, server.origin),
    ];
  } finally {
    await browser.close();
    await server.close();
  }
}

async function starting(browser: Browser, origin: string): Promise<Row> {
  const timed = (name: string) => async (): Promise<number> => {
    const page = await openBench(browser, origin);
    const taken = await startModule(page, origin, name);
    await page.context().close();
    return taken;
  };
  const [ours, naive] = await inTurns(startRounds, timed("ours"), timed("naive"));
  return {
    name: `compile and start in Chromium (${startRounds} ×)`,
    measured: milliseconds(ours),
    against: milliseconds(naive),
    ratio: ours / naive,
    budget: 0.6,
  };
}

type Validate = (key: string, hwid: string) => Promise<{ code: string }>;

/** Through the gateway on another origin, as pages and apps ask it. */
async function checking(browser: Browser, origin: string): Promise<Row> {
  const servers = await startServers({
    origins: [origin],
    gatewayArgs: ["--client-limit=0", "--license-limit=0"],
    simulatorArgs: ["--rate-limit-v1=0"],
  });
  try {
    return await against(await openBench(browser, origin), servers.endpoint);
  } finally {
    await servers.stop();
  }
}

async function against(page: Page, origin: string): Promise<Row> {
  await startModule(page, origin, "ours");
  const [ours, plain] = await page.evaluate(
    async ({ origin, rounds }) => {
      const { validateLicense } = window as unknown as { validateLicense: Validate };
      const key = "BETA-18DCE6-E146E733-5C8655W";
      const hwid = "0035969ec53f6e7f0fb40f08cc9ed4783aa99c2000cf1ebe4187c10dd0d8370f";
      const byModule = async (): Promise<number> => {
        const begin = performance.now();
        const { code } = await validateLicense(key, hwid);
        const taken = performance.now() - begin;
        if (code !== "valid") throw new Error(code);
        return taken;
      };
      const byPage = async (): Promise<number> => {
        const begin = performance.now();
        const response = await fetch(
          `${origin}/api/v2/memberships/${encodeURIComponent(key)}/validate_license`,
          {
            method: "POST",
            headers: { "Content-Type": "application/json", Accept: "application/json" },
            body: JSON.stringify({ metadata: { HWID: hwid } }),
            credentials: "omit",
            cache: "no-store",
            redirect: "manual",
            referrerPolicy: "no-referrer",
            // The check has a deadline too.
            signal: AbortSignal.timeout(15_000),
          },
        );
        const { valid } = await response.json();
        const taken = performance.now() - begin;
        if (valid !== true) throw new Error("not valid");
        return taken;
      };
      for (let i = 0; i < 100; i++) {
        await byModule();
        await byPage();
      }
      const times: [number[], number[]] = [[], []];
      for (let i = 0; i < rounds; i++) {
        times[0].push(await byModule());
        times[1].push(await byPage());
      }
      return times;
    },
    { origin, rounds: callRounds },
  );
  await page.context().close();
  return {
    name: `one validateLicense against fetch and json() (${callRounds} ×)`,
    measured: milliseconds(median(ours)),
    against: milliseconds(median(plain)),
    ratio: median(ours) / median(plain),
    budget: 1.1,
  };
}

async function remembering(browser: Browser, origin: string): Promise<Row> {
  const page = await openBench(browser, origin);
  await startModule(page, origin, "ours");
  const after = (from: number, to: number): Promise<number> =>
    page.evaluate(
      async ({ from, to }) => {
        const { validateLicense, memory } = window as unknown as {
          validateLicense: Validate;
          memory: WebAssembly.Memory;
        };
        for (let i = from; i < to; i++)
          await validateLicense("BETA-18DCE6-E146E733-5C8655W", "one");
        return memory.buffer.byteLength;
      },
      { from, to },
    );
  const early = await after(0, 100);
  const late = await after(100, 10_000);
  await page.context().close();
  const megabytes = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(2)} MiB`;
  return {
    name: "wasm memory after 10,000 checks against after 100",
    measured: megabytes(late),
    against: megabytes(early),
    ratio: late / early,
    budget: 1.05,
  };
}
