// What only Windows does to an app: another program holds the file of leases
// open, and the app lies in a folder of any name. windows.sh puts it beside the
// package, and HOLDER is its holder.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { createFileLeases } from "whop-license/electron/main";
import { createSidecar, machineId } from "whop-license/sidecar";

const require = createRequire(import.meta.url);
const { machineIdSync } = require("node-machine-id");
const folder = mkdtempSync(join(tmpdir(), "whop-license-"));

/** Calls while another program holds the file open. */
async function whileHeld(file, share, call) {
  const holder = spawn(process.env.HOLDER, [file, String(share)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    await once(holder.stdout, "data");
    return await call();
  } finally {
    holder.stdin.end();
    await once(holder, "close");
  }
}

for (const share of [7, 3]) {
  test(`leases while a program holds their file open, share mode ${share}`, async () => {
    const path = join(folder, `held-${share}`, "leases");
    const store = createFileLeases({ path });
    await store.set("a", "1");
    await whileHeld(path, share, async () => {
      assert.equal(await store.get("a"), "1");
      assert.equal(await createFileLeases({ path }).get("a"), "1");
    });
    // Once it has let go, all is as it was.
    await store.set("b", "2");
    assert.equal(await createFileLeases({ path }).get("b"), "2");
    assert.deepEqual(readdirSync(dirname(path)), ["leases"]);
  });

  test(`a lease that is removed meanwhile does not come back, share mode ${share}`, async () => {
    const path = join(folder, `removed-${share}`, "leases");
    const store = createFileLeases({ path });
    await store.set("a", "1");
    await whileHeld(path, share, async () => {
      await store.remove("a").catch(() => {});
      assert.equal(await createFileLeases({ path }).get("a"), undefined);
    });
    assert.equal(await createFileLeases({ path }).get("a"), undefined);
  });
}

test("four stores on one file", async () => {
  const path = join(folder, "four", "leases");
  const stores = Array.from({ length: 4 }, () => createFileLeases({ path }));
  for (const [i, store] of stores.entries()) await store.set(`${i}`, "text");
  for (const store of stores) {
    for (const name of ["0", "1", "2", "3"]) assert.equal(await store.get(name), "text");
  }
});

test("the package's sidecar tells node-machine-id's id", async () => {
  const { id, source } = await machineId();
  assert.equal(id, machineIdSync());
  assert.equal(source, "registry");
});

const program = join(
  dirname(require.resolve("@whop-license/sidecar-win32-x64/package.json")),
  "bin/whop-license-sidecar.exe",
);
for (const name of ["with blanks", "ä ☂ 日本", "a & b", "100%", "%TEMP%", "a^b", "wow!", "it's"]) {
  test(`a sidecar and leases in a folder that is called ${name}`, async () => {
    const home = join(folder, "names", name);
    mkdirSync(home, { recursive: true });
    const path = join(home, "whop-license-sidecar.exe");
    copyFileSync(program, path);
    const sidecar = createSidecar({ path });
    assert.equal((await sidecar.machineId()).id, machineIdSync());
    sidecar.close();
    const leases = createFileLeases({ path: join(home, "leases") });
    await leases.set("a", "1");
    assert.equal(await createFileLeases({ path: join(home, "leases") }).get("a"), "1");
    assert.ok(existsSync(join(home, "leases")));
  });
}

/** Sets MachineGuid by reg's arguments, and tells what each of the two makes of it. */
async function guid(...args) {
  const key = ["HKLM\\Software\\Microsoft\\Cryptography", "/v", "MachineGuid", "/f"];
  execFileSync("reg", [args.length ? "add" : "delete", ...key, ...args], { stdio: "ignore" });
  const sidecar = createSidecar();
  const ask = (options) =>
    sidecar.machineId(options).then(
      ({ id }) => id,
      ({ code }) => code,
    );
  const [ours, scoped] = [await ask(), await ask({ scheme: "app-scoped", appId: "an app" })];
  sidecar.close();
  let original;
  try {
    original = machineIdSync();
  } catch {
    original = "no_machine_id";
  }
  return { ours, scoped, original };
}

// Last, as it changes the machine's id. An empty value and none have no id.
for (const [name, args, none] of [
  ["upper case", ["/d", "A84207C0-F19F-4695-90AE-75B29B764349"]],
  ["braces", ["/d", "{a84207c0-f19f-4695-90ae-75b29b764349}"]],
  ["blanks", ["/d", " a84207c0-f19f-4695-90ae-75b29b764349 "]],
  ["a text to be expanded", ["/t", "REG_EXPAND_SZ", "/d", "a84207c0-f19f-4695-90ae-75b29b764349"], true],
  ["a number", ["/t", "REG_DWORD", "/d", "7"], true],
  ["nothing", ["/d", ""], true],
  ["missing", [], true],
]) {
  test(`a MachineGuid in another form: ${name}`, async () => {
    const { ours, scoped, original } = await guid(...args);
    if (none) assert.equal(ours, "no_machine_id");
    else assert.equal(ours, original);
    // machineid, whose id app-scoped is, takes a text to be expanded as it stands.
    assert.equal(scoped !== "no_machine_id", !none || args.includes("REG_EXPAND_SZ"));
  });
}
