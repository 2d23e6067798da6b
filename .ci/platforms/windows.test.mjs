// What only Windows does to an app: another program holds the file of leases
// open, and the app lies in a folder of any name. windows.sh puts it beside the
// package, and HOLDER is its holder.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  writeFileSync,
} from "node:fs";
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

// Share mode 1 lets others read the file only: it can't be replaced nor emptied.
test("a removal that fails is given to nobody, and made up for", async () => {
  const path = join(folder, "unremoved", "leases");
  const store = createFileLeases({ path });
  await store.set("a", "1");
  await whileHeld(path, 1, async () => {
    await assert.rejects(store.remove("a"), { code: "EPERM" });
    assert.equal(await store.get("a"), undefined);
  });
  await store.set("b", "2");
  const next = createFileLeases({ path });
  assert.deepEqual([await next.get("a"), await next.get("b")], [undefined, "2"]);
});

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
const names = ["with blanks", "ä ☂ 日本", "a & b", "100%", "%TEMP%", "a^b", "wow!", "it's"];
for (const home of [...names.map((name) => join(folder, "names", name)), process.env.UNC]) {
  test(`a sidecar and leases in ${home}`, async () => {
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

/** How many sidecars run, by the names of all processes. */
const running = () =>
  execFileSync(process.env.HOLDER, ["processes"], { encoding: "utf8" })
    .split("\n")
    .filter((name) => name.trim() === "whop-license-sidecar.exe").length;

const turn = () => new Promise((resolve) => setTimeout(resolve, 20));

test("no sidecar is left behind", async () => {
  // The one of machineId stays. Those of the tests before may still be ending.
  await machineId();
  while (running() > 1) await turn();
  const kept = createSidecar();
  await kept.machineId();
  assert.equal(running(), 2);
  // One whose caller has no patience, one that is aborted at once, and one that is closed.
  const hasty = createSidecar({ timeoutMs: 1 });
  await hasty.machineId().catch(() => {});
  const aborted = createSidecar();
  await assert.rejects(aborted.machineId({ signal: AbortSignal.abort() }));
  for (const sidecar of [kept, hasty, aborted]) sidecar.close();
  while (running() > 1) await turn();
});

const key = "HKLM\\Software\\Microsoft\\Cryptography";
const value = ["/v", "MachineGuid"];
const reg = (...args) => execFileSync("reg", args, { stdio: "ignore" });

/** Changes MachineGuid, and tells what each of the two makes of it. */
async function guid(change) {
  change();
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

const add = (...args) => () => reg("add", key, ...value, "/f", ...args);
const remove = (...args) => reg("delete", key, ...value, "/f", ...args);

/** Sets its bytes, by a file of the registry's own form. */
const bytes = (kind, text) => () => {
  const hex = [...Buffer.from(text, "utf16le")].map((byte) => byte.toString(16).padStart(2, "0"));
  const file = join(folder, "guid.reg");
  const path = key.replace("HKLM", "HKEY_LOCAL_MACHINE");
  writeFileSync(
    file,
    `REGEDIT4\r\n\r\n[${path}]\r\n"MachineGuid"=hex(${kind}):${hex.join(",")}\r\n`,
  );
  reg("import", file);
};

const some = "a84207c0-f19f-4695-90ae-75b29b764349";
// Last, as it changes the machine's id. node-machine-id hashes an empty value, and
// we find none in it.
for (const [name, change, none] of [
  ["upper case", add("/d", some.toUpperCase())],
  ["braces", add("/d", `{${some}}`)],
  ["blanks", add("/d", ` ${some} `)],
  ["an embedded NUL", bytes(1, `${some}\0more\0`)],
  ["without a NUL at its end", bytes(1, some)],
  ["nothing", add("/d", ""), "empty"],
  ["a text to be expanded", add("/t", "REG_EXPAND_SZ", "/d", some), "for node-machine-id"],
  ["several texts", add("/t", "REG_MULTI_SZ", "/d", some), "none"],
  ["a number", add("/t", "REG_DWORD", "/d", "7"), "none"],
  ["a long number", bytes("b", "1234"), "none"],
  ["bytes", bytes(3, some), "none"],
  [
    "in the 32-bit view only",
    () => {
      reg("add", key, ...value, "/f", "/d", some, "/reg:32");
      remove("/reg:64");
    },
    "none",
  ],
  ["missing", () => remove("/reg:32"), "none"],
]) {
  const skip = !process.env.MAY_CHANGE_MACHINE_ID && "MAY_CHANGE_MACHINE_ID is not set";
  test(`a MachineGuid in another form: ${name}`, { skip }, async () => {
    const { ours, scoped, original } = await guid(change);
    assert.equal(ours, none ? "no_machine_id" : original);
    if (none && none !== "empty") assert.equal(original, "no_machine_id");
    // machineid, whose id app-scoped is, takes a text to be expanded as it stands.
    assert.equal(scoped !== "no_machine_id", !none || none === "for node-machine-id");
  });
}
