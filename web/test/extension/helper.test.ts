// The browser helper in Chromium: page → content script → background → the real sidecar,
// as install-helper installs it, and attacks by a page.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { after, afterEach, before, beforeEach, suite, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { type LocalServer, listen } from "../../static-server.js";
import {
  extensionFolder,
  type HelperUser,
  type InstalledHelper,
  pageId,
} from "../helpers/extension.js";
import { HelperBrowser, loadUnpacked } from "../helpers/extension-browser.js";
import { type Asked, askHelper, request, sendRaw } from "../helpers/extension-page.js";
import { speaks, withProgram } from "../helpers/extension-program.js";
import { blankPage, packagePath, servePages, strictPolicy } from "../helpers/page.js";

const site = "https://launcher.example.com";

suite("the browser helper", () => {
  let browser: HelperBrowser;
  let user: HelperUser;
  let installed: InstalledHelper;
  let context: BrowserContext;
  let pages: LocalServer;
  let other: LocalServer;
  let page: Page;
  /** The extension's own page. */
  let options: Page;
  let extension: string;

  before(async () => {
    browser = await HelperBrowser.start();
    ({ user, context, extension } = browser);
    pages = await servePages(strictPolicy("'self'"));
    other = await servePages();
    // Sites of their own, answered from what was built.
    await context.route(/^https?:\/\/[a-z]+\.example/, async (route) => {
      const { pathname } = new URL(route.request().url());
      await route.fulfill({ response: await route.fetch({ url: pages.origin + pathname }) });
    });
    options = await browser.openOptions();
  });
  after(async () => {
    await browser?.close();
    await Promise.all([pages?.close(), other?.close()]);
  });
  beforeEach(async () => {
    installed = await user.install("chromium");
    page = await open(pages.origin);
    await consents();
  });
  afterEach(() => page.close());

  const open = (origin: string): Promise<Page> => browser.open(origin + blankPage);

  /** Leaves no consent but for an origin. */
  const consents = (allowed?: string) =>
    options.evaluate(
      `chrome.storage.local.clear().then(() => chrome.storage.local.set(${JSON.stringify(
        allowed === undefined ? {} : { [`consent:${allowed}`]: "allowed" },
      )}))`,
    );

  const decide = <T>(button: "Allow" | "Don’t allow", act: () => Promise<T>) =>
    browser.decide(button, act);
  const allow = (asking: Page): Promise<Asked> => decide("Allow", () => askHelper(asking));
  const lacks = ({ code, reason }: Asked) => `${code} ${reason}`;

  test("asks once, and then gives each origin its own id", async () => {
    const first = await allow(page);
    assert.equal(first.id, await pageId(pages.origin));
    assert.equal(first.scheme, "app-scoped");
    assert.deepEqual(await askHelper(page), first, "without a question");

    const another = await open(other.origin);
    const second = await allow(another);
    assert.equal(second.id, await pageId(other.origin));
    assert.notEqual(second.id, first.id);

    const secure = await open(site);
    assert.equal((await allow(secure)).id, await pageId(site));
    await Promise.all([another.close(), secure.close()]);
  });

  test("two tabs of an origin cause one question", async () => {
    const twin = await open(pages.origin);
    const answers = await decide("Allow", () => Promise.all([page, twin].map((p) => askHelper(p))));
    const id = await pageId(pages.origin);
    assert.deepEqual(
      answers.map((answer) => answer.id),
      [id, id],
    );
    await twin.close();
  });

  test("a no is stored, and a no and a yes can be undone", async () => {
    const denied = await decide("Don’t allow", () => askHelper(page));
    assert.equal(lacks(denied), "no_machine_id no_consent");
    assert.match(denied.message ?? "", /You did not allow it/);
    assert.equal(lacks(await askHelper(page)), "no_machine_id no_consent");

    await options.getByRole("button", { name: `Allow: ${pages.origin}` }).click();
    await options.getByText("is allowed to know its id").waitFor();
    assert.equal((await askHelper(page)).id, await pageId(pages.origin));

    await options.getByRole("button", { name: `Forget: ${pages.origin}` }).click();
    await options.getByText("None so far").waitFor();
    assert.equal((await allow(page)).id, await pageId(pages.origin), "asks again");
  });

  test("closing the question is not an answer", async () => {
    const [window, done] = await browser.question(() => askHelper(page));
    await window.close();
    assert.match((await done).message ?? "", /closed without an answer/);
    assert.equal((await allow(page)).id, await pageId(pages.origin));
  });

  test("a page that keeps asking is not allowed, and the customer can change that", async () => {
    for (let i = 1; i <= 3; i++) {
      const [window, done] = await browser.question(() => askHelper(page));
      await window.close();
      const why = i < 3 ? /closed without an answer/ : /You did not allow it/;
      assert.match((await done).message ?? "", why, `closed ${i} times`);
      await browser.stopWorker();
    }
    assert.match((await askHelper(page)).message ?? "", /You did not allow it/);
    assert.ok(context.pages().every((p) => p.url() !== `${extension}/consent.html`));
    await options.getByRole("button", { name: `Allow: ${pages.origin}` }).click();
    await options.getByText("is allowed to know its id").waitFor();
    assert.equal((await askHelper(page)).id, await pageId(pages.origin));
  });

  test("while one site's question is open, another site gets an error", async () => {
    const another = await open(other.origin);
    const [window, done] = await browser.question(() => askHelper(page));
    const asks = `chrome.windows.getAll().then((all) => all.find(({ type }) => type === "popup"))`;
    // Without a screen, every window has the focus.
    await options.evaluate(
      `${asks}.then(({ id }) => chrome.windows.update(id, { state: "minimized" }))`,
    );
    const busy = await askHelper(another);
    assert.equal(
      await options.evaluate(`${asks}.then(({ state }) => state)`),
      "normal",
      "the question",
    );
    assert.equal(lacks(busy), "no_machine_id no_consent");
    assert.match(busy.message ?? "", /Another site's question is open/);
    await window.close();
    await done;
    assert.equal((await allow(another)).id, await pageId(other.origin));
    await another.close();
  });

  test("a consent withdrawn while the program is asked gives no id", async () => {
    await consents(pages.origin);
    const [asked, go] = [`${user.home}/asked`, `${user.home}/go`];
    const waits = `answer(id, { result: { protocol: 1 } });
      else {
        const fs = require("fs");
        fs.writeFileSync(${JSON.stringify(asked)}, "");
        const result = { id: "0".repeat(64), scheme: "app-scoped", warnings: [] };
        setInterval(() => fs.existsSync(${JSON.stringify(go)}) && answer(id, { result }), 20);
      }`;
    await withProgram(installed.program, speaks(waits), async () => {
      const asking = askHelper(page);
      while (!existsSync(asked)) await new Promise((resolve) => setTimeout(resolve, 20));
      await consents();
      await writeFile(go, "");
      assert.equal(lacks(await asking), "no_machine_id no_consent");
    });
  });

  test("a failure in the extension is answered, too", async () => {
    const [worker] = context.serviceWorkers();
    await worker?.evaluate("chrome.windows.create = () => Promise.reject(new Error('no window'))");
    const failed = await askHelper(page);
    assert.equal(lacks(failed), "no_machine_id refused");
    assert.match(failed.message ?? "", /could not answer/);
    await browser.stopWorker();
    assert.equal((await allow(page)).id, await pageId(pages.origin));
  });

  test("neither a customer nor a script can click what has just appeared", async () => {
    const [window, done] = await browser.question(() => askHelper(page));
    const disabled = await window.evaluate(() => {
      const allow = document.querySelector<HTMLButtonElement>("#allow");
      if (!allow) throw new Error("no button");
      dispatchEvent(new Event("blur"));
      const { disabled } = allow;
      allow.disabled = false;
      allow.click();
      return disabled;
    });
    assert.equal(disabled, true);
    // Nor does a moment's look do: of two timers, the shorter one ends first.
    const soon = await window.evaluate(() => {
      dispatchEvent(new Event("focus"));
      return new Promise((resolve) => {
        const allow = document.querySelector<HTMLButtonElement>("#allow");
        setTimeout(() => resolve(allow?.disabled), 600);
      });
    });
    assert.equal(soon, true);
    await window.close();
    assert.equal(lacks(await done), "no_machine_id no_consent", "the script's click counted");
  });

  test("a page can't open, frame or reach the question", async () => {
    const plain = await open(other.origin);
    const [window, done] = await browser.question(() => askHelper(plain));
    const reached = await plain.evaluate(async (url) => {
      const frame = document.createElement("iframe");
      frame.src = url;
      document.body.append(frame);
      await new Promise((resolve) => frame.addEventListener("load", resolve));
      const opened = globalThis.open(url);
      return {
        frames: globalThis.frames.length,
        opened: opened !== null,
        fetched: await fetch(url).then(
          () => true,
          () => false,
        ),
      };
    }, `${extension}/consent.html`);
    assert.equal(reached.fetched, false);
    const urls = context.pages().flatMap((p) => p.frames().map((frame) => frame.url()));
    assert.equal(urls.filter((url) => url === `${extension}/consent.html`).length, 1, String(urls));
    await window.close();
    await done;
    for (const left of context.pages()) if (left !== page && left !== options) await left.close();
    page = await open(pages.origin);
  });

  test("no question without a click or a key press", async () => {
    const auto = await listen();
    auto.handle((_, response) => {
      response.setHeader("Content-Type", "text/html");
      response.end(`<title>waiting</title><script>
        addEventListener("message", ({ data }) => {
          if (data.to === "page" && data.answer.error) document.title = data.answer.error.message;
        });
        postMessage(${JSON.stringify(request("1", { ask: "machineId" }))}, "*");
      </script>`);
    });
    const opened = await context.newPage();
    await opened.goto(auto.origin);
    await opened.waitForFunction(() => document.title !== "waiting", undefined, { polling: 50 });
    assert.match(await opened.title(), /after your next click/);
    assert.ok(context.pages().every((p) => p.url() !== `${extension}/consent.html`));
    await Promise.all([opened.close(), auto.close()]);
  });

  test("frames, sandboxed pages and http pages are not answered", async () => {
    const http = await open("http://launcher.example");
    assert.equal(lacks(await askHelper(http)), "no_machine_id refused");
    assert.equal(await sendUnheard(http), "silence");
    await http.close();

    const sandbox = await servePages("sandbox allow-scripts");
    const sandboxed = await open(sandbox.origin);
    assert.equal(await sendUnheard(sandboxed), "silence");
    await Promise.all([sandboxed.close(), sandbox.close()]);

    const plain = await open(other.origin);
    await plain.evaluate((path) => {
      document.body.append(Object.assign(document.createElement("iframe"), { src: path }));
    }, blankPage);
    const frame = plain.frameLocator("iframe");
    const framed = await frame
      .locator("body")
      .evaluate(
        (_, path) =>
          import(path).then(({ helperMachineId }: typeof import("whop-license/helper")) =>
            helperMachineId().catch(({ reason, message }) => `${reason}: ${message}`),
          ),
        `${packagePath}/helper/index.js`,
      );
    assert.match(String(framed), /^refused: .* in its own tab/);
    await plain.close();
  });

  /** Sends a request where nobody should hear it, and returns what answers. */
  const sendUnheard = (asking: Page) =>
    asking.evaluate(
      (message) =>
        new Promise((resolve) => {
          addEventListener("message", ({ data }) => data.to === "page" && resolve(data));
          window.postMessage(message, "*");
          // Whatever the content script did with it, it did before this comes back.
          const { port1, port2 } = new MessageChannel();
          port1.onmessage = () => setTimeout(resolve, 500, "silence");
          port2.postMessage("");
        }),
      request("1"),
    );

  test("an id of another scheme than requested is refused", async () => {
    await page.evaluate(() => {
      addEventListener("message", ({ data }) => {
        if (data.to !== "extension") return;
        const machineId = { id: "0".repeat(64), scheme: "app-scoped", warnings: [] };
        window.postMessage({ ...data, to: "page", answer: { machineId } }, "*");
      });
    });
    const asked = await askHelper(page, { scheme: "node-machine-id" });
    assert.equal(lacks(asked), "no_machine_id no_extension");
  });

  test("a frame can neither ask for its page nor answer it", async () => {
    const plain = await open(other.origin);
    await plain.evaluate(
      async ({ ask, path }) => {
        const frame = document.createElement("iframe");
        frame.src = location.href;
        document.body.append(frame);
        await new Promise((resolve) => frame.addEventListener("load", resolve));
        const inside = frame.contentWindow as unknown as { eval(code: string): void };
        // It asks in its own window and in its parent's, and answers what the parent asks.
        inside.eval(`
        postMessage(${JSON.stringify(ask)}, "*");
        parent.postMessage(${JSON.stringify(ask)}, "*");
        addEventListener("message", ({ data }) => data.to && (parent.heard = data));
        parent.addEventListener("message", ({ data }) => {
          if (data.to === "page" && data.id === "framed") parent.heard = data;
          if (data.to !== "extension" || data.id === "framed") return;
          const machineId = { id: "0".repeat(64), scheme: "app-scoped", warnings: [] };
          eval("parent.postMessage")({ ...data, to: "page", answer: { machineId } }, "*");
        });`);
        return path;
      },
      { ask: request("framed"), path: packagePath },
    );
    const { id } = await allow(plain);
    assert.equal(id, await pageId(other.origin));
    const heard = await plain.evaluate(() => (globalThis as { heard?: { to: string } }).heard);
    assert.notEqual(heard?.to, "page", "the frame was answered");
    await plain.close();
  });

  test("a content script that a page has taken over learns and decides nothing", async () => {
    await consents(other.origin);
    const devTools = await context.newCDPSession(page);
    const world = new Promise<number>((resolve) => {
      devTools.on("Runtime.executionContextCreated", ({ context: { id, origin } }) => {
        if (origin === extension) resolve(id);
      });
    });
    await devTools.send("Runtime.enable");
    const contextId = await world;
    const run = async (expression: string): Promise<unknown> => {
      const wanted = { contextId, expression, awaitPromise: true, returnByValue: true };
      const { result } = await devTools.send("Runtime.evaluate", wanted);
      return result.value;
    };
    const send = (message: object) =>
      run(`chrome.runtime.sendMessage(${JSON.stringify(message)}).then(JSON.stringify)`);
    const asking = { ask: "machineId", active: false };
    // The browser says whose page it is.
    assert.match(String(await send(asking)), /"no_consent"/);
    for (const strange of [
      { ...asking, origin: other.origin },
      { ...asking, active: 1 },
      { ...asking, ask: "allowed" },
      { ask: "machineId" },
      {},
    ]) {
      assert.match(String(await send(strange)), /"refused"/, JSON.stringify(strange));
    }
    const stored = await run("chrome.storage.local.get(null).then(() => 'read', () => 'refused')");
    assert.equal(stored, "refused");
    const connected = await run(`new Promise((resolve) => {
      const port = chrome.runtime.connect({ name: "consent" });
      port.onMessage.addListener(() => resolve("heard"));
      port.onDisconnect.addListener(() => resolve("disconnected"));
      port.postMessage("allowed");
    })`);
    assert.equal(connected, "disconnected");
    assert.equal(await run("typeof chrome.runtime.connectNative"), "undefined");
    assert.equal(
      await page.evaluate("typeof globalThis.chrome?.runtime?.sendMessage"),
      "undefined",
    );
  });

  test("a message counts only from the top frame of a page that may ask", async () => {
    const [worker] = context.serviceWorkers();
    // As the browser would report a message, whatever a content script does.
    const send = (sender: object, times = 1): Promise<unknown> | undefined =>
      worker?.evaluate(`Promise.all(Array.from({ length: ${times} }, () => new Promise((respond) => {
        const sender = ${JSON.stringify(sender)};
        const message = { ask: "machineId", active: false };
        chrome.runtime.onMessage.dispatch(message, { id: chrome.runtime.id, ...sender }, respond);
      }))).then(JSON.stringify)`);
    const from = (url: string) => ({
      tab: {},
      frameId: 0,
      url,
      origin: URL.canParse(url) ? new URL(url).origin : "null",
    });
    for (const url of ["https://a.example:8443/x", "https://A.EXAMPLE./", "http://localhost:1/"]) {
      assert.match(String(await send(from(url))), /"no_consent"/, url);
    }
    for (const sender of [
      { ...from(site), frameId: 3 },
      { ...from(site), origin: "null" },
      { ...from(site), origin: other.origin },
      { ...from(site), id: "abcdefghijklmnopabcdefghijklmnop" },
      { ...from(site), tab: undefined },
      ...["http://a.example/", "http://localhost.a.example/", "http://127.0.0.1.a.example/"].map(
        from,
      ),
      ...["http://localhost./", "file:///x", "data:text/html,x", "about:blank", "no address"].map(
        from,
      ),
      ...[`blob:${site}/x`, `filesystem:${site}/x`, `${extension}/options.html`].map(from),
    ]) {
      assert.match(String(await send(sender)), /"refused"/, JSON.stringify(sender));
    }
    // All pages of an origin have one limit.
    const flood = String(await send(from(site), 100));
    assert.equal(flood.split("too often").length - 1, 40);
  });

  test("a malformed request gets no answer, and a flood gets refusals", async () => {
    const strange = [
      ...[null, 7, "hello", [], {}, request("a", { protocol: "whop-license-helper/2" })],
      ...[
        request("b", { to: "page" }),
        request("c", { ask: "storage" }),
        request("d", { more: 1 }),
      ],
      ...[
        request("x".repeat(65)),
        request("e", { id: 1 }),
        request("f", { scheme: "node-machine-id" }),
      ],
      ...[request("g", { id: { toString: "no" } }), request("h", { ask: ["state"] })],
    ];
    const quiet = await sendRaw(page, [...strange, request("last")]);
    assert.deepEqual(
      quiet.map(({ id }) => id),
      ["last"],
    );

    const flood = Array.from({ length: 2000 }, (_, i) => request(String(i)));
    const answers = await sendRaw(page, flood);
    const refused = answers.filter(({ answer }) => JSON.stringify(answer).includes("too often"));
    assert.ok(refused.length >= 1900, `${refused.length} of ${answers.length}`);

    // Another page is not affected, and this one may ask again later.
    const calm = await open(other.origin);
    assert.equal((await allow(calm)).id, await pageId(other.origin));
    await calm.close();
    // It asks for its state, because a question would stay open.
    let again: Asked;
    do again = await askState();
    while (again.reason === "refused");
    assert.equal(again.reason, "no_consent");
    await browser.stopWorker(); // with its limit, so that the next test may ask
  });

  /** The helper's state for the page. */
  const askState = () =>
    page.evaluate(
      (path) =>
        import(path).then(
          ({ watchHelper }: typeof import("whop-license/helper")) =>
            new Promise<Asked>((resolve) => {
              const stop = watchHelper((reason) => {
                resolve({ reason });
                queueMicrotask(() => stop());
              });
            }),
        ),
      `${packagePath}/helper/index.js`,
    );

  test("a missing program, and one that is installed while the page watches", async () => {
    // The program's state is cached for a moment, but the customer is not asked because of it.
    assert.equal((await askState()).reason, "no_consent");
    await user.uninstall();
    const missing = await askHelper(page);
    assert.equal(lacks(missing), "no_machine_id no_program");
    assert.match(missing.message ?? "", /not installed for this browser/);

    await page.evaluate(async (path) => {
      const { watchHelper }: typeof import("whop-license/helper") = await import(path);
      watchHelper((state) => {
        document.title += ` ${state}`;
      });
    }, `${packagePath}/helper/index.js`);
    await page.waitForFunction(() => document.title.endsWith(" no_program"));
    installed = await user.install("chromium");
    await page.waitForFunction(() => document.title.endsWith(" no_program no_consent"));
    await consents(pages.origin);
    await page.waitForFunction(() => document.title.endsWith(" no_consent ready"));
  });

  test("a program with another protocol, one that is killed, one that sends nonsense", async () => {
    await consents(pages.origin);
    const initialized = "answer(id, { result: { protocol: 1 } });";
    const unsupported = `answer(id, { error: { code: -32602, message: "no", data: { code: "unsupported_protocol", supported: 2 } } });`;
    await withProgram(installed.program, speaks(unsupported), async () => {
      const other = await askHelper(page);
      assert.equal(lacks(other), "no_machine_id no_program");
      assert.match(other.message ?? "", /different version/);
    });
    const marker = `${user.home}/pid`;
    // Renamed, so that it never exists without the pid: 0 would be this test's own processes.
    const hangs = `${initialized} else {
        const { renameSync, writeFileSync } = require("fs");
        writeFileSync(${JSON.stringify(`${marker}.new`)}, String(process.pid));
        renameSync(${JSON.stringify(`${marker}.new`)}, ${JSON.stringify(marker)});
      }`;
    await withProgram(installed.program, speaks(hangs), async () => {
      const asking = askHelper(page);
      while (!existsSync(marker)) await new Promise((resolve) => setTimeout(resolve, 20));
      process.kill(Number(await readFile(marker, "utf8")), "SIGKILL");
      assert.match((await asking).message ?? "", /ended before it answered/);
    });
    for (const nonsense of [
      `{ id: "short" }`,
      "7",
      `{ id: "0".repeat(64), scheme: "node-machine-id", warnings: [] }`,
    ]) {
      await withProgram(
        installed.program,
        speaks(`${initialized} else answer(id, { result: ${nonsense} });`),
        async () => {
          const answer = await askHelper(page);
          assert.equal(lacks(answer), "no_machine_id no_program");
          assert.match(answer.message ?? "", /can't be read/);
        },
      );
    }
    assert.equal((await askHelper(page)).id, await pageId(pages.origin));
  });

  // This test is last, because it ends the extension's pages.
  test("the extension is updated while a page is open", async () => {
    await consents(pages.origin);
    await loadUnpacked(context, extensionFolder("chromium"));
    const updated = await askHelper(page);
    assert.match(updated.message ?? "", /Reload the page/);
    await page.reload();
    const answer = await until(
      () => askHelper(page),
      ({ id }) => id !== undefined,
    );
    assert.equal(answer.id, await pageId(pages.origin), "the consent was kept");
  });

  async function until(ask: () => Promise<Asked>, done: (asked: Asked) => boolean): Promise<Asked> {
    for (let i = 0; i < 50; i++) {
      const asked = await ask();
      if (done(asked)) return asked;
      await page.reload();
    }
    return assert.fail("it never came to that");
  }
});
