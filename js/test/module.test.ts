// What happens to calls when the Go program fails.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadValidator, type ValidateLicense } from "whop-license";
import { packageFolder, rejects, temporaryFolder } from "./helpers/support.js";

const out = join(temporaryFolder(), "stopping.wasm");
execFileSync("go", ["build", "-o", out, "./test/testdata/stopping"], {
  cwd: packageFolder,
  env: { ...process.env, GOOS: "js", GOARCH: "wasm", CGO_ENABLED: "0" },
  stdio: "inherit",
});
const wasm = await WebAssembly.compile(readFileSync(out));

for (const [endpoint, message] of [
  ["exits", /not that of whop-license, or it ended/],
  ["panics", /not that of whop-license, or it ended/],
  ["sets nothing", /not that of whop-license/],
  ["old", /version 0\.0\.1, but this package is version \d/],
] as const) {
  test(`a program that ${endpoint} at start`, async (t) => {
    t.mock.method(console, "error", () => {});
    await rejects(loadValidator({ endpoint, wasm }), "load_failed", message);
  });
}

for (const how of ["exit", "panic", "exit later", "throw"]) {
  test(`a program that stops by ${how}`, async (t) => {
    const shown = t.mock.method(console, "error", () => {});
    const endpoint = `works until ${how}`;
    const { validateLicense } = await loadValidator({ endpoint, wasm });
    const inFlight = validateLicense("print later");
    const hwid = Object.defineProperty({}, "thrower", {
      get() {
        throw new Error("thrown by the test");
      },
    });
    const last = validateLicense(how, hwid as Record<string, string>);

    for (const call of [inFlight, last]) {
      const error = await rejects(call, "load_failed", /has stopped/);
      assert.equal(error.retryable, true);
      if (how === "throw") assert.equal((error.cause as Error).message, "thrown by the test");
    }
    await rejects(validateLicense("never"), "load_failed", /has stopped/);
    const text = shown.mock.calls.map((call) => String(call.arguments[0])).join("\n");
    if (how === "panic") assert.match(text, /panic: stopped by the test/);
    if (how !== "exit later") assert.doesNotMatch(text, /resumed/);

    // A new load starts a new program.
    const again = await loadValidator({ endpoint, wasm });
    assert.notEqual(again.validateLicense, validateLicense);
    await rejects(again.validateLicense("nothing"), "load_failed", /failed inside/);
  });
}

test("a rejection that is not a LicenseError", async () => {
  const { validateLicense } = await loadValidator({ endpoint: "works", wasm });
  const odd = validateLicense as unknown as (
    how: string,
    thrown: unknown,
  ) => ReturnType<ValidateLicense>;
  for (const thrown of [new Error("odd"), "odd", { code: "not_found" }]) {
    const error = await rejects(odd("reject", thrown), "load_failed", /failed inside/);
    assert.equal(error.cause, thrown);
  }
});
