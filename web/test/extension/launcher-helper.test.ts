// `make launcher-helper` as a program, in front of a screen and without one.
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { program, sampleKeys } from "../../servers.js";

const run = promisify(execFile);
const generic = "chrome-extension://offoegjegfabemlkpiapnfdlhpliipni";
const { DISPLAY: _, WAYLAND_DISPLAY: __, ...withoutScreen } = process.env;

/** Starts it, and gathers what it says. */
function start(env: NodeJS.ProcessEnv): ChildProcess & { said: () => string } {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../launcher-helper.js")], {
    env,
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
  }
  return Object.assign(child, { said: () => text });
}

const hasScreens = spawnSync("Xvfb", ["-help"]).error === undefined;
const skip = hasScreens ? false : "Xvfb is not installed, so there is no screen";

suite("make launcher-helper", {
  skip: process.platform !== "linux" && "it is of Linux here",
}, () => {
  let screen: ChildProcess;
  let display: string;
  /** Whose home must stay as it is. */
  let home: string;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), "whop-license-home-"));
    if (skip) return;
    // It writes the number of the display that it found free.
    screen = spawn("Xvfb", ["-displayfd", "3"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
    const [number] = await once(screen.stdio[3] as Readable, "data");
    display = `:${String(number).trim()}`;
  });
  after(async () => {
    if (screen?.kill()) await once(screen, "close");
    await rm(home, { recursive: true, force: true });
  });

  /** What it told once everything is there: the site, its user's home, and the program. */
  async function opened(launcher: ReturnType<typeof start>) {
    const ended = once(launcher, "close").then(() => assert.fail(launcher.said()));
    while (!/then removed\.\n$/.test(launcher.said())) {
      await Promise.race([once(launcher.stdout as Readable, "data"), ended]);
    }
    ended.catch(() => {});
    const [, site = "", folder = ""] =
      /^(http:\/\/127\.0\.0\.1:\d+) is open .*\nhome is (\S+)\. /.exec(launcher.said()) ?? [];
    const moves = [...launcher.said().matchAll(/^ +(mv '.*)$/gm)].map(([, move = ""]) => move);
    return { site, folder, moves };
  }

  /** The processes of a browser whose profile is in a folder: the browser itself, then those that it started. */
  async function browsersOf(folder: string): Promise<number[]> {
    const found: number[] = [];
    const started: number[] = [];
    for (const name of await readdir("/proc")) {
      const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
      if (/^\d+$/.test(name) && command.includes(`--user-data-dir=${folder}/`)) {
        (command.includes("--type=") ? started : found).push(Number(name));
      }
    }
    return [...found, ...started];
  }

  test("without a screen it says what to do", async () => {
    const launcher = start(withoutScreen);
    const [status] = await once(launcher, "close");
    assert.equal(status, 1);
    assert.match(launcher.said(), /^launcher-helper: .*set DISPLAY, or run it under xvfb-run\n$/);
  });

  test("opens the launcher for a user of its own, and removes everything on Ctrl-C", {
    skip,
  }, async (t) => {
    const launcher = start({ ...withoutScreen, DISPLAY: display, HOME: home });
    t.after(() => launcher.kill("SIGKILL"));
    const { site, folder, moves } = await opened(launcher);

    const html = await (await fetch(site)).text();
    assert.match(html, /<whop-license-gate[^>]* machine="helper"/);
    for (const key of [sampleKeys.good, sampleKeys.elsewhere, sampleKeys.canceled]) {
      assert.ok(launcher.said().includes(key), key);
    }
    assert.ok(launcher.said().includes(`${generic}/options.html`));

    const hosts = join(folder, ".config/chromium/NativeMessagingHosts");
    const [name = "", ...more] = await readdir(hosts);
    assert.deepEqual(more, []);
    const manifest = JSON.parse(await readFile(join(hosts, name), "utf8"));
    assert.equal(`${manifest.name}.json`, name);
    assert.equal(manifest.type, "stdio");
    assert.deepEqual(manifest.allowed_origins, [`${generic}/`]);
    assert.ok(manifest.path.startsWith(`${folder}/`), manifest.path);
    const [installed, built] = await Promise.all(
      [manifest.path, program("whop-license-sidecar")].map((path) => readFile(path)),
    );
    assert.ok(installed?.equals(built as Buffer), "another program was installed");

    assert.equal(moves.length, 2);
    for (const [i, move] of moves.entries()) {
      await run("sh", ["-c", move]);
      assert.equal(existsSync(manifest.path), i === 1, move);
    }

    assert.notDeepEqual(await browsersOf(folder), []);
    launcher.kill("SIGINT");
    const [status] = await once(launcher, "close");
    assert.equal(status, 0, launcher.said());
    assert.equal(existsSync(folder), false, "its user's home was left");
    assert.deepEqual(await browsersOf(folder), []);
    await assert.rejects(fetch(site));
    assert.deepEqual(await readdir(home), []);
  });

  test("ends with its browser", { skip }, async (t) => {
    const launcher = start({ ...withoutScreen, DISPLAY: display, HOME: home });
    t.after(() => launcher.kill("SIGKILL"));
    const { folder } = await opened(launcher);
    const closed = once(launcher, "close");
    // The others end with the first.
    const [browser] = await browsersOf(folder);
    process.kill(browser as number, "SIGTERM");
    const [status] = await closed;
    assert.equal(status, 0, launcher.said());
    assert.equal(existsSync(folder), false, "its user's home was left");
  });
});
