// watchHelper in Node, with a stand-in for the page and for the extension in it. Gates and
// the real extension are tested in web/test.
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, suite, test } from "node:test";
import { type HelperState, watchHelper } from "whop-license/helper";

/** A page with as much of a browser as a watch needs. */
class StandIn extends EventTarget {
  readonly top = this;
  readonly origin = "https://launcher.example.com";
  readonly isSecureContext = true;
  readonly visibilityState = "visible";
  prerendering = false;
  state: HelperState = "no_program";
  /** Whether the extension goes silent once it has received a request. */
  silent = false;
  asked: string[] = [];

  postMessage({ protocol, id, scheme }: { protocol: string; id: string; scheme: string }): void {
    this.asked.push(scheme);
    const reply = (answer: object): void => {
      const data = { protocol, to: "page", id, answer };
      this.dispatchEvent(
        Object.assign(new Event("message"), { data, source: this, origin: this.origin }),
      );
    };
    queueMicrotask(() => {
      reply({ received: true });
      if (!this.silent) reply({ state: this.state });
    });
  }
}

suite("watchHelper", () => {
  let page: StandIn;
  let stops: (() => void)[];

  beforeEach(() => {
    page = new StandIn();
    stops = [];
    Object.assign(globalThis, { window: page, self: page, document: page });
    mock.timers.enable({ apis: ["setTimeout"] });
  });
  afterEach(() => {
    for (const stop of stops) stop();
    mock.timers.reset();
    for (const name of ["window", "self", "document"]) Reflect.deleteProperty(globalThis, name);
  });

  function watch(options?: Parameters<typeof watchHelper>[1]): HelperState[] {
    const told: HelperState[] = [];
    stops.push(watchHelper((state) => told.push(state), options));
    return told;
  }

  /** Lets everything happen that waits for no timer. */
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  async function round(ms = 1500): Promise<void> {
    mock.timers.tick(ms);
    await settle();
  }

  test("asks as one, however many watch, and tells each what is new to it", async () => {
    const first = watch();
    await settle();
    const later = [watch(), watch()];
    await settle();
    assert.deepEqual([first, ...later], Array(3).fill(["no_program"]));
    assert.equal(page.asked.length, 1);
    for (let i = 0; i < 10; i++) await round();
    assert.equal(page.asked.length, 11);
    page.state = "ready";
    await round();
    assert.deepEqual([first, ...later], Array(3).fill(["no_program", "ready"]));
  });

  test("the last one that ends it ends it, by its signal too", async () => {
    const controller = new AbortController();
    const listener = mock.fn();
    // The same function may watch twice, and end twice.
    const stop = watchHelper(listener);
    stops.push(watchHelper(listener));
    watch({ signal: controller.signal });
    await settle();
    assert.equal(listener.mock.callCount(), 2);
    stop();
    stop();
    stops[0]?.();
    page.state = "ready";
    await round();
    assert.equal(page.asked.length, 2);
    assert.equal(listener.mock.callCount(), 2);
    controller.abort();
    for (let i = 0; i < 5; i++) await round();
    assert.equal(page.asked.length, 2);

    watch({ signal: AbortSignal.abort() });
    await settle();
    assert.equal(page.asked.length, 2);
    const again = watch();
    // One that ended long ago ends no other.
    stop();
    await settle();
    assert.deepEqual(again, ["ready"]);
    await round();
    assert.equal(page.asked.length, 4);
  });

  test("what is ended while it is told is not told", async () => {
    const told: string[] = [];
    stops.push(
      watchHelper(() => {
        told.push("first");
        second();
      }),
    );
    const second = watchHelper(() => told.push("second"));
    await settle();
    assert.deepEqual(told, ["first"]);
  });

  test("a listener that throws stops no other, and is reported", async () => {
    // The test's runner would take an exception for its own.
    const thrown: unknown[] = [];
    const { queueMicrotask } = globalThis;
    const caught = mock.method(globalThis, "queueMicrotask", (act: () => void) =>
      queueMicrotask(() => {
        try {
          act();
        } catch (error) {
          thrown.push(error);
        }
      }),
    );
    stops.push(() => caught.mock.restore());
    stops.push(
      watchHelper(() => {
        throw new Error("of the listener");
      }),
    );
    const other = watch();
    await settle();
    page.state = "ready";
    await round();
    assert.deepEqual(other, ["no_program", "ready"]);
    assert.deepEqual(thrown.map(String), Array(2).fill("Error: of the listener"));
  });

  test("each scheme is a watch of its own", async () => {
    watch();
    watch({ scheme: "node-machine-id" });
    await settle();
    await round();
    assert.deepEqual(page.asked.sort(), [
      ...["app-scoped", "app-scoped", "node-machine-id", "node-machine-id"],
    ]);
  });

  test("an answer that never comes is as no extension, and it asks again", async () => {
    page.silent = true;
    const told = watch();
    await settle();
    await round(60_000);
    assert.deepEqual(told, ["no_extension"]);
    page.silent = false;
    await round();
    assert.deepEqual(told, ["no_extension", "no_program"]);
  });

  test("a page that is rendered before it is opened asks once it is opened", async () => {
    page.prerendering = true;
    const told = watch();
    for (let i = 0; i < 5; i++) await round();
    assert.deepEqual([told, page.asked], [[], []]);
    page.prerendering = false;
    page.dispatchEvent(new Event("prerenderingchange"));
    await settle();
    assert.deepEqual(told, ["no_program"]);

    page.prerendering = true;
    watch({ scheme: "node-machine-id" });
    for (const stop of stops.splice(0)) stop();
    page.dispatchEvent(new Event("prerenderingchange"));
    assert.equal(page.asked.length, 1, "a watch that has ended asked");
  });

  test("where there is no page, it says so once", async () => {
    for (const name of ["window", "self", "document"]) Reflect.deleteProperty(globalThis, name);
    const told = watch();
    await settle();
    await round();
    assert.deepEqual(told, ["refused"]);
  });
});
