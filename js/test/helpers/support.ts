import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import type { LicenseErrorCode } from "whop-license";

/** The folder js/. */
export const packageFolder = fileURLToPath(new URL("../..", import.meta.url));

/** The vectors of a rule, by file name. */
export function vectors<Vector>(rule: string): [name: string, vector: Vector][] {
  const folder = join(packageFolder, "..", "shared", "testdata", rule);
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8"))]);
}

/** Serves on a free loopback port until the tests of the file are over, and returns the URL. */
export async function serve(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server: Server = createServer(handler);
  // An idle connection may be closed just when fetch reuses it.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A folder that is removed when the tests of the file are over. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "whop-license-test-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Failure extends Error {
  code: LicenseErrorCode;
  retryable: boolean;
  status?: number;
  retryAfterMs?: number;
  argument?: string;
}

/** Asserts that the promise rejects with a LicenseError of the code and message, and returns it. */
export async function rejects(
  promise: Promise<unknown>,
  code: LicenseErrorCode,
  message?: RegExp,
): Promise<Failure> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (thrown: Failure) => ({ thrown }),
  );
  assert.ok("thrown" in outcome, `resolved with ${JSON.stringify(outcome)}`);
  const { thrown } = outcome;
  assert.equal(thrown.name, "LicenseError", String(thrown));
  assert.equal(thrown.code, code, thrown.message);
  if (message) assert.match(thrown.message, message);
  return thrown;
}

export const KEY = "A1B2C3-D4E5F6-G7H8I9";

/** An object that throws whatever is done with it. */
export function revokedProxy(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
