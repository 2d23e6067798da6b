// A helper that a seller built: whom it answers, and with which id. Also, the same
// source makes the same archives.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { LocalServer } from "../../static-server.js";
import { machineIdOf } from "../helpers/extension.js";
import { HelperBrowser } from "../helpers/extension-browser.js";
import { askHelper } from "../helpers/extension-page.js";
import { blankPage, servePages } from "../helpers/page.js";

const run = promisify(execFile);
const web = join(import.meta.dirname, "../../..");

/** What `make extension` runs. */
const build = (folder: string, settings: string[] = [], options: object = {}) =>
  run(process.execPath, [join(web, "extension/build.mjs"), folder, ...settings], {
    cwd: web,
    ...options,
  });

suite("a seller's own helper", () => {
  let folder: string;
  let browser: HelperBrowser;
  let pages: LocalServer;
  let other: LocalServer;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "whop-license-extension-"));
    pages = await servePages();
    other = await servePages();
    await build(folder, [`ORIGINS=${pages.origin}`, "SCHEME=node-machine-id", "NAME=Own Helper"]);
    browser = await HelperBrowser.start({ folder: join(folder, "chromium") });
    await browser.user.install("chromium", "--extension-id", new URL(browser.extension).host);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([pages?.close(), other?.close()]);
    await rm(folder, { recursive: true, force: true });
  });

  test("gives its own origin the same id as the seller's app", async () => {
    const page = await browser.open(pages.origin + blankPage);
    const scheme = { scheme: "node-machine-id" };
    const [window, done] = await browser.question(() => askHelper(page, scheme));
    await window.getByText("the seller’s app on this computer uses").waitFor();
    await window.getByRole("button", { name: "Allow", exact: true }).click();
    assert.equal((await done).id, await machineIdOf());
    const generic = await askHelper(page);
    assert.equal(generic.reason, "no_extension", "it has one scheme");
    await page.close();
  });

  test("answers no other origin", async () => {
    const page = await browser.open(other.origin + blankPage);
    for (const scheme of ["node-machine-id", "app-scoped"]) {
      assert.equal((await askHelper(page, { scheme })).reason, "no_extension", scheme);
    }
    await page.close();
  });

  test("the build prints the extension's id, for a key as a store shows it", async () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key = join(folder, "key.txt");
    await writeFile(key, publicKey.export({ format: "pem", type: "spki" }));
    const made = join(folder, "keyed");
    const settings = [`ORIGINS=${pages.origin}`, "KEY=key.txt", "ADDON_ID=own@example.com"];
    const { stdout } = await build(made, settings, { cwd: folder });
    const digest = createHash("sha256").update(publicKey.export({ format: "der", type: "spki" }));
    const id = [...digest.digest("hex").slice(0, 32)]
      .map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 16)))
      .join("");
    assert.match(stdout, new RegExp(`extension id: ${id}\n(.|\n)*extension id: own@example.com`));
    const manifest = JSON.parse(await readFile(join(made, "chromium/manifest.json"), "utf8"));
    assert.match(manifest.key, /^MIIB[A-Za-z0-9+/=]+$/);

    await writeFile(key, "no key");
    await assert.rejects(
      build(made, settings, { cwd: folder }),
      /KEY: key\.txt doesn't contain a public key/,
    );
  });

  test("settings that would expose customers are refused", async () => {
    for (const [settings, why] of [
      [["SCHEME=node-machine-id"], /every site would get the same id/],
      [["ORIGINS=https://*.example.com"], /is not an origin/],
      [["ORIGINS=http://launcher.example.com"], /is not an origin/],
      [["ORIGINS=https://launcher.example.com/path"], /is not an origin/],
      [["ORIGINS=https://launcher.example.com", "SCHEME=best"], /SCHEME must be one of/],
    ] as const) {
      await assert.rejects(build(join(folder, "none"), [...settings]), why);
    }
  });
});

test("the same source makes the same archives, wherever and whenever it is built", async () => {
  const folders = await Promise.all(
    ["a", "b"].map((name) => mkdtemp(join(tmpdir(), `whop-license-${name}-`))),
  );
  const [first = "", second = ""] = folders;
  try {
    await build(first, [], { env: { ...process.env, TZ: "UTC" } });
    await build(second, [], { cwd: tmpdir(), env: { ...process.env, TZ: "Asia/Tokyo" } });
    const digests = async (folder: string): Promise<string[]> => {
      const names = (await readdir(folder)).filter((name) => name.endsWith(".zip")).sort();
      const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
      return files.map(
        (file, i) => `${names[i]} ${createHash("sha256").update(file).digest("hex")}`,
      );
    };
    const made = await digests(first);
    assert.equal(made.length, 2);
    assert.deepEqual(await digests(second), made);
  } finally {
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  }
});
