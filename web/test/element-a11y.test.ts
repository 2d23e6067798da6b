// Whether everybody can use <whop-license-gate>: the keyboard alone, where the
// focus goes, what is read out, and how it looks.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { engineName } from "./engines/launch.js";
import { gateSuite, key, refusal, valid } from "./helpers/gate.js";

type Gate = HTMLElementTagNameMap["whop-license-gate"];

suite("accessibility of the license gate", () => {
  const open = gateSuite();

  test("with only the keyboard", async (t) => {
    const p = await open(t);
    const { keyboard } = p.page;
    await p.page.locator("#outside").focus();
    await keyboard.press("Tab");
    assert.equal(await p.focused(), "key");
    await keyboard.insertText(key);
    await keyboard.press("Tab");
    assert.equal(await p.focused(), "button submit primary");
    await keyboard.press("Space");
    assert.equal(await p.state(), "checking");
    assert.equal(await p.focused(), "button submit primary");
    await keyboard.press("Tab");
    assert.equal(await p.focused(), "button cancel");
    await keyboard.press("Enter");
    assert.equal(await p.focused(), "result-title");
    assert.equal((await p.calls())[0]?.aborted, true);
    await keyboard.press("Tab");
    assert.equal(await p.focused(), "button retry");
    await keyboard.press("Enter");
    assert.equal(await p.focused(), "button submit primary");
    await p.answer(refusal("metadata_mismatch"));
    assert.equal(await p.focused(), "result-title");
    const parts = ["button manage primary", "button retry", "button other-key", "details-title"];
    for (const part of parts) {
      await keyboard.press("Tab");
      assert.equal(await p.focused(), part);
    }
    await keyboard.press("Enter");
    assert.equal(await p.page.getByText("Outcome: metadata_mismatch").isVisible(), true);
    await keyboard.press("Shift+Tab");
    await keyboard.press("Shift+Tab");
    await keyboard.press("Enter");
    assert.equal(await p.focused(), "button cancel");
    await p.answer(valid());
    assert.equal(await p.focused(), "content");
    await keyboard.press("Tab");
    assert.equal(await p.focused(), "Inside");
    // Once left, a click into the content no longer focuses all of it.
    assert.equal(await p.gate.locator("[part=content]").getAttribute("tabindex"), null);
    await keyboard.press("Shift+Tab");
    assert.equal(await p.focused(), "outside");
  });

  test("pasting a key", async (t) => {
    const p = await open(t);
    await p.page.evaluate(() =>
      document.querySelector("#outside")?.replaceWith(document.createElement("input")),
    );
    const other = p.page.locator("main > p > input");
    await other.fill(`${key} `);
    await other.press("Control+a");
    await other.press("Control+c");
    await p.input.focus();
    await p.input.press("Control+v");
    await p.input.press("Enter");
    assert.equal((await p.calls())[0]?.key, key);
    const attributes = await p.input.evaluate((input) =>
      Object.fromEntries([...input.attributes].map(({ name, value }) => [name, value])),
    );
    assert.equal(attributes.autocomplete, "off");
    assert.equal(attributes.spellcheck, "false");
    assert.equal(attributes.autocapitalize, "characters");
  });

  test("the focus is never lost, and never taken from elsewhere", async (t) => {
    const p = await open(t);
    const recheck = (): Promise<void> => p.gate.evaluate((gate) => void (gate as Gate).recheck());

    // The customer has moved on to something else.
    await p.submit();
    await p.page.locator("#outside").focus();
    await p.answer(refusal("inactive"));
    assert.equal(await p.focused(), "outside");
    await p.otherKey.click();
    await p.input.press("Enter");
    await p.page.locator("#outside").focus();
    await p.answer(valid());
    assert.equal(await p.focused(), "outside");

    // The focused element has disappeared with the content.
    await p.page.getByRole("button", { name: "Inside" }).focus();
    await recheck();
    assert.equal(await p.focused(), "Inside");
    await p.answer(refusal("inactive"));
    assert.equal(await p.focused(), "result-title");

    // An answer that the customer didn't ask for doesn't interrupt.
    await p.otherKey.click();
    await recheck();
    assert.equal(await p.state(), "checking");
    await p.answer({ error: "unavailable" });
    assert.equal(await p.focused(), "key");

    await p.input.press("Enter");
    await p.answer(valid());
    await p.page.getByRole("button", { name: "Inside" }).focus();
    await p.gate.evaluate((gate) => (gate as Gate).forget());
    assert.equal(await p.focused(), "key");

    // By the mouse, and where clicks don't focus buttons.
    await p.input.fill(key);
    await p.page.getByRole("button", { name: "Check license" }).click();
    await p.page.evaluate(() => {
      let active = document.activeElement;
      while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
      (active as HTMLElement).blur();
    });
    await p.answer(refusal("not_found"));
    assert.equal(await p.focused(), "result-title");
  });

  test("the focus while a remembered key is checked", async (t) => {
    const p = await open(t, { gate: false });
    await p.add({});
    await p.input.focus();
    await p.gate.evaluate(async (gate) => {
      (gate as Gate).store = { get: () => "STORED-KEY", set() {}, remove() {} };
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    });
    assert.equal(await p.focused(), "button cancel");
    await p.answer(refusal("inactive"));
    assert.equal(await p.focused(), "result-title");

    const q = await open(t, { gate: { store: "filled" } });
    const before = await q.focused();
    await q.answer(refusal("inactive"));
    assert.equal(await q.focused(), before);
    assert.match(await q.status.innerText(), /no longer active\s+It was canceled/);
  });

  test("the page's own fields, below the license key", async (t) => {
    const p = await open(t);
    await p.gate.evaluate((gate) => {
      const own = document.createElement("input");
      own.slot = "fields";
      own.ariaLabel = "Own";
      gate.append(own);
    });
    const own = p.page.getByRole("textbox", { name: "Own" });
    await p.input.fill(key);
    await p.page.keyboard.press("Tab");
    await own.press("Enter");
    assert.equal((await p.calls()).length, 1);
    const isFocused = (): Promise<boolean> =>
      own.evaluate((element) => document.activeElement === element);
    assert.ok(await isFocused(), "the focus stays in it while the check runs");
    await own.press("Escape");
    assert.equal(await p.state(), "error");
    assert.equal(await p.focused(), "result-title");

    await own.press("Enter");
    await p.answer(valid());
    assert.equal(await own.isVisible(), false);
    assert.equal(await p.focused(), "content");

    // With the form, and not with the content.
    await p.gate.evaluate((gate) => (gate as Gate).forget());
    assert.ok(await own.isVisible());
    await p.gate.evaluate(async (gate) => {
      (gate as Gate).store = { get: () => "STORED-KEY", set() {}, remove() {} };
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    });
    assert.equal(await p.state(), "checking");
    assert.equal(await own.isVisible(), false);
  });

  test("the content's autofocus, and focus() of the gate", async (t) => {
    const p = await open(t);
    await p.gate.evaluate((gate) => (gate as Gate).focus());
    assert.equal(await p.focused(), "key");
    await p.gate.evaluate((gate) => gate.querySelector("button")?.setAttribute("autofocus", ""));
    await p.check(valid());
    assert.equal(await p.focused(), "Inside");
    await p.page.locator("#outside").focus();
    await p.gate.evaluate((gate) => (gate as Gate).focus());
    assert.equal(await p.focused(), "Inside");
  });

  test("what is read out", async (t) => {
    const p = await open(t);
    assert.equal(await p.status.innerText(), "");
    await p.submit(" ");
    assert.equal(await p.status.innerText(), "Enter your license key.");
    await p.submit();
    assert.equal(await p.status.innerText(), "Checking your license…");
    assert.equal(await p.gate.locator("form").getAttribute("aria-busy"), "true");
    await p.answer(refusal("inactive"));
    // Focusing the title reads it out.
    assert.equal(await p.status.innerText(), "");
    assert.equal(await p.gate.locator("form").getAttribute("aria-busy"), "false");
    const title = p.page.getByRole("heading", { level: 3 });
    assert.equal(await title.getAttribute("aria-describedby"), "result-text");
    await p.submit();
    await p.page.locator("#outside").focus();
    await p.answer({ error: "timeout" });
    assert.match(
      await p.status.innerText(),
      /^The license server didn’t answer in time\n+Your license was not checked\.$/,
    );
    await p.check(valid());
    assert.equal(await p.status.innerText(), "Your license is valid");
  });

  test("reduced motion and forced colors", async (t) => {
    // WebKit has no forced colors.
    const forced = engineName === "webkit" ? {} : { forcedColors: "active" as const };
    const p = await open(t, { reducedMotion: "reduce", ...forced });
    await p.submit();
    const spinner = p.gate.locator(".spinner").first();
    assert.equal(await spinner.evaluate((e) => getComputedStyle(e).animationName), "none");
    const q = await open(t);
    await q.submit();
    const turning = q.gate.locator(".spinner").first();
    assert.equal(await turning.evaluate((e) => getComputedStyle(e).animationName), "turn");
  });

  test("its styles can be changed from outside", async (t) => {
    const p = await open(t);
    await p.page.evaluate(() => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(`
        whop-license-gate { --whop-gate-accent: rgb(1, 2, 3); --whop-gate-radius: 0px }
        whop-license-gate::part(title) { color: rgb(4, 5, 6) }
        whop-license-gate::part(content) { display: block }
        whop-license-gate[state="checking"]::part(cancel) { color: rgb(7, 8, 9) }
      `);
      document.adoptedStyleSheets.push(sheet);
    });
    const style = (part: string, property: "color" | "backgroundColor" | "borderRadius") =>
      p.gate
        .locator(`[part~="${part}"]`)
        .evaluate((e, name) => getComputedStyle(e)[name], property);
    assert.equal(await style("submit", "backgroundColor"), "rgb(1, 2, 3)");
    assert.equal(await style("submit", "borderRadius"), "0px");
    assert.equal(await style("title", "color"), "rgb(4, 5, 6)");
    // Nothing from outside shows the content.
    assert.equal(await p.content.isVisible(), false);
    await p.submit();
    assert.equal(await style("cancel", "color"), "rgb(7, 8, 9)");
    await p.gate.evaluate((gate) => ((gate as HTMLElement).hidden = true));
    assert.equal(await p.input.isVisible(), false);
    await p.gate.evaluate((gate) => ((gate as HTMLElement).hidden = false));
    // Its own styles don't affect the page.
    await p.answer(valid());
    const inherited = await p.content.evaluate((e) =>
      getComputedStyle(e).getPropertyValue("--_accent"),
    );
    assert.equal(inherited, "");
  });
});
