// A page of the benchmark, and the start of a module in it.
import type { Browser, Page } from "playwright-core";

export async function openBench(browser: Browser, origin: string): Promise<Page> {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${origin}/bench.html`);
  return page;
}

/** Compiles and starts a module in a fresh page, until its function is there. */
export async function startModule(page: Page, origin: string, name: string): Promise<number> {
  return page.evaluate(
    async ({ origin, name }) => {
      const file = new Uint8Array(await (await fetch(`/${name}.wasm`)).arrayBuffer());
      // A custom section of random bytes, so that no cache knows the module.
      const section = new Uint8Array(
        [0, 17, 16, ...crypto.getRandomValues(new Uint8Array(16))].map((byte, i) =>
          i > 2 ? byte & 0x7f : byte,
        ),
      );
      const bytes = new Uint8Array(file.length + section.length);
      bytes.set(file);
      bytes.set(section, file.length);
      const page = window as unknown as {
        Go: new () => Go;
        validateLicense?: unknown;
        memory: WebAssembly.Memory;
      };
      interface Go {
        env: Record<string, string>;
        importObject: WebAssembly.Imports;
        run(instance: WebAssembly.Instance): Promise<void>;
      }
      const begin = performance.now();
      const go = new page.Go();
      go.env = { WHOP_LICENSE_ENDPOINT: origin };
      const instance = await WebAssembly.instantiate(
        await WebAssembly.compile(bytes),
        go.importObject,
      );
      void go.run(instance);
      const taken = performance.now() - begin;
      if (!page.validateLicense) throw new Error(`${name}: did not start`);
      page.memory = instance.exports.mem as WebAssembly.Memory;
      return taken;
    },
    { origin, name },
  );
}
