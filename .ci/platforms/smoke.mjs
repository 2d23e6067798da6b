// The native programs on a platform, as a customer's app meets them:
// node smoke.mjs FOLDER MACHINE_ID [COMMAND…]
//
// FOLDER has the programs in bin/ and memberships.json, and is where they run.
// COMMAND starts one there, such as an emulator; MACHINE_ID is what its sidecar
// must tell. The npm package, as built, is the client.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { promisify } from "node:util";

const require = createRequire(new URL("../../js/package.json", import.meta.url));
const { loadValidator } = require("whop-license");
const { createSidecar } = require("whop-license/sidecar");

const [folder, machineId, ...command] = process.argv.slice(2);
const keys = {
  good: "BETA-18DCE6-E146E733-5C8655W",
  elsewhere: "BETA-2B7D10-9F04C2AA-71E3D0W",
  canceled: "BETA-3C91F5-40B8E6D1-A2C47FW",
  unknown: "BETA-000000-00000000-000000W",
};
const children = new Set();
after(() => {
  for (const child of children) child.kill("SIGKILL");
});

/** A program's command line in the folder; its paths are relative. */
function line(name, args) {
  const exe = existsSync(join(folder, `bin/${name}.exe`)) ? ".exe" : "";
  return [...command, `./bin/${name}${exe}`, ...args];
}

async function run(name, ...args) {
  const [program, ...rest] = line(name, args);
  return (await promisify(execFile)(program, rest, { cwd: folder, timeout: 60_000 })).stdout;
}

/** Starts a server, and returns its URL, which is its first line of output. */
async function start(name, args, env = {}) {
  const [program, ...rest] = line(name, args);
  const child = spawn(program, rest, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const url = await new Promise((resolve, reject) => {
    createInterface(child.stdout).once("line", resolve);
    ended.then((code) => reject(new Error(`${name} ended with ${code}\n${log}`)));
  });
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
    children.delete(child);
  };
  return { url: url.trim(), stop };
}

let publicKey;
let gateway;
const endpoint = () => gateway.url;

test("the gateway makes a key, and starts with it in front of the simulator", async () => {
  const text = await run("whop-license-gateway", "keygen", "key.json");
  publicKey = /^public key +(\S+)/m.exec(text)?.[1];
  assert.ok(publicKey, text);
  const simulator = await start("whopsim", [
    ...["--listen=127.0.0.1:0", "--api-key=of-the-test", "--memberships=memberships.json"],
  ]);
  gateway = await start(
    "whop-license-gateway",
    [
      ...["--listen=127.0.0.1:0", `--upstream-url=${simulator.url}/api/v1`],
      ...["--product=prod_demo", "--signing-key=key.json"],
    ],
    { WHOP_API_KEY: "of-the-test" },
  );
  for (const path of ["healthz", "readyz", ".well-known/jwks.json"]) {
    assert.equal((await fetch(`${endpoint()}/${path}`)).status, 200, path);
  }
});

test("every verdict is proven, and a lease stands in once the gateway has gone", async () => {
  const { validateLicense } = await loadValidator({ endpoint: endpoint(), publicKey });
  const code = async (key, hwid = machineId) => (await validateLicense(key, hwid)).code;
  assert.equal(await code(keys.good), "valid");
  assert.equal(await code(keys.good, "another machine"), "metadata_mismatch");
  assert.equal(await code(keys.unknown), "not_found");
  assert.equal(await code(keys.canceled), "inactive");
  const many = Array.from({ length: 20 }, () => validateLicense(keys.good, machineId));
  for (const { code, source } of await Promise.all(many)) {
    assert.deepEqual([code, source], ["valid", "server"]);
  }
  await gateway.stop();
  const offline = await validateLicense(keys.good, machineId, { maxAttempts: 1 });
  assert.deepEqual([offline.code, offline.source], ["valid", "lease"]);
  await assert.rejects(validateLicense(keys.elsewhere, machineId, { maxAttempts: 1 }), {
    code: "unavailable",
  });
});

test("the sidecar tells this machine's id from a shell", async () => {
  const { id, scheme } = JSON.parse(await run("whop-license-sidecar", "machine-id", "--json"));
  assert.deepEqual([id, scheme], [machineId, "node-machine-id"]);
});

test("the sidecar answers a hundred questions at once, and ends with its client", async () => {
  const [program, ...rest] = line("whop-license-sidecar", []);
  let path = join(folder, program);
  if (process.platform !== "win32") {
    path = join(folder, "sidecar.sh");
    const quoted = [program, ...rest].map((word) => `'${word}'`);
    writeFileSync(path, `#!/bin/sh\ncd '${folder}' && exec ${quoted.join(" ")}\n`);
    chmodSync(path, 0o755);
  }
  const sidecar = createSidecar({ path });
  const ids = await Promise.all(Array.from({ length: 100 }, () => sidecar.machineId()));
  for (const { id } of ids) assert.equal(id, machineId);
  const scoped = await sidecar.machineId({ scheme: "app-scoped", appId: "an app ☂" });
  assert.match(scoped.id, /^[0-9a-f]{64}$/);
  assert.notEqual(scoped.id, machineId);
  sidecar.close();
});
