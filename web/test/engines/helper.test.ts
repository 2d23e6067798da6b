// The browser helper in Firefox: the add-on, installed while a page is open, and the program
// where install-helper put it.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { launcherPage } from "../../launcher-page.js";
import { sampleKeys, startServers } from "../../servers.js";
import { type LocalServer, listen } from "../../static-server.js";
import { extensionFolder, HelperUser, pageId } from "../helpers/extension.js";
import { blankPage, packagePath, servePages, strictPolicy } from "../helpers/page.js";
import { type Running, start } from "./firefox.js";
import { engineName } from "./launch.js";

interface Context {
  context: string;
  url: string;
}

const skip = engineName === "firefox" ? false : `there is no helper for ${engineName}`;

suite("the browser helper in Firefox", { skip }, () => {
  let user: HelperUser;
  let firefox: Running;
  let pages: LocalServer;
  let other: LocalServer;
  let sandbox: LocalServer;
  let tab: string;

  before(async () => {
    user = await HelperUser.create();
    await user.install("firefox");
    firefox = await start({}, user.env);
    pages = await servePages(strictPolicy("'self'"));
    other = await servePages();
    sandbox = await servePages("sandbox allow-scripts");
    const created = await firefox.bidi.send("browsingContext.create", { type: "tab" });
    tab = created.context as string;
  });
  after(async () => {
    await firefox?.end();
    await Promise.all([pages?.close(), other?.close(), sandbox?.close(), user?.remove()]);
  });

  const goto = (origin: string, path = blankPage) =>
    firefox.bidi.send("browsingContext.navigate", {
      ...{ context: tab, url: origin + path, wait: "complete" },
    });

  /** Runs code in a page, as after a click if `active`. */
  async function run<T>(code: string, active = false, context = tab): Promise<T> {
    const answer = await firefox.bidi.send("script.evaluate", {
      expression: `Promise.resolve((async () => { ${code} })()).then(JSON.stringify)`,
      target: { context },
      awaitPromise: true,
      userActivation: active,
    });
    if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails));
    return JSON.parse((answer.result as { value?: string }).value ?? "null");
  }

  const helper = `const helper = await import("${packagePath}/helper/index.js");`;
  const ask = (active = true, context = tab) =>
    run<{ id?: string; reason?: string; message?: string }>(
      `${helper} return helper.helperMachineId().catch(({ reason, message }) => ({ reason, message }));`,
      active,
      context,
    );

  const contexts = async () =>
    (await firefox.bidi.send("browsingContext.getTree", {})).contexts as unknown as Context[];

  /** Waits until a condition holds. Firefox has no events for these. */
  async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Clicks a button of the window that asks, as soon as it accepts clicks. */
  async function decide(button: "allow" | "deny"): Promise<void> {
    const window = await until(async () =>
      (await contexts()).find(({ url }) => /^moz-extension:.*\/consent\.html$/.test(url)),
    );
    const place = await until(() =>
      run<{ x: number; y: number } | undefined>(
        `const button = document.getElementById("${button}");
         if (!button || button.disabled) return null;
         const { x, y, width, height } = button.getBoundingClientRect();
         return { x: Math.round(x + width / 2), y: Math.round(y + height / 2) };`,
        false,
        window.context,
      ).then((found) => found ?? undefined),
    );
    const click = firefox.bidi.send("input.performActions", {
      context: window.context,
      actions: [
        {
          ...{ type: "pointer", id: "mouse" },
          actions: [
            { type: "pointerMove", ...place },
            { type: "pointerDown", button: 0 },
            { type: "pointerUp", button: 0 },
          ],
        },
      ],
    });
    // The window closes itself, perhaps before the click is reported.
    await click.catch(() => {});
    await until(async () =>
      (await contexts()).some(({ context }) => context === window.context) ? undefined : true,
    );
  }

  const installAddOn = () =>
    firefox.bidi.send("webExtension.install", {
      extensionData: { type: "path", path: extensionFolder("firefox") },
    });

  test("an open page notices that the add-on is installed, and gets its id", async () => {
    await goto(pages.origin);
    await run(`${helper} helper.watchHelper((state) => { document.title += " " + state; });`);
    const title = (end: string) =>
      until(async () =>
        (await run<string>("return document.title;")).endsWith(end) ? true : undefined,
      );
    await title(" no_extension");
    await installAddOn();
    await title(" no_extension no_consent");

    const unasked = await ask(false);
    assert.equal(unasked.reason, "no_consent");
    assert.match(unasked.message ?? "", /after your next click/);

    const asking = ask();
    await decide("allow");
    assert.equal((await asking).id, await pageId(pages.origin));
    await title(" no_consent ready");
    assert.equal((await ask(false)).id, await pageId(pages.origin), "without a question");
  });

  test("the customer is asked separately for another origin, and a no is stored", async () => {
    await goto(other.origin);
    const asking = ask();
    await decide("deny");
    assert.match((await asking).message ?? "", /You did not allow it/);
    assert.equal((await ask()).reason, "no_consent");
  });

  test("frames and sandboxed pages are not answered", async () => {
    const silence = `
      return new Promise((resolve) => {
        addEventListener("message", ({ data }) => data.to === "page" && resolve("answered"));
        postMessage({ protocol: "whop-license-helper/1", to: "extension", id: "1", ask: "state", scheme: "app-scoped" }, "*");
        setTimeout(resolve, 1000, "silence");
      });`;
    await goto(sandbox.origin);
    assert.equal(await run(silence), "silence");

    await goto(other.origin);
    assert.equal(await run(silence), "answered", "the test can hear an answer");
    const [top] = ((await firefox.bidi.send("browsingContext.getTree", { root: tab })).contexts ??
      []) as { children: Context[] }[];
    assert.equal(top?.children.length, 0);
    await run(`
      const frame = document.createElement("iframe");
      frame.src = location.href;
      document.body.append(frame);
      await new Promise((resolve) => frame.addEventListener("load", resolve));`);
    const [framed] = ((await firefox.bidi.send("browsingContext.getTree", { root: tab }))
      .contexts ?? []) as { children: Context[] }[];
    const frame = framed?.children[0]?.context ?? assert.fail("no frame");
    assert.equal(await run(silence, true, frame), "silence");
  });

  test("a flood gets refusals", async () => {
    await goto(other.origin);
    const refused = await run<number>(`
      let refused = 0, answered = 0;
      return new Promise((resolve) => {
        addEventListener("message", ({ data }) => {
          if (data.to !== "page" || data.answer.received) return;
          if (data.answer.error?.reason === "refused") refused++;
          if (++answered === 1000) resolve(refused);
        });
        for (let i = 0; i < 1000; i++) postMessage({ protocol: "whop-license-helper/1", to: "extension", id: String(i), ask: "state", scheme: "app-scoped" }, "*");
      });`);
    assert.ok(refused >= 900, String(refused));
  });

  test("the launcher binds a license to its origin's id, and says what is missing", async () => {
    const [first, second] = await Promise.all([listen(), listen()]);
    const servers = await startServers({ origins: [first.origin, second.origin] });
    for (const server of [first, second]) server.handle(launcherPage(servers.endpoint));
    const inGate = `const gate = document.querySelector("whop-license-gate");
      const find = (part) => gate.shadowRoot.querySelector(part);`;
    const check = () =>
      run(
        `${inGate} find("#key").value = "${sampleKeys.good}"; find("form").requestSubmit();`,
        true,
      );
    const shows = (what: string) =>
      until(async () => (await run<boolean>(`${inGate} return ${what};`)) || undefined);
    try {
      await goto(first.origin, "/");
      await check();
      await decide("allow");
      await shows(`gate.state === "open"`);

      await goto(second.origin, "/");
      await check();
      await decide("allow");
      await shows(`find("[part=result]").dataset.code === "metadata_mismatch"`);

      await user.uninstall();
      await goto(first.origin, "/");
      await shows(`/install the helper’s program/.test(find("[part=result-title]").textContent)`);
      await user.install("firefox");
      await shows(`gate.state === "idle"`);
      await check();
      await shows(`gate.state === "open"`);
    } finally {
      await Promise.all([first.close(), second.close(), servers.stop()]);
    }
  });

  test("without the program, and after an update of the add-on", async () => {
    await goto(pages.origin);
    await user.uninstall();
    const missing = await ask();
    assert.equal(missing.reason, "no_program");
    assert.match(missing.message ?? "", /not installed for this browser/);
    await user.install("firefox");
    assert.equal((await ask()).id, await pageId(pages.origin));

    await installAddOn();
    // Firefox adds the new version to the page, and the consent is kept.
    const { id } = await until(async () => {
      const answer = await ask();
      return answer.id === undefined ? undefined : answer;
    });
    assert.equal(id, await pageId(pages.origin));
  });
});
