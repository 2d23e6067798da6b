// Who else may ask the main process of an Electron app for the machine's id,
// its module and its leases, and with what: nobody, and nothing.
import assert from "node:assert/strict";
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { Frame, Page } from "playwright-core";
import { program } from "../servers.js";
import { type LocalServer, listen } from "../static-server.js";
import { runsIn } from "./electron/app.js";
import {
  type Behind,
  call,
  codeOf,
  install,
  origin,
  policy,
  raw,
  type Started,
  start,
  startBehind,
  temporaryFolder,
} from "./electron/fixture.js";

const channels = [
  ["whop-license:machine-id"],
  ["whop-license:wasm"],
  ["whop-license:store", "get", "whop-license:x"],
  ["whop-license:validate", 1, "K", undefined],
  ["whop-license:abort", 1],
] as const;

describe(`attacks on an Electron app ${runsIn}`, () => {
  let behind: Behind;
  let foreign: LocalServer;

  before(async () => {
    behind = await startBehind();
    foreign = await listen();
    foreign.handle((_, response) => {
      response.writeHead(200, { "Content-Type": "text/html" }).end("<title>Foreign</title>");
    });
  });
  after(async () => {
    await behind?.stop();
    await foreign?.close();
  });

  const trusted = () => ({ endpoint: behind.endpoint, publicKey: behind.publicKey });
  const launch = (more: object = {}, options: object = {}): Promise<Started> =>
    start(
      {
        host: { origins: [origin] },
        policy: policy(behind.endpoint),
        preloads: ["ours", "raw"],
        ...more,
      },
      { site: behind.sites[0], ...options },
    );

  /** Asserts that no channel gives the frame anything. */
  async function refused(frame: Page | Frame, because: RegExp): Promise<void> {
    for (const [channel, ...given] of channels) {
      const reply = await raw(frame, channel, ...given);
      assert.equal(reply.error?.code, "load_failed", `${channel}: ${JSON.stringify(reply)}`);
      assert.match(reply.error.message, because);
      assert.equal(reply.value, undefined);
    }
  }

  async function served(page: Page | Frame): Promise<void> {
    const { value } = await raw(page, "whop-license:machine-id");
    assert.match((value as { id: string }).id, /^[0-9a-f]{64}$/);
  }

  /** Adds a frame to a page. */
  async function embed(page: Page, url: string, sandbox?: string): Promise<Frame> {
    const element = await page.evaluateHandle(
      ({ url, sandbox }) =>
        new Promise<HTMLIFrameElement>((done) => {
          const frame = document.createElement("iframe");
          if (sandbox !== undefined) frame.setAttribute("sandbox", sandbox);
          frame.src = url;
          frame.onload = () => done(frame);
          document.body.append(frame);
        }),
      { url, sandbox },
    );
    const frame = await element.contentFrame();
    assert.ok(frame);
    return frame;
  }

  test("a frame within the page, of its own origin or another", async () => {
    const { app, page } = await launch({ webPreferences: { nodeIntegrationInSubFrames: true } });
    await served(page);
    await refused(await embed(page, "/page.html"), /embedded/);
    await refused(await embed(page, foreign.origin), /embedded/);
    await refused(await embed(page, "about:blank"), /embedded/);
    // The package's own preload offers such a frame nothing, either.
    const frame = await embed(page, "/page.html");
    assert.equal(
      await frame.evaluate(() => typeof Reflect.get(globalThis, "whopLicense")),
      "undefined",
    );
    await served(page);
    await app.quit();
  });

  test("a window that has navigated to another origin", async () => {
    const { app, page } = await launch();
    await served(page);
    await page.goto(foreign.origin);
    await refused(page, /not in `origins`/);
    await page.goBack();
    await served(page);
    await app.quit();
  });

  test("an origin that resembles the listed one", async () => {
    const { app, page } = await launch({ host: { origins: ["app://fixture-2", "app://fixtur"] } });
    await refused(page, /not in `origins`/);
    await app.quit();
  });

  test("a window that a page has opened", async () => {
    const { app, page } = await launch();
    for (const [index, [url, features, because]] of (
      [
        [`${page.url()}?2`, "noopener", /opened by a page/],
        [`${page.url()}?3`, "", /opened by a page/],
        ["about:blank", "", /not in `origins`/],
        [foreign.origin, "", /not in `origins`/],
      ] as const
    ).entries()) {
      await page.evaluate(([url, features]) => void open(url, "", features), [url, features]);
      const child = await app.window(index + 1);
      await child.waitForLoadState();
      await refused(child, because);
    }
    await served(page);
    await app.quit();
  });

  test("garbage over the channels", async () => {
    const { app, page } = await launch();
    const garbage: unknown[] = [
      ...[undefined, null, 0, -1, Number.NaN, 1e308, "", "x", true, [], {}, [[[]]]],
      ...["__proto__", "constructor", "../../etc/passwd", "whop-license:", "\ud800"],
      "x".repeat(1_000_000),
      { toString: "x", value: { error: "y" } },
    ];
    for (const value of garbage) {
      for (const [channel, ...given] of [
        ["store", value],
        ["store", "get", value],
        ["store", "set", value, value],
        ["store", "set", "whop-license:x", value],
        ["store", "remove", value],
        ["validate", value, value, value],
        ["validate", 1, value, value],
        ["abort", value],
      ] as const) {
        const reply = await raw(page, `whop-license:${channel}`, ...given);
        if (channel === "store" && given[0] === "set" && typeof given[2] === "string") continue;
        if (channel === "abort" && Number.isSafeInteger(value)) continue;
        assert.ok(reply.error, `${channel} ${JSON.stringify(given)?.slice(0, 100)}`);
        assert.match(reply.error.code, /^(invalid_argument|load_failed)$/);
        assert.ok(reply.error.message.length < 500);
      }
    }
    // Texts that are too long, or have a name that isn't ours, are not kept.
    const long = await raw(page, "whop-license:store", "set", "whop-license:x", "x".repeat(5001));
    assert.equal(long.error?.code, "invalid_argument");
    for (const name of ["x", "whop-license", "whop-license:", "whop-license:a/b"]) {
      const reply = await raw(page, "whop-license:store", "set", name, "text");
      assert.equal(reply.error?.code, "invalid_argument", name);
    }
    await served(page);
    await app.quit();
  });

  test("garbage to the main process that decides", async () => {
    const { app, page } = await launch({ host: { origins: [origin], validator: trusted() } });
    for (const key of [undefined, null, 7, {}, [], "", "x".repeat(1_000_000), "a b", "\ud800"]) {
      const reply = await raw(page, "whop-license:validate", 1, key, undefined);
      assert.equal(reply.error?.code, "invalid_argument", String(key).slice(0, 20));
      assert.match(reply.error.message, /^licenseKey: /);
    }
    const fine = await raw(page, "whop-license:validate", 1, "K", undefined);
    assert.equal((fine.value as { code: string }).code, "not_found");
    await app.quit();
  });

  test("too many calls at once are refused, and do no harm", async () => {
    const { app, page } = await launch();
    const codes = await page.evaluate(async () => {
      const { raw } = globalThis as unknown as {
        raw: { invoke(channel: string): Promise<{ error?: { code: string } }> };
      };
      const all = Array.from({ length: 2000 }, () => raw.invoke("whop-license:machine-id"));
      return (await Promise.all(all)).map(({ error }) => error?.code ?? "served");
    });
    assert.equal(codes.length, 2000);
    assert.deepEqual(
      codes.filter((code) => code !== "served" && code !== "rate_limited"),
      [],
    );
    assert.ok(codes.includes("served"));
    await served(page);
    await app.quit();
  });

  for (const [preferences, message] of [
    [{ contextIsolation: false }, /contextIsolation: true/],
    [{ sandbox: false }, /sandbox: true/],
    [{ nodeIntegration: true, sandbox: false }, /(sandbox: true|nodeIntegration: false)/],
    [{ webSecurity: false }, /webSecurity: true/],
  ] as const) {
    test(`a window with ${JSON.stringify(preferences)} is refused, and told why`, async () => {
      const { app, page } = await launch({ preloads: ["ours"], webPreferences: preferences });
      const outcome = await call(page, "validate", trusted(), "K");
      assert.equal(codeOf(outcome), "load_failed");
      assert.match(JSON.stringify(outcome), message);
      await app.quit();
    });
  }

  test("the preload itself gives an unsafe window nothing but the reason", async () => {
    const webPreferences = { contextIsolation: false };
    const { app, page } = await launch({ preloads: ["ours"], webPreferences });
    const members = await page.evaluate(() => Object.keys(Reflect.get(globalThis, "whopLicense")));
    assert.deepEqual(members, ["protocol", "refused"]);
    await app.quit();
  });

  test("the preload itself asks only for verdicts in an unsandboxed window", async () => {
    const webPreferences = { sandbox: false };
    const { app, page } = await launch({ preloads: ["ours"], webPreferences });
    const replies = await page.evaluate(async () => {
      const bridge = Reflect.get(globalThis, "whopLicense");
      const asked = [bridge.machineId(), bridge.wasm(), bridge.get("whop-license:x")];
      asked.push(bridge.set("whop-license:x", "text"), bridge.remove("whop-license:x"));
      return Promise.all(asked);
    });
    assert.equal(replies.length, 5);
    for (const { error } of replies) {
      assert.equal(error.code, "load_failed");
      // Not the host's own message.
      assert.match(error.message, /^This window is not safe: set `sandbox: true`/);
    }
    await app.quit();
  });

  test("the main process also refuses an attacker's preload in an unsafe window", async () => {
    const { app, page } = await launch({ preloads: ["raw"], webPreferences: { sandbox: false } });
    await refused(page, /sandbox: true/);
    await app.quit();
  });

  test("the module replaced, and missing", async () => {
    const installed = install();
    const wasm = join(installed.package, "dist/whop-license.wasm");
    const bytes = readFileSync(wasm);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    for (const [damage, message] of [
      [() => writeFileSync(wasm, bytes), /not the file that this package was published with/],
      [() => rmSync(wasm), /can't be read/],
    ] as const) {
      damage();
      const { app, page } = await launch({}, { folder: installed.folder });
      const outcome = await call(page, "validate", trusted(), "K");
      assert.equal(codeOf(outcome), "load_failed");
      assert.match(JSON.stringify(outcome), message);
      await app.quit();
    }
  });

  test("a page outside of the app's folder, if file:// is listed", async () => {
    const outside = join(temporaryFolder(), "outside.html");
    writeFileSync(outside, "<title>Outside</title>");
    const inside = install().folder;
    const files = { host: { origins: ["file://"] } };
    for (const [url, check] of [
      [pathToFileURL(join(inside, "page.html")).href, served],
      [pathToFileURL(outside).href, (page: Page) => refused(page, /not in `origins`/)],
    ] as const) {
      const { app, page } = await launch({ ...files, url }, { folder: inside });
      await check(page);
      await app.quit();
    }
    const { app, page } = await launch(
      { url: pathToFileURL(join(inside, "page.html")).href },
      { folder: inside },
    );
    await refused(page, /not in `origins`/);
    await app.quit();
  });

  test("a second instance of the app", async () => {
    const key = await behind.addMembership();
    const first = await launch();
    const second = await launch({}, { site: behind.sites[1], userData: first.userData });
    for (let round = 0; round < 5; round++) {
      const outcomes = await Promise.all(
        [first, second].map(({ page }) => call(page, "validate", trusted(), key)),
      );
      assert.deepEqual(outcomes.map(codeOf), ["valid", "valid"]);
    }
    await Promise.all([first.app.quit(), second.app.quit()]);
    const file = readFileSync(join(first.userData, "whop-license-leases"), "latin1");
    assert.match(file, /^whop-license leases 1 encrypted\n/);
  });

  test("the sidecar killed in the middle of a call, and gone when the app quits", async () => {
    const folder = temporaryFolder();
    const pidFile = join(folder, "pid");
    const wrapper = join(folder, "sidecar.sh");
    writeFileSync(
      wrapper,
      `#!/bin/sh\necho $$ > ${pidFile}\nexec ${program("whop-license-sidecar")} "$@"\n`,
    );
    chmodSync(wrapper, 0o755);
    const { app, page } = await launch({}, { env: { WHOP_LICENSE_SIDECAR: wrapper } });
    await served(page);
    const killed = Number(readFileSync(pidFile, "utf8"));
    process.kill(killed, "SIGSTOP");
    // The signal alone may take effect after the next answer.
    while (!statesOf(killed).every((state) => state === "T")) await turn();
    const waiting = raw(page, "whop-license:machine-id");
    // The main process takes one call after the other: once it has answered this, the first is under way.
    await raw(page, "whop-license:store", "get", "whop-license:x");
    process.kill(killed, "SIGKILL");
    assert.equal((await waiting).error?.code, "no_machine_id");
    await served(page);
    const next = Number(readFileSync(pidFile, "utf8"));
    assert.notEqual(next, killed);
    await app.quit();
    // It ends with its input.
    while (statesOf(next).some((state) => state !== "Z")) await turn();
  });
});

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

/** The states of a process's threads, as Linux tells them: none if it has ended, or elsewhere. */
function statesOf(pid: number): string[] {
  const read = <Text>(get: () => Text): Text | undefined => {
    try {
      return get();
    } catch {
      return undefined; // ended meanwhile
    }
  };
  const tasks = `/proc/${pid}/task`;
  return (read(() => readdirSync(tasks)) ?? []).map((thread) => {
    const stat = read(() => readFileSync(`${tasks}/${thread}/stat`, "utf8")) ?? "";
    // The state stands behind the program's name, which is in parentheses.
    return stat.charAt(stat.lastIndexOf(")") + 2);
  });
}
