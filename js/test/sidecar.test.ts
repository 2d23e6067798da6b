// The sidecar's client, with the real sidecar and with ones that misbehave.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, createHmac } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { LicenseError } from "whop-license";
import { createSidecar, machineId, type Sidecar, type SidecarOptions } from "whop-license/sidecar";
import { packageFolder, rejects, revokedProxy, temporaryFolder } from "./helpers/support.js";
import { ended, resume, script, stop, watched } from "./helpers/watched.js";

const require = createRequire(import.meta.url);
const { machineIdSync } = require("node-machine-id") as typeof import("node-machine-id");

const folder = temporaryFolder();
const open: Sidecar[] = [];
function sidecar(options?: SidecarOptions): Sidecar {
  const made = createSidecar(options);
  open.push(made);
  return made;
}
afterEach(() => {
  for (const made of open.splice(0)) made.close();
});

/** A program that speaks the protocol, except for what the given code changes. */
function fake(code: string): string {
  return script(`
    const { readFileSync, writeFileSync, writeSync } = require("node:fs");
    const { version } = JSON.parse(readFileSync(${JSON.stringify(join(packageFolder, "package.json"))}));
    const hello = { name: "whop-license-sidecar", version, protocol: 1 };
    const machine = { id: "ab".repeat(32), scheme: "node-machine-id", source: "etc", warnings: [] };
    const raw = (length, text) => {
      const frame = Buffer.alloc(4);
      frame.writeUInt32LE(length);
      return Buffer.concat([frame, Buffer.from(text)]);
    };
    const frame = (message) => {
      const text = JSON.stringify({ jsonrpc: "2.0", ...message });
      return raw(Buffer.byteLength(text), text);
    };
    const write = (bytes) => writeSync(1, bytes);
    const answers = {
      initialize: (id) => write(frame({ id, result: hello })),
      machineId: (id) => write(frame({ id, result: machine })),
    };
    ${code}
    let rest = Buffer.alloc(0);
    process.stdin.on("data", (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32LE()) {
        const end = 4 + rest.readUInt32LE();
        const { id, method, params } = JSON.parse(rest.subarray(4, end));
        rest = rest.subarray(end);
        answers[method](id, params);
      }
    });
  `);
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

test("the same bytes as node-machine-id", async () => {
  const { id, scheme, source, warnings } = await machineId();
  assert.equal(id, machineIdSync());
  assert.equal(id, sha256(machineIdSync(true)));
  assert.equal(scheme, "node-machine-id");
  assert.ok(["dbus", "etc", "hostname", "ioreg", "registry"].includes(source));
  assert.ok(Array.isArray(warnings));
  assert.deepEqual(await machineId({ scheme: "node-machine-id" }), await machineId({}));
});

test("the other schemes", async () => {
  const python = await machineId({ scheme: "python-platform-node" });
  assert.equal(python.id, sha256(hostname()));
  assert.equal(python.source, "hostname");

  const scoped = await machineId({ scheme: "app-scoped", appId: "my app ☂" });
  const raw = machineIdSync(true);
  assert.equal(scoped.id, createHmac("sha256", raw).update("my app ☂").digest("hex"));
  assert.equal(scoped.scheme, "app-scoped");
});

test("invalid arguments", async (t) => {
  const cases: [unknown, RegExp][] = [
    [null, /^options: /],
    ["node-machine-id", /^options: /],
    [{ original: true }, /^options: .*original/],
    [{ scheme: 1 }, /^scheme: must be a string/],
    [{ scheme: "md5" }, /scheme/],
    [{ scheme: "app-scoped" }, /app/i],
    [{ scheme: "app-scoped", appId: "" }, /app/i],
    [{ scheme: "app-scoped", appId: Symbol("s") }, /^appId: must be a string/],
    [{ scheme: "app-scoped", appId: "\ud800" }, /^appId: is not well-formed/],
    [
      { scheme: "app-scoped", appId: "x".repeat(10_000_000) },
      /^appId: is longer than 4096 characters/,
    ],
    [{ signal: "now" }, /^signal: /],
    [revokedProxy(), /^options: can't be read/],
  ];
  for (const [options, message] of cases) {
    await rejects(machineId(options as object), "invalid_argument", message);
  }
  const throwing = Object.defineProperty({}, "scheme", {
    enumerable: true,
    get() {
      throw new Error("thrown by the test");
    },
  });
  await rejects(machineId(throwing), "invalid_argument", /^options: can't be read/);
  for (const options of [
    { path: "" },
    { path: 1 },
    { timeoutMs: 0 },
    { timeoutMs: "1" },
    { x: 1 },
  ]) {
    await t.test(JSON.stringify(options), () => {
      assert.throws(
        () => createSidecar(options as object),
        (error) => error instanceof LicenseError && error.code === "invalid_argument",
      );
    });
  }
});

test("a thousand calls share one process", async () => {
  const { path, pids } = watched();
  const shared = sidecar({ path, timeoutMs: 60_000 });
  assert.deepEqual(pids(), [], "started before it was needed");
  const answers = await Promise.all(Array.from({ length: 1000 }, () => shared.machineId()));
  assert.deepEqual(new Set(answers.map(({ id }) => id)), new Set([machineIdSync()]));
  await shared.machineId();
  assert.equal(pids().length, 1);
});

test("a crash fails the calls in flight, and the next call starts it again", async () => {
  const { path, pids } = watched();
  const crashing = sidecar({ path, timeoutMs: 60_000 });
  await crashing.machineId();
  const [pid] = pids() as [number];
  await stop(pid);
  const inFlight = [crashing.machineId(), crashing.machineId({ scheme: "python-platform-node" })];
  process.kill(pid, "SIGKILL");
  for (const call of inFlight) {
    const error = await rejects(
      call,
      "no_machine_id",
      /ended before it answered \((SIGKILL|exit code 1)\)/,
    );
    assert.equal(error.retryable, true);
  }
  assert.equal((await crashing.machineId()).id, machineIdSync());
  assert.equal(pids().length, 2);
});

const late = process.platform === "win32" && "Windows tells of an end before Node does";
test("a crash between calls goes unnoticed", { skip: late }, async () => {
  const { path, pids } = watched();
  const crashing = sidecar({ path, timeoutMs: 60_000 });
  await crashing.machineId();
  process.kill(pids()[0] as number, "SIGKILL");
  await ended(pids()[0] as number);
  assert.equal((await crashing.machineId()).id, machineIdSync());
  assert.equal(pids().length, 2);
});

test("a sidecar that hangs is replaced", async (t) => {
  const { path, pids } = watched();
  const hanging = sidecar({ path, timeoutMs: 60_000 });
  await hanging.machineId();
  const [pid] = pids() as [number];
  await stop(pid);
  const timer = timers(t);
  const calls = [hanging.machineId(), hanging.machineId()];
  // Each call sets one for the start, which is over, and then one for the answer.
  for (let set = 0; set < 2 * calls.length; set++) (await timer.next()).expire();
  t.mock.restoreAll();
  for (const call of calls) {
    assert.equal((await rejects(call, "timeout", /within 60000 ms/)).retryable, true);
  }
  await ended(pid);
  assert.equal((await hanging.machineId()).id, machineIdSync());
  assert.equal(pids().length, 2);
});

test("a host that was busy still gets the answer", async () => {
  const written = join(folder, "written");
  const path = fake(`
    let asked = 0;
    answers.machineId = (id) => {
      write(frame({ id, result: machine }));
      if (++asked === 2) writeFileSync(${JSON.stringify(written)}, "");
    };
  `);
  const patient = sidecar({ path, timeoutMs: 3000 });
  await patient.machineId();
  const start = Date.now();
  const call = patient.machineId();
  await new Promise(setImmediate); // until the request is written
  while (!existsSync(written) || Date.now() - start < 3100) {
    // Nothing else runs in this process during that time, as in a host that reads files.
    assert.ok(Date.now() - start < 60_000, "the sidecar was not asked");
  }
  assert.equal((await call).id, "ab".repeat(32));
});

test("abort", async () => {
  const { path, pids } = watched();
  const aborting = sidecar({ path, timeoutMs: 60_000 });
  const reason = new Error("changed my mind");
  const signal = AbortSignal.abort(reason);
  assert.equal((await rejects(aborting.machineId({ signal }), "aborted")).cause, reason);
  assert.deepEqual(pids(), []);

  await aborting.machineId();
  const [pid] = pids() as [number];
  await stop(pid);
  const controller = new AbortController();
  const aborted = aborting.machineId({ signal: controller.signal });
  const other = aborting.machineId({ signal: new AbortController().signal });
  controller.abort();
  await rejects(aborted, "aborted");
  resume(pid);
  assert.equal((await other).id, machineIdSync());
  assert.equal((await aborting.machineId()).id, machineIdSync());
  assert.equal(pids().length, 1);
});

test("close", async () => {
  const { path, pids } = watched();
  const closing = sidecar({ path, timeoutMs: 60_000 });
  await closing.machineId();
  await stop(pids()[0] as number);
  const inFlight = closing.machineId();
  closing.close();
  closing.close();
  await rejects(inFlight, "aborted", /was closed/);
  await rejects(closing.machineId(), "aborted", /was closed/);
  await ended(pids()[0] as number);
  assert.equal(pids().length, 1);

  const unused = sidecar({ path });
  unused.close();
  await rejects(unused.machineId(), "aborted");
});

test("frames that are split and merged", async () => {
  const cut = fake(`
    const whole = write;
    const waiting = [];
    answers.machineId = (id) => {
      waiting.push(frame({ id, result: machine }));
      if (waiting.length < 3) return;
      const all = Buffer.concat(waiting);
      for (const part of [all.subarray(0, 1), all.subarray(1, 3), all.subarray(3, 9)]) whole(part);
      setImmediate(() => whole(all.subarray(9)));
    };
  `);
  const shared = sidecar({ path: cut, timeoutMs: 60_000 });
  const calls = [shared.machineId(), shared.machineId(), shared.machineId()];
  for (const { id } of await Promise.all(calls)) assert.equal(id, "ab".repeat(32));
});

test("a sidecar that misbehaves", async (t) => {
  const answer = (code: string) => `answers.machineId = (id) => { ${code} };`;
  const result = (members: string) =>
    answer(`write(frame({ id, result: { ...machine, ${members} } }))`);
  const cases: [string, string, "no_machine_id" | "load_failed" | "invalid_argument", RegExp][] = [
    ["text", answer(`write("panic: no such thing\\n".repeat(9))`), "no_machine_id", /too long/],
    ["an endless frame", answer(`write(raw(1 << 21, ""))`), "no_machine_id", /too long/],
    ["a negative length", answer(`write(Buffer.alloc(4, 255))`), "no_machine_id", /too long/],
    ["no JSON", answer(`write(raw(3, "{a}"))`), "no_machine_id", /sent invalid data/],
    ["an empty frame", answer(`write(raw(0, ""))`), "no_machine_id", /sent invalid data/],
    [
      "invalid UTF-8",
      answer(`
        const bytes = frame({ id, result: { ...machine, warnings: ["?"] } });
        bytes[bytes.indexOf("?")] = 0xff;
        write(bytes)
      `),
      "no_machine_id",
      /sent invalid data/,
    ],
    ["null", answer(`write(raw(4, "null"))`), "no_machine_id", /sent invalid data/],
    [
      "an unknown id",
      answer("write(frame({ id: 99, result: machine }))"),
      "no_machine_id",
      /sent invalid data/,
    ],
    [
      "an id that is text",
      answer(`write(frame({ id: "2", result: machine }))`),
      "no_machine_id",
      /sent invalid data/,
    ],
    [
      "a notification",
      answer(`write(frame({ method: "x" }))`),
      "no_machine_id",
      /sent invalid data/,
    ],
    [
      "another JSON-RPC",
      answer(`write(frame({ id, jsonrpc: "1.0", result: machine }))`),
      "no_machine_id",
      /sent invalid data/,
    ],
    [
      "an odd error",
      answer(`write(frame({ id, error: "x" }))`),
      "no_machine_id",
      /sent invalid data/,
    ],
    [
      "a null error",
      answer("write(frame({ id, error: null }))"),
      "no_machine_id",
      /sent invalid data/,
    ],
    ["no result", answer("write(frame({ id }))"), "no_machine_id", /not a machine id/],
    ["an empty id", result(`id: ""`), "no_machine_id", /not a machine id/],
    ["a short id", result(`id: "abc"`), "no_machine_id", /not a machine id/],
    ["an id that is a number", result("id: 1"), "no_machine_id", /not a machine id/],
    ["odd warnings", result("warnings: [1]"), "no_machine_id", /not a machine id/],
    ["another scheme than asked for", result(`scheme: "md5"`), "no_machine_id", /not a machine id/],
    ["an exit", answer("process.exit(3)"), "no_machine_id", /exit code 3/],
    ["an exit at start", "process.exit(4)", "load_failed", /exit code 4/],
    ["text at start", `write("usage: cat FILE\\n")`, "load_failed", /too long/],
    [
      "no id",
      answer(`write(frame({ id, error: { code: -32001, message: "tried dbus and etc" } }))`),
      "no_machine_id",
      /^tried dbus and etc$/,
    ],
    [
      "parameters that it refuses",
      answer(`write(frame({ id, error: { code: -32602, message: "scheme: unknown" } }))`),
      "invalid_argument",
      /^scheme: unknown/,
    ],
    [
      "an internal error",
      answer(`write(frame({ id, error: { code: -32603, message: "broken" } }))`),
      "no_machine_id",
      /could not read.*broken/,
    ],
    ["another name", `hello.name = "cat";`, "load_failed", /not a whop-license-sidecar/],
    ["another protocol", "hello.protocol = 2;", "load_failed", /of protocol 1/],
    [
      "another version",
      `hello.version = "0.0.1";`,
      "load_failed",
      /version 0\.0\.1, but this package/,
    ],
    [
      "a protocol that it refuses",
      `answers.initialize = (id) => write(frame({ id, error: { code: -32602, message: "protocol 2 only" } }));`,
      "load_failed",
      /protocol 2 only/,
    ],
    [
      "no greeting",
      "answers.initialize = (id) => write(frame({ id, result: null }));",
      "load_failed",
      /not a/,
    ],
  ];
  for (const [name, code, expected, message] of cases) {
    await t.test(name, async () => {
      const odd = sidecar({ path: fake(code), timeoutMs: 60_000 });
      await rejects(odd.machineId({ scheme: "node-machine-id" }), expected, message);
    });
  }
});

test("a sidecar that can't be started", async (t) => {
  const file = join(folder, "text");
  writeFileSync(file, "not a program at all", { mode: 0o644 });
  const program = join(folder, "text-to-run");
  writeFileSync(program, "not a program at all", { mode: 0o755 });
  const platform = `${process.platform}-${process.arch}`;
  const cases: [string, RegExp][] = [
    [join(folder, "absent"), new RegExp(`no sidecar for ${platform} .*WHOP_LICENSE_SIDECAR`)],
    [join(folder, "resources/app.asar/absent"), /app\.asar\.unpacked.absent.*asarUnpack/],
    // On Windows, every file is executable.
    [file, process.platform === "win32" ? /can't be started/ : /may not be run/],
    [folder, /may not be run|can't be started/],
    [program, /can't be started|ended before|may not/],
    ["a\0b", /can't be started/],
  ];
  for (const [path, message] of cases) {
    await t.test(JSON.stringify(path.replace(folder, "")), async () => {
      const error = await rejects(
        sidecar({ path, timeoutMs: 60_000 }).machineId(),
        "load_failed",
        message,
      );
      assert.ok(error instanceof LicenseError);
    });
  }
});

test("a path that is too long for Windows", async (t) => {
  const { platform } = process;
  t.after(() => Object.defineProperty(process, "platform", { value: platform }));
  Object.defineProperty(process, "platform", { value: "win32" });
  const folders = (length: number) => join("/", "x/".repeat(length)).slice(0, length);
  const ask = (length: number) => sidecar({ path: folders(length) }).machineId();
  await rejects(ask(259), "load_failed", /There is no sidecar/);
  await rejects(ask(260), "load_failed", /longer than 259 characters.*shorter path/);
});

/** Records each timer that is set, until the test is over. */
function timers(t: TestContext): { next(): Promise<{ ms: number; expire: () => void }> } {
  const set: { ms: number; expire: () => void }[] = [];
  let noted = () => {};
  const { setTimeout } = globalThis;
  t.mock.method(globalThis, "setTimeout", (run: () => void, ms: number) => {
    set.push({ ms, expire: run });
    noted();
    return setTimeout(run, 60_000);
  });
  const next = async () => {
    while (set.length === 0) {
      await new Promise<void>((resolve) => {
        noted = resolve;
      });
    }
    return set.shift() as { ms: number; expire: () => void };
  };
  return { next };
}

test("the first start may take longer than a call", async (t) => {
  const timer = timers(t);
  const expire = async (ms: number) => {
    const next = await timer.next();
    assert.equal(next.ms, ms);
    next.expire();
  };
  const silent = sidecar({ path: fake("answers.initialize = () => {};") });
  for (let start = 0; start < 2; start++) {
    const call = silent.machineId();
    await expire(30_000);
    await rejects(call, "timeout", /within 30000 ms/);
  }
  const patient = sidecar({ path: fake("answers.initialize = () => {};"), timeoutMs: 40_000 });
  const waiting = patient.machineId();
  await expire(40_000);
  await rejects(waiting, "timeout", /within 40000 ms/);

  const hanging = sidecar({ path: fake("answers.machineId = () => {};") });
  const first = hanging.machineId();
  assert.equal((await timer.next()).ms, 30_000);
  await expire(5000);
  await rejects(first, "timeout", /within 5000 ms/);
  const second = hanging.machineId();
  assert.equal((await timer.next()).ms, 5000, "it has started before");
  await expire(5000);
  await rejects(second, "timeout", /within 5000 ms/);
});

test("a path into Electron's archive, whatever the names of the folders above it", async (t) => {
  for (const [path, lies] of [
    [["app.asar"], ["app.asar.unpacked"]],
    [
      ["app-arm64.asar", "deep"],
      ["app-arm64.asar.unpacked", "deep"],
    ],
    [
      ["my.asar", "app.asar", "app.asar"],
      ["my.asar", "app.asar", "app.asar.unpacked"],
    ],
    // There is no archive.
    [["my.asar"], ["my.asar"]],
    [["my-app.asar"], ["my-app.asar"]],
    [
      ["my.asar", "app.asar.unpacked"],
      ["my.asar", "app.asar.unpacked"],
    ],
  ] as const) {
    await t.test(path.join("/"), async () => {
      const root = temporaryFolder();
      mkdirSync(join(root, ...lies), { recursive: true });
      const { pids } = watched(join(root, ...lies, "sidecar"));
      const packed = sidecar({ path: join(root, ...path, "sidecar"), timeoutMs: 60_000 });
      assert.equal((await packed.machineId()).id, machineIdSync());
      assert.equal(pids().length, 1);
      packed.close();
    });
  }
});

test("WHOP_LICENSE_SIDECAR overrides the path", async () => {
  const { path, pids } = watched();
  process.env.WHOP_LICENSE_SIDECAR = path;
  try {
    const overridden = sidecar({ path: join(folder, "absent"), timeoutMs: 60_000 });
    assert.equal((await overridden.machineId()).id, machineIdSync());
  } finally {
    delete process.env.WHOP_LICENSE_SIDECAR;
  }
  assert.equal(pids().length, 1);
});

test("a host ends while its sidecar idles, and the sidecar with it", async () => {
  const { path, pids } = watched();
  for (const code of [
    `import { machineId } from "whop-license/sidecar"; console.log((await machineId()).id);`,
    `require("whop-license/sidecar").machineId().then(({ id }) => console.log(id));`,
  ]) {
    const type = code.startsWith("import") ? "module" : "commonjs";
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [`--input-type=${type}`, "--eval", code],
      { cwd: packageFolder, env: { ...process.env, WHOP_LICENSE_SIDECAR: path }, timeout: 60_000 },
    );
    assert.equal(stdout, `${machineIdSync()}\n`);
    await ended(pids().at(-1) as number);
  }
  assert.equal(pids().length, 2);
});

test("a call that was aborted doesn't keep the host alive", async () => {
  const path = fake("answers.machineId = () => {};");
  const code = `
    const { createSidecar } = require("whop-license/sidecar");
    const sidecar = createSidecar({ path: ${JSON.stringify(path)}, timeoutMs: 2 ** 31 - 1 });
    const controller = new AbortController();
    const call = sidecar.machineId({ signal: controller.signal });
    setImmediate(() => controller.abort());
    call.catch((error) => console.log(error.code));
  `;
  const args = ["--input-type=commonjs", "--eval", code];
  const options = { cwd: packageFolder, timeout: 60_000 };
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  assert.equal(stdout, "aborted\n");
});
