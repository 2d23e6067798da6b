// The JavaScript values that the module holds don't grow with the number of checks.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runInThisContext } from "node:vm";
import type { ValidateLicense } from "whop-license";
import { KEY, packageFolder } from "./helpers/support.js";

/** Go's support code, whose map contains every value that the program still references. */
interface Go {
  _ids: Map<unknown, number>;
  env: Record<string, string>;
  importObject: WebAssembly.Imports;
  run(instance: WebAssembly.Instance): Promise<void>;
}

const dist = join(packageFolder, "dist");
runInThisContext(readFileSync(join(dist, "wasm_exec.js"), "utf8"));
const page = globalThis as unknown as { Go: new () => Go; validateLicense: ValidateLicense };
const go = new page.Go();
go.env = { WHOP_LICENSE_ENDPOINT: "http://127.0.0.1:1" };
const file = readFileSync(join(dist, "whop-license.wasm"));
const { instance } = await WebAssembly.instantiate(file, go.importObject);
void go.run(instance);

const answers: Record<string, (signal: AbortSignal) => unknown> = {
  valid: () => Promise.resolve(new Response('{"valid":true}', { status: 201 })),
  unavailable: () => Promise.reject(new TypeError("Failed to fetch")),
  thrown: () => {
    throw new TypeError("Failed to fetch");
  },
  odd: () => 7,
  huge: () => Promise.resolve(new Response("x".repeat(1 << 17), { status: 201 })),
  slow: (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    }),
};

for (const [name, answer] of Object.entries(answers)) {
  for (const end of ["answered", "aborted", "timed out"]) {
    if ((name === "slow") === (end === "answered")) continue;
    test(`${name}, ${end}`, async (t) => {
      t.mock.method(globalThis, "fetch", (_: string, { signal }: { signal: AbortSignal }) =>
        answer(signal),
      );
      const check = async (): Promise<void> => {
        const abort = new AbortController();
        const timeoutMs = end === "timed out" ? 1 : 60_000;
        const options = { signal: abort.signal, timeoutMs, maxAttempts: 1 };
        const checked = page.validateLicense(KEY, "one", options).catch(() => {});
        if (end === "aborted") abort.abort();
        await checked;
      };
      const held = async (rounds: number): Promise<number> => {
        for (let round = 0; round < rounds; round++)
          await Promise.all(Array.from({ length: 32 }, check));
        return go._ids.size;
      };
      const early = await held(4);
      const late = await held(32);
      // Go's garbage collector releases values, so some are always waiting for it.
      assert.ok(late <= early + 512, `${late} values are held, and were ${early}`);
    });
  }
}
