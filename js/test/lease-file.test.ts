// The file in which leases are kept: what it contains, and what it survives.
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  constants,
  mkdirSync,
  promises,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { pathToFileURL } from "node:url";
import { loadValidator } from "whop-license";
import { createFileLeases, type SafeStorage } from "../dist/electron/lease-file.js";
import { down, startLeaseServer } from "./helpers/lease-server.js";
import { KEY, packageFolder, temporaryFolder } from "./helpers/support.js";

const folder = temporaryFolder();
let files = 0;
const fresh = () => join(folder, `${++files}`, "leases");

/** Stands in for encryption. */
function storage(own: Partial<SafeStorage> = {}): SafeStorage {
  const flip = (bytes: Uint8Array) => Buffer.from(bytes.map((byte) => byte ^ 0x55));
  return {
    isEncryptionAvailable: () => true,
    encryptString: (plain) => flip(Buffer.from(`v10${plain}`)),
    decryptString: (encrypted) => {
      const plain = flip(encrypted).toString();
      if (!plain.startsWith("v10")) throw new Error("can't be decrypted");
      return plain.slice(3);
    },
    ...own,
  };
}

test("stored texts are still there after a restart", async () => {
  const path = fresh();
  const store = createFileLeases({ path });
  assert.equal(await store.get("a"), undefined);
  await store.set("a", "1");
  await store.set("b", "2");
  await store.set("a", "ä\ud83d\ude00\n");
  const again = createFileLeases({ path });
  assert.equal(await again.get("a"), "ä\ud83d\ude00\n");
  assert.equal(await again.get("b"), "2");
  await again.remove("a");
  await again.remove("nothing");
  assert.equal(await store.get("a"), undefined);
  assert.equal(await store.get("b"), "2");
  for (const name of ["__proto__", "constructor", "toString"]) {
    assert.equal(await store.get(name), undefined);
    await store.set(name, "x");
    assert.equal(await store.get(name), "x");
  }
});

test("calls take effect in order", async () => {
  const path = fresh();
  const store = createFileLeases({ path });
  const calls = [];
  for (let i = 0; i < 20; i++) calls.push(store.set("a", `${i}`), store.get("a"));
  calls.push(store.remove("a"), store.get("a"), store.set("a", "last"), store.get("a"));
  const got = await Promise.all(calls);
  assert.deepEqual(
    got.filter((text) => text !== undefined),
    [...Array.from({ length: 20 }, (_, i) => `${i}`), "last"],
  );
  assert.equal(got.at(-3), undefined);
});

test("the validator's leases work offline after a restart", async () => {
  const server = await startLeaseServer();
  const { endpoint, publicKey } = server;
  const path = fresh();
  const load = () =>
    loadValidator({
      endpoint,
      publicKey,
      leases: createFileLeases({ path, safeStorage: storage() }),
    });
  assert.equal((await (await load()).validateLicense(KEY, "m1")).source, "server");
  assert.ok(!readFileSync(path).includes("eyJ"), "the lease is readable");
  server.answer = down;
  const { validateLicense } = await load();
  assert.equal((await validateLicense(KEY, "m1", { maxAttempts: 1 })).source, "lease");
});

test("only its owner may read it", { skip: process.platform === "win32" }, async () => {
  const path = fresh();
  const store = createFileLeases({ path });
  await store.set("a", "1");
  chmodSync(path, 0o666);
  await store.set("a", "2");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
});

test("the file is encrypted only if the encryption is real", async (t) => {
  const cases: [string, SafeStorage | undefined, boolean][] = [
    ["no safeStorage", undefined, false],
    ["none is available", storage({ isEncryptionAvailable: () => false }), false],
    ["macOS and Windows", storage(), true],
    ["a keyring", storage({ getSelectedStorageBackend: () => "gnome_libsecret" }), true],
    ["basic_text", storage({ getSelectedStorageBackend: () => "basic_text" }), false],
    ["not yet known", storage({ getSelectedStorageBackend: () => "unknown" }), false],
  ];
  for (const [name, safeStorage, encrypted] of cases) {
    await t.test(name, async () => {
      const path = fresh();
      await createFileLeases({ path, safeStorage }).set("a", "secret");
      assert.equal(readFileSync(path).includes("secret"), !encrypted);
      assert.equal(await createFileLeases({ path, safeStorage }).get("a"), "secret");
    });
  }
});

test("encryption that comes and goes", async () => {
  const path = fresh();
  const plain = createFileLeases({ path });
  const encrypted = createFileLeases({ path, safeStorage: storage() });
  await plain.set("a", "1");
  assert.equal(await encrypted.get("a"), "1");
  await encrypted.set("b", "2");
  assert.equal(await encrypted.get("a"), "1");
  assert.equal(await plain.get("a"), undefined);
  await plain.set("a", "3");
  assert.equal(await encrypted.get("a"), "3");
});

test("a lease removed while the keychain is locked does not come back", async () => {
  const path = fresh();
  let locked = false;
  const locking = storage({
    isEncryptionAvailable: () => !locked,
    decryptString: (encrypted) => {
      if (locked) throw new Error("locked");
      return storage().decryptString(encrypted);
    },
  });
  const store = createFileLeases({ path, safeStorage: locking });
  await store.set("a", "1");
  locked = true;
  await store.remove("a");
  locked = false;
  assert.equal(await createFileLeases({ path, safeStorage: locking }).get("a"), undefined);
  const none = fresh();
  await createFileLeases({ path: none }).remove("a");
  assert.throws(() => statSync(none), /ENOENT/);
});

test("encryption that fails counts as none, and one that throws when asked writes nothing", async () => {
  const path = fresh();
  const fail = () => {
    throw new Error("thrown by the test");
  };
  const store = createFileLeases({ path, safeStorage: storage({ encryptString: fail }) });
  await store.set("a", "kept");
  assert.equal(await store.get("a"), "kept");
  assert.equal(await createFileLeases({ path, safeStorage: storage() }).get("a"), "kept");
  const early = storage({ isEncryptionAvailable: fail });
  await assert.rejects(
    async () => createFileLeases({ path, safeStorage: early }).set("a", "secret"),
    /thrown by the test/,
  );
  assert.ok(!readFileSync(path).includes("secret"));
});

/** Makes some functions of node:fs/promises fail until the test ends, and skips all waits. */
function failing(t: TestContext, codes: Partial<Record<"rename" | "open", () => string>>) {
  const failed = { rename: 0, open: 0 };
  const waits: number[] = [];
  for (const [name, codeOf] of Object.entries(codes) as ["rename" | "open", () => string][]) {
    const real = promises[name] as (...given: unknown[]) => Promise<unknown>;
    t.mock.method(promises, name, async (...given: unknown[]) => {
      const code = codeOf();
      if (!code) return real(...given);
      failed[name]++;
      throw Object.assign(new Error(`${code}: thrown by the test`), { code });
    });
  }
  t.mock.method(globalThis, "setTimeout", (run: () => void, ms: number) => {
    waits.push(ms);
    setImmediate(run);
  });
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  return { failed, waits };
}

test("writing a file that a virus scanner holds is retried for a second", async (t) => {
  const path = fresh();
  await createFileLeases({ path }).set("a", "1");
  let code = "";
  let left = 0;
  const { failed, waits } = failing(t, { rename: () => (left-- > 0 ? code : "") });
  for (code of ["EPERM", "EACCES", "EBUSY"]) {
    left = 3;
    await createFileLeases({ path }).set("a", code);
    assert.equal(await createFileLeases({ path }).get("a"), code);
  }
  assert.equal(failed.rename, 9);

  [left, waits.length] = [Number.POSITIVE_INFINITY, 0];
  const store = createFileLeases({ path });
  await assert.rejects(async () => store.set("a", "never"), { code: "EBUSY" });
  assert.deepEqual(
    waits,
    [...waits].sort((a, b) => a - b),
  );
  assert.equal(
    waits.reduce((sum, ms) => sum + ms),
    1000,
  );
  [code, waits.length] = ["EIO", 0];
  await assert.rejects(async () => store.set("a", "never"), { code: "EIO" });
  assert.deepEqual(waits, []);
  assert.equal(await store.get("a"), "EBUSY");
  assert.deepEqual(readdirSync(dirname(path)), ["leases"], "a temporary file is left");
});

test("a removal that can't replace the file empties it", async (t) => {
  const path = fresh();
  const store = createFileLeases({ path });
  await store.set("a", "refused");
  let code = "EPERM";
  failing(t, { rename: () => code });
  const said = t.mock.method(console, "error", () => {});
  await store.remove("a");
  assert.equal(readFileSync(path, "utf8"), "");
  assert.equal(await createFileLeases({ path }).get("a"), undefined);
  assert.equal(said.mock.callCount(), 0);
  code = "";
  await store.set("a", "new");
  assert.equal(await store.get("a"), "new");
});

test("a removal that fails completely is reported once, and the lease is not returned anymore", async (t) => {
  const path = fresh();
  const store = createFileLeases({ path });
  await store.set("a", "refused");
  await store.set("b", "kept");
  let held = true;
  const real = promises.open;
  const { failed } = failing(t, { rename: () => (held ? "EBUSY" : "") });
  t.mock.method(promises, "open", async (file: string, flags: string | number) => {
    const writes = typeof flags === "number" && (flags & constants.O_WRONLY) !== 0;
    if (!held || file !== path || !writes) return real(file, flags);
    throw Object.assign(new Error("EBUSY: thrown by the test"), { code: "EBUSY" });
  });
  syncBuiltinESMExports();
  const said = t.mock.method(console, "error", () => {});
  await assert.rejects(async () => store.remove("a"), { code: "EBUSY" });
  const once = failed.rename;
  await assert.rejects(async () => store.remove("a"), { code: "EBUSY" });
  assert.ok(failed.rename > once, "it is not tried again");
  await assert.rejects(async () => store.set("b", "other"), { code: "EBUSY" });
  assert.ok(readFileSync(path).includes("refused"));
  assert.equal(await store.get("a"), undefined);
  assert.equal(await store.get("b"), "kept");
  assert.equal(said.mock.callCount(), 1);
  assert.match(String(said.mock.calls[0]?.arguments[0]), /can't be changed \(EBUSY: .*Delete/);

  // The next write leaves it out.
  held = false;
  await store.set("b", "other");
  assert.ok(!readFileSync(path).includes("refused"));
  await store.set("a", "new");
  assert.equal(await store.get("a"), "new");
});

test("a lease removed while the file can't be read does not come back", async (t) => {
  const path = fresh();
  const store = createFileLeases({ path });
  await store.set("a", "refused");
  let left = 1;
  failing(t, { open: () => (left-- > 0 ? "EACCES" : "") });
  await store.remove("a");
  assert.equal(await createFileLeases({ path }).get("a"), undefined);
});

test("emptying a file does not follow links", { skip: process.platform === "win32" }, async (t) => {
  const path = fresh();
  const victim = join(dirname(path), "victim");
  await createFileLeases({ path: victim }).set("a", "precious");
  symlinkSync(victim, path);
  failing(t, { rename: () => "EPERM" });
  t.mock.method(console, "error", () => {});
  await assert.rejects(async () => createFileLeases({ path }).remove("a"), { code: "EPERM" });
  assert.ok(readFileSync(victim).includes("precious"));
});

test("a file that is damaged or from another program counts as empty", async (t) => {
  const path = fresh();
  const safeStorage = storage();
  await createFileLeases({ path }).set("a", "1");
  const plain = readFileSync(path);
  await createFileLeases({ path, safeStorage }).set("a", "1");
  const encrypted = readFileSync(path);
  const line = plain.subarray(0, plain.indexOf("\n") + 1);
  const damaged: [string, Uint8Array][] = [
    ["empty", Buffer.alloc(0)],
    ["zeros, as after a power cut", Buffer.alloc(plain.length)],
    ["another program's", Buffer.from('{"leases":{}}')],
    ["noise", randomBytes(1000)],
    ["no line end", Buffer.from("whop-license leases 1 plain")],
    ["a later version", Buffer.from(plain.toString().replace("leases 1", "leases 2"))],
    ["other JSON", Buffer.concat([line, Buffer.from('{"a":"1"}')])],
    ["JSON null", Buffer.concat([line, Buffer.from("null")])],
    ["a list of something else", Buffer.concat([line, Buffer.from('[["a",1]]')])],
    ["a list of null", Buffer.concat([line, Buffer.from("[null]")])],
    ["too large", Buffer.concat([plain, Buffer.alloc(300 * 1024, " ")])],
    ["encrypted for another", encrypted.map((byte, i) => (i < 40 ? byte : byte ^ 1))],
    ["encrypted, marked as plain", Buffer.concat([line, encrypted.subarray(40)])],
    ...[1, 10, plain.length - 1].map((n): [string, Uint8Array] => [
      `cut after ${n} bytes`,
      plain.subarray(0, n),
    ]),
  ];
  for (const [name, bytes] of damaged) {
    await t.test(name, async () => {
      writeFileSync(path, bytes);
      const store = createFileLeases({ path, safeStorage });
      assert.equal(await store.get("a"), undefined);
      await store.set("a", "2");
      assert.equal(await store.get("a"), "2");
    });
  }
});

test("a path where no file can be created", async () => {
  const path = fresh();
  mkdirSync(path, { recursive: true });
  const store = createFileLeases({ path });
  assert.equal(await store.get("a"), undefined);
  await assert.rejects(async () => store.set("a", "1"));
  await store.remove("a");
  assert.deepEqual(readdirSync(dirname(path)), ["leases"], "a temporary file is left");
  const inFile = join(fresh(), "x");
  mkdirSync(dirname(dirname(inFile)), { recursive: true });
  writeFileSync(dirname(inFile), "");
  await assert.rejects(async () => createFileLeases({ path: inFile }).set("a", "1"));
});

test("a pipe in its place doesn't block", {
  skip: process.platform === "win32",
}, async () => {
  const path = fresh();
  mkdirSync(dirname(path), { recursive: true });
  execFileSync("mkfifo", [path]);
  const store = createFileLeases({ path });
  assert.equal(await store.get("a"), undefined);
  await store.set("a", "1");
  assert.equal(await store.get("a"), "1");
});

test("a link in its place is replaced, and its target is not changed", {
  skip: process.platform === "win32",
}, async () => {
  const path = fresh();
  mkdirSync(dirname(path), { recursive: true });
  const victim = join(dirname(path), "victim");
  writeFileSync(victim, "precious");
  symlinkSync(victim, path);
  await createFileLeases({ path }).set("a", "1");
  assert.equal(readFileSync(victim, "utf8"), "precious");
});

test("the file stays small", async () => {
  const path = fresh();
  const store = createFileLeases({ path });
  for (let i = 0; i < 25; i++) await store.set(`n${i}`, "x".repeat(8 * 1024));
  assert.equal(await store.get("n4"), undefined);
  assert.equal((await store.get("n5"))?.length, 8 * 1024);
  assert.ok(statSync(path).size < 256 * 1024);
  await assert.rejects(async () => store.set("n25", "x".repeat(8 * 1024 + 1)), /too long/);
  assert.equal((await store.get("n24"))?.length, 8 * 1024);
  for (let i = 0; i < 5; i++) await store.set(`n${i}`, "\u2028".repeat(1000));
  await assert.rejects(async () => {
    for (let i = 0; i < 20; i++) await store.set(`n${i}`, "\0".repeat(8 * 1024));
  }, /too long/);
  assert.ok(statSync(path).size < 256 * 1024);
});

test("invalid paths", () => {
  for (const path of [
    "",
    "leases",
    "./leases",
    "/a\0b",
    undefined,
    null,
    1,
    new URL("file:///x"),
  ]) {
    assert.throws(() => createFileLeases({ path: path as string }), { code: "invalid_argument" });
  }
});

test("only temporary files of programs that were killed are removed", async () => {
  const path = fresh();
  mkdirSync(dirname(path), { recursive: true });
  const old = new Date(Date.now() - 3_600_000);
  const put = (name: string, time?: Date) => {
    const file = join(dirname(path), name);
    writeFileSync(file, "");
    if (time) utimesSync(file, time, time);
  };
  put("leases.0123456789ab.tmp", old);
  put("leases.ba9876543210.tmp", new Date(Date.now() + 3_600_000));
  const kept = ["leases.aaaaaaaaaaaa.tmp", "leases.old.tmp", "other.0123456789ab.tmp"];
  put(kept[0] as string); // another program may be writing it
  put(kept[1] as string, old);
  put(kept[2] as string, old);
  await createFileLeases({ path }).set("a", "1");
  assert.deepEqual(readdirSync(dirname(path)).sort(), ["leases", ...kept].sort());
});

test("the bytes are synced before the rename, and the rename before the call resolves", {
  skip: process.platform === "win32",
}, async (t) => {
  const path = fresh();
  const store = createFileLeases({ path });
  await store.set("a", "old");
  const some = await open(path);
  const prototype = Object.getPrototypeOf(some);
  await some.close();
  const seen: string[] = [];
  const { sync } = prototype;
  t.mock.method(prototype, "sync", function (this: typeof some) {
    const all = readdirSync(dirname(path)).map((name) => readFileSync(join(dirname(path), name)));
    seen.push(all.map((bytes) => (bytes.includes("new") ? "new" : "old")).join());
    return sync.call(this);
  });
  await store.set("a", "new");
  assert.deepEqual(seen, ["old,new", "new"]);
});

test("a program that is killed while it writes leaves a whole file, the old or the new", async () => {
  const path = fresh();
  const module = pathToFileURL(join(packageFolder, "dist/electron/lease-file.js")).href;
  const code = `
    import { createHash } from "node:crypto";
    import { createFileLeases } from ${JSON.stringify(module)};
    const store = createFileLeases({ path: ${JSON.stringify(path)} });
    for (let i = Number(process.argv[1]); ; i++) {
      const filler = String(i).repeat(1000).slice(0, 7000);
      await store.set("a", i + ":" + createHash("sha256").update(filler).digest("hex") + ":" + filler);
      process.stdout.write(i + "\\n");
    }
  `;
  let written = 0;
  for (let round = 0; round < 25; round++) {
    const child: ChildProcess = spawn(
      process.execPath,
      ["--input-type=module", "--eval", code, `${written + 1}`],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    let said = "";
    const output = child.stdout as NodeJS.ReadableStream;
    output.setEncoding("utf8");
    // Killed after some writes, at any point of the next one.
    await new Promise<void>((resolve) => {
      output.on("data", (text: string) => {
        said += text;
        if (said.split("\n").length > 3 + (round % 5)) resolve();
      });
    });
    for (let spin = 0; spin < round * 40_000; spin++);
    child.kill("SIGKILL");
    await once(child, "close");
    const reported = Number(said.trim().split("\n").at(-1));
    const text = (await createFileLeases({ path }).get("a")) as string;
    const [count, digest, filler] = text.split(":") as [string, string, string];
    assert.equal(createHash("sha256").update(filler).digest("hex"), digest);
    assert.ok([reported, reported + 1].includes(Number(count)), `${count} after ${reported}`);
    written = Number(count);
  }
});
