// `make screenshots`: takes the documentation's pictures of the real gate with a real
// gateway, for light and for dark pages.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { launcherPage } from "./launcher-page.js";
import { makeSigningKey, sampleKeys, startServers } from "./servers.js";
import { type LocalServer, listen } from "./static-server.js";
import { browsers, launchBrowser } from "./test/helpers/browser.js";
import { enter, outcome } from "./test/helpers/customer.js";

const out = join(import.meta.dirname, "../docs/public");

// A font that comes with the site, so that the pictures are the same everywhere.
const font = readFileSync(
  join(
    createRequire(import.meta.url).resolve("vitepress/package.json"),
    "../dist/client/theme-default/fonts/inter-roman-latin.woff2",
  ),
);
const style = `
  @font-face { font-family: Inter; src: url("/inter.woff2"); font-weight: 100 900; }
  :root, body { font-family: Inter; --whop-gate-font: Inter; }`;

const gatePage = (endpoint: string, publicKey: string): string => `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="color-scheme" content="light dark">
  <title>The gate</title>
  <style>
    body { margin: 0; }
    whop-license-gate { --whop-gate-shadow: none; --whop-gate-width: none; --whop-gate-height: auto; }
  </style>
  <whop-license-gate product-name="Acme" buy-url="https://whop.com" support-url="mailto:you@example.com"></whop-license-gate>
  <script type="module">
    import { loadValidator } from "/whop-license/index.js";
    import "/whop-license/element/index.js";
    const gate = document.querySelector("whop-license-gate");
    gate.machineId = "the id of this machine";
    gate.validator = () => loadValidator(${JSON.stringify({ endpoint, publicKey })});
  </script>
</html>`;

interface Picture {
  name: string;
  path: string;
  width: number;
  /** What the customer does before the picture is taken. */
  prepare(page: Page): Promise<unknown>;
}

const check = async (page: Page, key: string, expected: string): Promise<void> => {
  await enter(page, key);
  const { code } = await outcome(page);
  if (code !== expected) throw new Error(`the gate shows ${code} instead of ${expected}`);
};

const pictures: Picture[] = [
  {
    name: "gate-ask",
    path: "/gate.html",
    width: 480,
    prepare: (page) => page.getByRole("textbox", { name: "License key" }).waitFor(),
  },
  {
    name: "gate-elsewhere",
    path: "/gate.html",
    width: 480,
    prepare: (page) => check(page, sampleKeys.elsewhere, "metadata_mismatch"),
  },
  {
    name: "launcher-valid",
    path: "/#machine-id=example",
    width: 640,
    prepare: (page) => check(page, sampleKeys.good, "valid"),
  },
];

async function take(browser: Browser, server: LocalServer, picture: Picture): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    const context = await browser.newContext({
      colorScheme,
      bypassCSP: true, // for the font
      locale: "en-US",
      reducedMotion: "reduce",
      timezoneId: "UTC",
      viewport: { width: picture.width, height: 100 },
    });
    const page = await context.newPage();
    await page.goto(server.origin + picture.path);
    await page.addStyleTag({ content: style });
    await picture.prepare(page);
    await page.evaluate(() => document.fonts.ready);
    const file = join(out, `${picture.name}-${colorScheme}.webp`);
    writeFileSync(file, await photograph(page));
    await context.close();
    console.log(file);
  }
}

/** The whole page as WebP, which Playwright doesn't support, with transparent corners. */
async function photograph(page: Page): Promise<Buffer> {
  const devtools = await page.context().newCDPSession(page);
  const color = { r: 0, g: 0, b: 0, a: 0 };
  await devtools.send("Emulation.setDefaultBackgroundColorOverride", { color });
  const { cssContentSize } = await devtools.send("Page.getLayoutMetrics");
  const { data } = await devtools.send("Page.captureScreenshot", {
    format: "webp",
    quality: 90,
    captureBeyondViewport: true,
    clip: { ...cssContentSize, scale: 2 },
  });
  return Buffer.from(data, "base64");
}

const server = await listen();
const signing = await makeSigningKey();
const servers = await startServers({
  origins: [server.origin],
  gatewayArgs: [`--signing-key=${signing.file}`],
});
const launcher = launcherPage(servers.endpoint);
server.handle((request, response) => {
  if (request.url === "/inter.woff2") response.end(font);
  else if (request.url === "/gate.html") {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(gatePage(servers.endpoint, signing.publicKey));
  } else launcher(request, response);
});
const browser = await launchBrowser([], browsers);
try {
  mkdirSync(out, { recursive: true });
  for (const picture of pictures) await take(browser, server, picture);
} finally {
  await Promise.all([browser.close(), server.close(), servers.stop(), signing.remove()]);
}
