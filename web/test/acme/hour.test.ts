// The first hour of a seller, as docs/deploying.md has it: its commands, word by
// word, but for where files, ports and the domain are on this machine.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import type { LocalServer } from "../../static-server.js";
import { readBlocks } from "../frameworks/recipe.js";
import { launchBrowser } from "../helpers/browser.js";
import { blankPage, servePages } from "../helpers/page.js";
import { freePort } from "../helpers/port.js";
import { type Simulator, startSimulator } from "../helpers/simulator.js";
import { type CertificateAuthority, startCA } from "./ca.js";
import { type Systemd, startSystemd } from "./systemd.js";

type Harness = typeof import("../pages/harness.js");

const checkout = join(import.meta.dirname, "../../../..");
const domain = "license.example.com";
const product = "prod_hour";
const key = "HOUR-4F2A91-7C3B-55AA";
const page = "deploying.md";

/** The commands under a heading of the page. */
async function commands(heading: string): Promise<string[]> {
  const blocks = await readBlocks(page, heading);
  const hour = blocks.filter(({ language }) => language === "sh");
  return hour.map(({ text }) => text);
}

suite("the first hour", { concurrency: false }, () => {
  let folder: string;
  let simulator: Simulator;
  let ca: CertificateAuthority;
  let pages: LocalServer;
  let systemd: Systemd;
  let tunnel: Server;
  let browser: Browser;
  let customer: Page;
  let place: (text: string) => string;
  let forApp: { endpoint: string; publicKey: string };
  const ports = { http: 0, tls: 0 };

  /** Runs commands in a shell, and returns what they print. */
  async function sh(script: string, env: Record<string, string> = {}): Promise<string> {
    const bin = [join(folder, "bin"), place("/usr/local/bin")].join(":");
    const { stdout } = await promisify(execFile)("sh", ["-euc", place(script)], {
      cwd: checkout,
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, ...env },
    });
    return stdout;
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "whop-license-"));
    [ports.http, ports.tls] = await Promise.all([freePort(), freePort()]);
    simulator = await startSimulator();
    await simulator.add({ license_key: key, product, email: "someone@example.com" });
    pages = await servePages();
    const places: Record<string, string> = {
      "sudo ": "",
      "whop-license-gateway init ": `whop-license-gateway init --dir ${folder}/etc/whop-license-gateway `,
      "prod_…": product,
      "A1B2C3-D4E5F6-G7H8I9": key,
      "https://app.example.com": pages.origin,
    };
    for (const path of [
      "/usr/local/bin",
      "/etc/systemd/system",
      "/etc/whop-license-gateway",
      "/var/lib",
      "/run/credentials",
    ]) {
      places[path] = folder + path;
      await mkdir(join(folder, path), { recursive: true });
    }
    await rm(join(folder, "etc/whop-license-gateway"), { recursive: true });
    const known = Object.keys(places).map((text) => text.replace(/[/.]/g, "\\$&"));
    const pattern = new RegExp(`(?<!${folder})(${known.join("|")})`, "g");
    place = (text) => text.replace(pattern, (found) => places[found] ?? found);
    ca = await startCA(folder, ports);
    await mkdir(join(folder, "bin"));
    systemd = await startSystemd(join(folder, "bin"), place, { SSL_CERT_FILE: ca.roots });
    tunnel = createServer().on("connect", (request, socket, head) => {
      if (request.url !== `${domain}:443`) return socket.destroy();
      const there = connect(ports.tls, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        there.write(head);
        there.pipe(socket).pipe(there);
      });
      there.on("error", () => socket.destroy());
      socket.on("error", () => there.destroy());
    });
    await new Promise<void>((done) => tunnel.listen(0, "127.0.0.1", done));
    browser = await launchBrowser([
      `--host-resolver-rules=MAP ${domain}:443 127.0.0.1:${ports.tls}`,
    ]);
  });
  after(async () => {
    await browser?.close();
    tunnel?.closeAllConnections();
    tunnel?.close();
    await systemd?.stop();
    ca?.stop();
    await Promise.all([pages?.close(), simulator?.stop()]);
    if (folder) await rm(folder, { recursive: true });
  });

  /** Whoever operates the gateway reaches it under its domain. */
  function operator(): Record<string, string> {
    const address = tunnel.address();
    assert.ok(typeof address === "object" && address);
    return { HTTPS_PROXY: `http://127.0.0.1:${address.port}`, SSL_CERT_FILE: ca.roots };
  }

  test("init writes what a gateway needs", async () => {
    for (const script of await commands("Prepare")) await sh(script);
    const [init = "", origin = ""] = await commands("Set up");
    const said = await sh(init, { WHOP_API_KEY: simulator.apiKey });
    const endpoint = /endpoint: "(.*?)"/.exec(said)?.[1];
    const publicKey = /publicKey: "(.*?)"/.exec(said)?.[1];
    assert.ok(endpoint && publicKey, said);
    forApp = { endpoint, publicKey };
    await sh(origin);

    // What is elsewhere on this machine.
    const file = place("/etc/whop-license-gateway/settings");
    const settings = await readFile(file, "utf8");
    assert.match(settings, /^WHOP_LICENSE_LISTEN=:443$/m);
    await writeFile(file, place(settings.replace(":443", `127.0.0.1:${ports.tls}`)));
    await appendFile(
      file,
      `WHOP_LICENSE_ACME_CA=${ca.directory}\nWHOP_LICENSE_ACME_HTTP_PORT=${ports.http}\n` +
        `WHOP_LICENSE_UPSTREAM_URL=${simulator.url}\n`,
    );
  });

  test("the gateway starts, and the doctor finds nothing wrong", async () => {
    for (const script of await commands("Start")) await sh(script);
    await until(() => systemd.log().includes("using a certificate"));
    const [settings = "", doctor = ""] = await commands("Operate");
    const said = await sh(settings + doctor, operator());
    assert.match(said, /^good +certificate +license\.example\.com: valid for \d+ more days$/m);
    assert.match(said, /^good +gateway +https:\/\/license\.example\.com refuses a made-up/m);
    assert.match(said, /^good +origin +http:/m);
    assert.doesNotMatch(said, /WRONG/);
  });

  test("a page binds a license, which is shown and reset", async () => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true }); // the doctor looked
    customer = await context.newPage();
    await customer.goto(pages.origin + blankPage);
    const check = (machine: string): Promise<string | undefined> =>
      customer.evaluate(
        async ({ endpoint, publicKey, key, machine, path }) => {
          const { answerOf, load }: Harness = await import(path);
          const { validateLicense } = await load(endpoint, { publicKey });
          const { verdict, error } = await answerOf(validateLicense(key, machine));
          return verdict?.code ?? `${error?.code}: ${error?.message}`;
        },
        { ...forApp, key, machine, path: "/test/pages/harness.js" },
      );
    assert.equal(await check("first-machine"), "valid");
    assert.equal(await check("second-machine"), "metadata_mismatch");
    const [settings = "", , license = ""] = await commands("Operate");
    const said = await sh(settings + license, operator());
    assert.match(said, /^Status +active, entitled$/m);
    assert.match(said, /^Places +1 taken, 1 allowed$/m);
    assert.equal(await check("second-machine"), "valid");
  });

  test("an upgrade under load loses no check", async () => {
    const starts = (): number => systemd.log().split('"msg":"listening"').length - 1;
    assert.equal(starts(), 1);
    await customer.evaluate(
      async ({ endpoint, publicKey, key, path }) => {
        const { answerOf, load }: Harness = await import(path);
        const { validateLicense } = await load(endpoint, { publicKey });
        const loop = { served: 0, lost: [] as string[], stopped: false };
        Object.assign(globalThis, { loop });
        for (let i = 0; i < 4; i++) {
          void (async () => {
            while (!loop.stopped) {
              const answer = await answerOf(validateLicense(key, "second-machine"));
              if (!answer.verdict?.valid) loop.lost.push(JSON.stringify(answer));
              if (answer.verdict?.source === "server") loop.served++;
            }
          })();
        }
      },
      { ...forApp, key, path: "/test/pages/harness.js" },
    );
    const served = (): Promise<number> => customer.evaluate("loop.served");
    await until(async () => (await served()) > 20);
    for (const script of await commands("Upgrade")) await sh(script);
    await until(() => starts() === 2);
    const before = await served();
    await until(async () => (await served()) > before + 20);
    const lost = await customer.evaluate("loop.stopped = true, loop.lost");
    assert.deepEqual(lost, []);
  });
});

/** Waits until something is so, for half a minute at most. */
async function until(so: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; ) {
    if (await so()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`it did not come about: ${so}`);
}
