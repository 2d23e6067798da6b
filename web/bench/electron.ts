// From an Electron renderer's first line of code to its first verdict: the id,
// the module and the leases come from the main process, the verdict from a
// gateway. Against the same in a page that fetches the module.
import { join } from "node:path";
import type { Page } from "playwright-core";
import { electronPath, launch } from "../test/electron/app.js";
import { origin, pageUrl, policy, startBehind, temporaryFolder } from "../test/electron/fixture.js";
import { inTurns, milliseconds, type Row } from "./measure.js";

const rounds = 15;

export async function inElectron(): Promise<Row[]> {
  const behind = await startBehind();
  const { endpoint, publicKey, sites } = behind;
  const app = await launch({
    folder: join(import.meta.dirname, "../test/electron/fixture"),
    userData: temporaryFolder(),
    site: sites[0],
    env: {
      FIXTURE: JSON.stringify({
        host: { origins: [origin] },
        url: pageUrl,
        preloads: ["ours"],
        policy: `${policy(endpoint)}; connect-src 'self' ${endpoint}`.replace(
          / connect-src \S+;/,
          "",
        ),
      }),
    },
  });
  try {
    await app.said(/^loaded$/m);
    const page = await app.window();
    const [own, other] = [await behind.addMembership(), await behind.addMembership()];
    const options = { endpoint, publicKey };
    const [ours, plain] = await inTurns(
      rounds,
      () =>
        timed(page, "/whop-license/electron/renderer.js", "loadElectronValidator", options, own),
      () => timed(page, "/whop-license/index.js", "loadValidator", options, other, "a machine"),
    );
    return [
      {
        name: `loadElectronValidator to the first verdict (${rounds} ×, ${electronPath ? "Electron" : "stand-in"})`,
        measured: milliseconds(ours),
        against: `${milliseconds(plain)}, loadValidator`,
        ratio: ours / plain,
      },
    ];
  } finally {
    await app.quit();
    await behind.stop();
  }
}

/** Loads the page anew, and times the first verdict in it. */
async function timed(
  page: Page,
  module: string,
  load: string,
  options: object,
  key: string,
  hwid?: string,
): Promise<number> {
  await page.reload();
  return page.evaluate(
    async ({ module, load, options, key, hwid }) => {
      const loaded = await import(module);
      const start = performance.now();
      const { validateLicense } = await loaded[load](options);
      const { code } = await validateLicense(key, hwid);
      if (code !== "valid") throw new Error(code);
      return performance.now() - start;
    },
    { module, load, options, key, hwid },
  );
}
