// What an error says if a program can't reach the server.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadValidator } from "whop-license";
import { KEY, rejects, revokedProxy, serve } from "./helpers/support.js";

const http = await serve((_, response) => response.end());

// Nothing listens there, and the system gives that port to nobody who asks for a free one.
const closed = "http://127.0.0.1:2";

async function failure(endpoint: string, message: RegExp) {
  const { validateLicense } = await loadValidator({ endpoint });
  const error = await rejects(
    // Without a network, it may take half a minute until a name is not found.
    validateLicense(KEY, "m1", { maxAttempts: 1, timeoutMs: 150_000 }),
    "unavailable",
    message,
  );
  assert.ok(!error.message.includes(KEY), error.message);
  assert.equal(error.retryable, true);
  return error;
}

test("the error names the endpoint and the system's code", async () => {
  const error = await failure(
    `${closed}/under`,
    /The endpoint is http:\/\/127\.0\.0\.1:\d+\/under, and the system says ECONNREFUSED: nothing listens there\.$/,
  );
  // The error that fetch has thrown.
  assert.ok(error.cause instanceof TypeError, String(error.cause));
  await failure("https://nobody.invalid", /nobody\.invalid.*(ENOTFOUND|EAI_AGAIN).*resolved/);
  await failure(http.replace("http:", "https:"), /the system says ERR_SSL_\w+:/);
});

const thrown: [string, unknown, RegExp][] = [
  [
    "a certificate that isn't trusted, from Node",
    new TypeError("fetch failed", {
      cause: Object.assign(new Error("certificate has expired"), { code: "CERT_HAS_EXPIRED" }),
    }),
    /CERT_HAS_EXPIRED: its certificate isn't trusted here/,
  ],
  [
    "the same, from Electron",
    new Error("net::ERR_CERT_AUTHORITY_INVALID"),
    /ERR_CERT_AUTHORITY_INVALID: its certificate isn't trusted here/,
  ],
  ["a code that isn't text", Object.assign(new Error(), { code: 7 }), /endpoint is https:\S+\.$/],
  [
    "a license key as a code",
    Object.assign(new Error(), { code: KEY }),
    /endpoint is https:\S+\.$/,
  ],
  ["nothing", undefined, /endpoint is https:\S+\.$/],
  ["what can't be read", revokedProxy(), /endpoint is https:\S+\.$/],
];

for (const [name, value, message] of thrown) {
  test(name, async (t) => {
    t.mock.method(globalThis, "fetch", () => Promise.reject(value));
    const error = await failure("https://license.example.com", message);
    assert.equal(error.cause, value);
  });
}
