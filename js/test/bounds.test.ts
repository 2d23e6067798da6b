// The limits that JavaScript needs before the module is loaded equal those in Go.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

for (const [bound, go, inGo, ts, inTs] of [
  [
    "the size of a lease",
    "shared/lease/claims.go",
    /\bMaxTokenSize = (\d+)/,
    "js/src/leases/record.ts",
    /LEASE = .*\{1,(\d+)\}/,
  ],
  [
    "the length of an endpoint",
    "shared/license/endpoint.go",
    /\bMaxEndpointLength = (\d+)/,
    "js/src/load.ts",
    /\bMAX_ENDPOINT_LENGTH = (\d+)/,
  ],
  [
    "the longest timer",
    "shared/license/client.go",
    /\bMaxTimeout Milliseconds = 1<<(\d+) - 1/,
    "js/src/abort.ts",
    /\bMAX_TIMER_MS = 2 \*\* (\d+) - 1/,
  ],
] as const) {
  test(`${bound} is the same in Go and in JavaScript`, () => {
    const there = inGo.exec(read(go))?.[1];
    assert.ok(there, `${go} has the bound`);
    assert.equal(inTs.exec(read(ts))?.[1], there);
  });
}
