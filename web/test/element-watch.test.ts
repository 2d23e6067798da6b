// Many gates that wait for the browser helper in one page, with a stand-in for its extension.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { HelperState } from "whop-license/helper";
import { type GatePage, gateSuite, harness } from "./helpers/gate.js";

type Harness = typeof import("./pages/element.js");

/** How often a watch asks. */
const period = 1500;
const install = "To use your license on this computer, install the helper’s program";

suite("license gates that wait for the browser helper together", () => {
  const open = gateSuite();

  const stand = (p: GatePage, state: HelperState) =>
    p.page.evaluate(
      async ({ path, state }) => {
        ((await import(path)) as Harness).helper.state = state;
      },
      { path: harness, state },
    );
  const add = async (p: GatePage, ids: string[], scheme = "app-scoped") => {
    for (const id of ids) {
      await p.add({ id, attributes: { machine: "helper", "helper-scheme": scheme } });
    }
  };
  const gate = (p: GatePage, id: string) => p.page.locator(`#${id}`);
  const waits = (p: GatePage, id: string) => gate(p, id).getByRole("heading", { name: install });

  /** The schemes that the helper was asked for, once every message of the page has arrived. */
  const asked = (p: GatePage) =>
    p.page.evaluate(async (path) => {
      // A question, that it was received, and the answer, one after the other.
      for (let hop = 0; hop < 5; hop++) {
        await new Promise((arrived) => {
          addEventListener("message", arrived, { once: true });
          postMessage("hop", "*");
        });
      }
      return ((await import(path)) as Harness).helper.asked.map(({ scheme }) => scheme);
    }, harness);

  /** Lets the time of one question pass, and returns which were asked meanwhile. */
  async function round(p: GatePage): Promise<string[]> {
    const { length } = await asked(p);
    await p.page.clock.fastForward(period);
    return (await asked(p)).slice(length);
  }

  /** A page whose gates wait, as the program is missing. */
  async function waiting(t: Parameters<typeof open>[0], ids: string[]): Promise<GatePage> {
    const p = await open(t, { clock: true, gate: false });
    await stand(p, "no_program");
    await add(p, ids);
    for (const id of ids) await waits(p, id).waitFor();
    return p;
  }

  for (const gates of [1, 4, 10]) {
    test(`the helper is asked 40 times a minute by ${gates}`, async (t) => {
      const ids = Array.from({ length: gates }, (_, i) => `gate${i}`);
      const p = await waiting(t, ids);
      let questions = 0;
      for (let i = 0; i < 40; i++) questions += (await round(p)).length;
      assert.equal(questions, 40);
      await stand(p, "no_consent");
      await round(p);
      for (const id of ids) assert.equal(await gate(p, id).getAttribute("state"), "idle");
    });
  }

  test("the last gate that leaves ends it, and a later one starts it again", async (t) => {
    const p = await waiting(t, ["first", "second", "third"]);
    await gate(p, "first").evaluate((gate) => gate.remove());
    await gate(p, "second").evaluate((gate) => gate.removeAttribute("machine"));
    assert.equal((await round(p)).length, 1);
    assert.equal(await waits(p, "third").isVisible(), true);

    await gate(p, "third").evaluate((gate) => gate.remove());
    for (let i = 0; i < 5; i++) assert.deepEqual(await round(p), []);

    const { length } = await asked(p);
    await add(p, ["fourth"]);
    await waits(p, "fourth").waitFor();
    assert.equal((await asked(p)).length, length + 1);
  });

  test("a gate that comes later is told at once what is known", async (t) => {
    const p = await waiting(t, ["first"]);
    const { length } = await asked(p);
    await add(p, ["second"]);
    await waits(p, "second").waitFor();
    assert.equal((await asked(p)).length, length);
    await stand(p, "no_consent");
    assert.equal((await round(p)).length, 1);
    for (const id of ["first", "second"]) {
      assert.equal(await gate(p, id).getAttribute("state"), "idle", id);
    }
  });

  test("a gate that is moved goes on waiting", async (t) => {
    const p = await waiting(t, ["first", "second"]);
    for (const id of ["first", "second"]) {
      await gate(p, id).evaluate((gate) => document.querySelector("main")?.prepend(gate));
    }
    assert.equal((await round(p)).length, 1);
    await stand(p, "no_consent");
    await round(p);
    for (const id of ["first", "second"]) {
      assert.equal(await gate(p, id).getAttribute("state"), "idle", id);
    }
  });

  test("each scheme is watched by itself", async (t) => {
    const p = await waiting(t, ["first", "second"]);
    await add(p, ["third", "fourth"], "node-machine-id");
    for (const id of ["third", "fourth"]) await waits(p, id).waitFor();
    assert.deepEqual((await round(p)).sort(), ["app-scoped", "node-machine-id"]);
    for (const id of ["first", "second"]) await gate(p, id).evaluate((gate) => gate.remove());
    assert.deepEqual(await round(p), ["node-machine-id"]);
  });
});
