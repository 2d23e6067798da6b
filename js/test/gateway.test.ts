// Leases from the real gateway, in front of the simulator of Whop.
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { type LoadOptions, loadValidator } from "whop-license";
import { sha256, TestStore } from "./helpers/lease-server.js";
import { packageFolder, rejects, temporaryFolder } from "./helpers/support.js";

const folder = temporaryFolder();
const root = join(packageFolder, "..");
const program = (name: string) =>
  join(root, "bin", process.platform === "win32" ? `${name}.exe` : name);

/** Starts a program whose first line is its URL. */
async function start(
  name: string,
  args: string[],
): Promise<{ url: string; stop(): Promise<void> }> {
  const env = { ...process.env, WHOP_API_KEY: "whopsim-api-key" };
  const child: ChildProcess = spawn(program(name), ["--listen=127.0.0.1:0", ...args], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  after(stop);
  const lines = createInterface(child.stdout as NodeJS.ReadableStream);
  const [url] = await Promise.race([
    once(lines, "line"),
    ended.then(() => assert.fail(`${name} has ended`)),
  ]);
  return { url, stop };
}

function keygen(name: string): { file: string; publicKey: string } {
  const file = join(folder, name);
  const said = execFileSync(program("whop-license-gateway"), ["keygen", file], {
    encoding: "utf8",
  });
  return { file, publicKey: /^public key\s+(\S+)$/m.exec(said)?.[1] as string };
}

const [old, current] = [keygen("old.jwk"), keygen("current.jwk")];
const keys = ["GOOD", "ENDING", "REPLAYED"];
const memberships = keys.map((license_key) => ({ license_key, product: "prod_1" }));
writeFileSync(join(folder, "memberships.json"), JSON.stringify(memberships));

const whop = await start("whopsim", [`--memberships=${join(folder, "memberships.json")}`]);
const gateway = (key: { file: string }, ...args: string[]) =>
  start("whop-license-gateway", [
    ...[`--upstream-url=${whop.url}/api/v1`, "--product=prod_1", "--cache-ttl=0"],
    ...[`--signing-key=${key.file}`, "--issuer=https://license.example.com", "--log-level=error"],
    ...args,
  ]);

const publicKey = [old.publicKey, current.publicKey];
const issuer = "https://license.example.com";
const audience = "prod_1";
const once1 = { maxAttempts: 1 };

test("a license from its first use to its end", async () => {
  const { url, stop } = await gateway(current);
  const leases = new TestStore();
  const { validateLicense } = await loadValidator({
    ...{ endpoint: url, publicKey, issuer, audience, leases },
  });
  const online = await validateLicense(" GOOD\n", "m1");
  assert.ok(online.valid);
  assert.equal(online.source, "server");
  assert.equal((await validateLicense("GOOD", "m2")).code, "metadata_mismatch");
  assert.equal((await validateLicense("UNKNOWN", "m1")).code, "not_found");
  assert.equal((await validateLicense("ENDING", { HWID: "m1", disk: "ä\u2028" })).code, "valid");
  assert.equal(leases.texts.size, 2);

  const control = `${whop.url}/sim/memberships/ENDING`;
  const body = JSON.stringify({ status: "expired" });
  assert.ok((await fetch(control, { method: "POST", body })).ok);
  const ended = await validateLicense("ENDING", { HWID: "m1", disk: "ä\u2028" });
  assert.equal(ended.code, "inactive");
  assert.equal(leases.texts.size, 1);

  await stop();
  const offline = await validateLicense("GOOD", { HWID: "m1" }, once1);
  assert.ok(offline.valid);
  assert.equal(offline.source, "lease");
  assert.deepEqual(offline.membership, {
    ...{ valid: true, product: "prod_1" },
    id: online.membership.id,
  });
  const lasts = Date.parse(offline.leaseExpiresAt ?? "") - Date.parse(offline.checkedAt);
  assert.equal(lasts, (1 + 7) * 24 * 3600 * 1000);
  await rejects(validateLicense("ENDING", { HWID: "m1", disk: "ä\u2028" }, once1), "unavailable");
  await rejects(validateLicense("GOOD", "m2", once1), "unavailable");
});

test("jose verifies the gateway's leases with its key set", async () => {
  const { url } = await gateway(current, `--signing-key=${old.file}`);
  const { validateLicense } = await loadValidator({ endpoint: url, publicKey });
  const verdict = await validateLicense("GOOD", "m1");
  assert.ok(verdict.valid && verdict.lease);
  const published = (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as JSONWebKeySet;
  assert.equal(published.keys.length, 2);
  const { payload, protectedHeader } = await jwtVerify(
    verdict.lease,
    createLocalJWKSet(published),
    { issuer, audience, typ: "whop-license-lease+jwt", algorithms: ["EdDSA"] },
  );
  assert.equal(payload.lic, sha256("GOOD"));
  assert.equal(payload.hwm, sha256('{"HWID":"m1"}'));
  assert.equal(payload.sub, verdict.membership.id);
  assert.equal(protectedHeader.kid, published.keys[0]?.kid);
  assert.equal(published.keys[0]?.x, current.publicKey);
});

test("keys are rotated without a gap", async () => {
  const leases = new TestStore();
  const options = { publicKey, leases };
  const before = await gateway(old);
  const first = await loadValidator({ ...options, endpoint: before.url });
  assert.ok((await first.validateLicense("GOOD", "m1")).valid);
  await before.stop();
  const after = await gateway(current, `--signing-key=${old.file}`);
  const second = await loadValidator({ ...options, endpoint: after.url });
  const verdict = await second.validateLicense("GOOD", "m1", { preferLease: true });
  assert.equal(verdict.source, "lease", "a lease of the old key");
  assert.equal((await second.validateLicense("GOOD", "m1")).source, "server");
  const retired = await loadValidator({ endpoint: after.url, publicKey: old.publicKey });
  await rejects(retired.validateLicense("GOOD", "m1"), "untrusted_response");
});

test("a forged server: without leases, with another key, and with a replayed answer", async () => {
  const real = await gateway(current);
  const options = { publicKey: current.publicKey };
  for (const args of [[], [`--signing-key=${old.file}`]]) {
    const forged = await start("whop-license-gateway", [
      ...[`--upstream-url=${whop.url}/api/v1`, "--product=prod_1", ...args],
    ]);
    const { validateLicense } = await loadValidator({ ...options, endpoint: forged.url });
    await rejects(validateLicense("GOOD", "m1"), "untrusted_response");
  }

  // It passes on the first answer and then repeats it forever.
  let recorded = "";
  const recorder = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    recorded ||= await (await fetch(real.url + request.url, { method: "POST", body })).text();
    response.writeHead(201, { "content-type": "application/json" }).end(recorded);
  });
  recorder.listen(0, "127.0.0.1");
  await once(recorder, "listening");
  after(() => recorder.close().closeAllConnections());
  const endpoint = `http://127.0.0.1:${(recorder.address() as AddressInfo).port}`;
  const { validateLicense } = await loadValidator({ ...options, endpoint });
  const first = await validateLicense("REPLAYED", "m1");
  assert.ok(first.valid && first.source === "server" && first.lease);
  const fresh = await loadValidator({ ...options, endpoint, leases: new TestStore() });
  await rejects(fresh.validateLicense("REPLAYED", "m1"), "untrusted_response", /another request/);
  // A replayed answer proves nothing, but the stored lease lets its machine in.
  const second = await validateLicense("REPLAYED", "m1");
  assert.ok(second.valid);
  assert.equal(second.source, "lease");
  assert.equal(second.lease, first.lease);
  assert.equal(second.error?.code, "untrusted_response");
  assert.match(second.error?.message ?? "", /another request/);
});

test("a public key that is built into the module", async (t) => {
  const out = join(folder, "keyed.wasm");
  execFileSync(
    "go",
    ["build", `-ldflags=-s -w -X main.publicKey=${current.publicKey}`, "-o", out, "./wasm"],
    {
      cwd: root,
      env: { ...process.env, GOOS: "js", GOARCH: "wasm", CGO_ENABLED: "0" },
      stdio: "inherit",
    },
  );
  const wasm = await WebAssembly.compile(readFileSync(out));
  const { url, stop } = await gateway(current);
  const forged = await gateway(old);
  const leases = new TestStore();
  const load = (options: Partial<LoadOptions>) =>
    loadValidator({ endpoint: url, wasm, leases, ...options });

  await t.test("no option replaces it", async () => {
    for (const key of [old.publicKey, current.publicKey, "", [], null]) {
      const load1 = load({ publicKey: key as string });
      await rejects(load1, "invalid_argument", /^publicKey: .*(built in|must be|empty)/);
    }
    const { validateLicense } = await load({});
    const given = { publicKey: old.publicKey };
    await rejects(validateLicense("GOOD", "m1", given), "invalid_argument", /^publicKey: /);
  });

  await t.test("leases are kept, and a forged server is not believed", async () => {
    const { validateLicense } = await load({ audience });
    assert.equal((await validateLicense("GOOD", "m1")).source, "server");
    const trick = { endpoint: forged.url };
    await rejects(validateLicense("GOOD", "m2", trick), "untrusted_response");
    const beside = await validateLicense("GOOD", "m1", trick);
    assert.ok(beside.valid);
    assert.equal(beside.source, "lease");
    assert.equal(beside.error?.code, "untrusted_response");
    await stop();
    assert.equal((await validateLicense("GOOD", "m1", once1)).source, "lease");
    const other = await load({ audience: "prod_2", revalidateAfterMs: 0 });
    await rejects(other.validateLicense("GOOD", "m1", once1), "unavailable");
  });
});
