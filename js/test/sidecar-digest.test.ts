// The digest of a program leaves out what signing changes, and nothing else.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileDigest, programDigest } from "../dist/sidecar/digest.js";
import {
  AD_HOC,
  type Command,
  LINKER_SIGNED,
  linkEdit,
  signAdHoc,
  signatureOf,
  signMac,
} from "./helpers/mach-o.js";
import { packageFolder, temporaryFolder } from "./helpers/support.js";

const folder = temporaryFolder();

const targets = {
  linux: { GOOS: "linux", GOARCH: "amd64" },
  // Go's linker signs programs for this platform, because macOS starts no unsigned ones there.
  macSigned: { GOOS: "darwin", GOARCH: "arm64" },
  macUnsigned: { GOOS: "darwin", GOARCH: "amd64" },
  windows: { GOOS: "windows", GOARCH: "amd64" },
};
type Target = keyof typeof targets;

const programs = Object.fromEntries(
  Object.entries(targets).map(([name, target]) => {
    const file = join(folder, name);
    execFileSync("go", ["build", "-trimpath", "-ldflags=-s -w", "-o", file, "./native/sidecar"], {
      cwd: join(packageFolder, ".."),
      env: { ...process.env, ...target, CGO_ENABLED: "0" },
    });
    return [name, readFileSync(file)];
  }),
) as Record<Target, Buffer>;

/** A copy with other bytes at an offset. */
function changed(program: Buffer, at: number, ...bytes: number[]): Buffer {
  const copy = Buffer.from(program);
  copy.set(bytes, at);
  return copy;
}

function same(one: Buffer, other: Buffer): void {
  assert.ok(!one.equals(other), "signing has changed nothing");
  assert.equal(programDigest(one), programDigest(other));
}

test("a Mach-O program that is signed, and signed again", () => {
  const { macUnsigned, macSigned } = programs;
  assert.equal(signatureOf(macUnsigned), undefined);
  const once = signMac(macUnsigned, randomBytes(9_000));
  same(once, macUnsigned);
  same(signMac(once, randomBytes(40_000)), macUnsigned);

  assert.ok(signatureOf(macSigned));
  for (const length of [16, 20_000, 100_000])
    same(signMac(macSigned, randomBytes(length)), macSigned);
});

test("a Mach-O program that is signed ad hoc, as macOS requires on arm64", () => {
  const { macUnsigned, macSigned } = programs;
  const linked = AD_HOC | LINKER_SIGNED;
  const asGo = signAdHoc(macSigned, "a.out", linked);
  assert.ok(asGo.equals(macSigned), "Go's linker signs otherwise");
  // As codesign does, and a packager, again and again.
  const named = signAdHoc(macSigned, "whop-license-sidecar", AD_HOC);
  same(named, macSigned);
  same(signAdHoc(named, "com.example.app.whop-license-sidecar", AD_HOC), macSigned);
  assert.ok(signAdHoc(named, "a.out", linked).equals(macSigned), "nothing else was changed");
  same(signAdHoc(macUnsigned, "whop-license-sidecar", AD_HOC), macUnsigned);
});

test("a Mach-O program that is padded before its signature", () => {
  const odd = Buffer.concat([programs.macUnsigned, Buffer.from("odd")]);
  same(signMac(odd, randomBytes(100)), odd);
});

// PE, as in Microsoft's "PE Format".
function portable(program: Buffer): { checksum: number; entry: number } {
  const optional = program.readUInt32LE(0x3c) + 24;
  assert.equal(program.readUInt16LE(optional), 0x20b);
  return { checksum: optional + 64, entry: optional + 112 + 4 * 8 };
}

/** Signs with the layout of Authenticode: a certificate table at the end, aligned to eight bytes. */
function signWindows(program: Buffer, table: Buffer): Buffer {
  const at = Math.ceil(program.length / 8) * 8;
  const signed = Buffer.concat([program, Buffer.alloc(at - program.length), table]);
  const { checksum, entry } = portable(program);
  signed.writeUInt32LE(0x12345678, checksum);
  signed.writeUInt32LE(at, entry);
  signed.writeUInt32LE(table.length, entry + 4);
  return signed;
}

test("a PE program that is signed", () => {
  const { windows } = programs;
  same(signWindows(windows, randomBytes(4_096)), windows);
  const odd = Buffer.concat([windows, Buffer.from("odd")]);
  same(signWindows(odd, randomBytes(8)), odd);
});

test("a PE program that osslsigncode signs", (t) => {
  if (spawnSync("osslsigncode", ["--version"]).error)
    return t.skip("osslsigncode is not installed");
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
  const subject = ["-subj", "/CN=test", "-addext", "extendedKeyUsage=codeSigning"];
  const made = ["-keyout", key, "-out", certificate];
  const request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
  execFileSync("openssl", [...request, ...subject, ...made], { stdio: "ignore" });
  for (const [name, program] of [
    ["even", programs.windows],
    ["odd", Buffer.concat([programs.windows, Buffer.from("odd")])],
  ] as const) {
    const [plain, signed, again] = ["", "-signed", "-again"].map((end) =>
      join(folder, `${name}${end}.exe`),
    ) as [string, string, string];
    writeFileSync(plain, program);
    for (const [from, to] of [
      [plain, signed],
      [signed, again],
    ] as const) {
      const args = ["sign", "-certs", certificate, "-key", key, "-n", `app ${to}`];
      execFileSync("osslsigncode", [...args, "-in", from, "-out", to], { stdio: "ignore" });
      same(readFileSync(to), program);
    }
  }
});

for (const [name, program] of Object.entries(programs)) {
  test(`any other byte that is changed: ${name}`, () => {
    const digest = programDigest(program);
    const left = leftOut(program);
    const everywhere = Array.from({ length: 150 }, () =>
      Math.floor(Math.random() * program.length),
    );
    for (const at of [
      0,
      1,
      2,
      3,
      4,
      0x20,
      0x40,
      0x400,
      0x1000,
      program.length >> 1,
      ...everywhere,
    ]) {
      if (left.some(([start, end]) => at >= start && at < end)) continue;
      const other = changed(program, at, (program[at] as number) ^ 0x10);
      assert.notEqual(programDigest(other), digest, `byte ${at}`);
    }
  });
}

/** What signing changes in a program. */
function leftOut(program: Buffer): [start: number, end: number][] {
  if (program.toString("latin1", 0, 2) === "MZ") {
    const { checksum, entry } = portable(program);
    return [
      [checksum, checksum + 4],
      [entry, entry + 8],
    ];
  }
  if (program.readUInt32LE(0) !== 0xfeedfacf) return [];
  const segment = linkEdit(program);
  const own = signatureOf(program);
  return [
    [16, 24],
    [segment + 32, segment + 40],
    [segment + 48, segment + 56],
    ...(own
      ? ([
          [own.at, own.at + own.size],
          [program.readUInt32LE(own.at + 8), program.length],
        ] as [number, number][])
      : []),
  ];
}

test("a signature that would leave out code counts as none", () => {
  const { windows, macSigned } = programs;
  const { entry } = portable(windows);
  const middle = windows.length >> 1;
  for (const [table, size] of [
    [middle, windows.length - middle],
    [middle, 16],
    [0, windows.length],
    [windows.length, 8],
    [0xfffffff8, 8],
    [windows.length - 8, 0xffffffff],
  ] as const) {
    const claimed = changed(windows, entry);
    claimed.writeUInt32LE(table, entry);
    claimed.writeUInt32LE(size, entry + 4);
    assert.notEqual(programDigest(claimed), programDigest(windows), `${table} ${size}`);
  }
  const own = signatureOf(macSigned) as Command;
  const end = macSigned.readUInt32LE(own.at + 8);
  for (const data of [0, 32, end >> 1, end - 4_096, macSigned.length, 0xffffffff]) {
    const claimed = changed(macSigned, 0, macSigned[0] as number);
    claimed.writeUInt32LE(data, own.at + 8);
    claimed.writeUInt32LE(Math.max(0, macSigned.length - data), own.at + 12);
    assert.notEqual(programDigest(claimed), programDigest(macSigned), `${data}`);
  }
});

test("bytes appended to an unsigned program count", () => {
  for (const [name, program] of Object.entries(programs)) {
    const longer = Buffer.concat([program, Buffer.from("appended")]);
    assert.notEqual(programDigest(longer), programDigest(program), name);
  }
});

test("malformed and truncated files", () => {
  const digests = new Set<string>();
  const files: Buffer[] = [
    Buffer.alloc(0),
    Buffer.from("MZ"),
    Buffer.from([0xcf, 0xfa, 0xed, 0xfe]),
  ];
  for (const program of Object.values(programs)) {
    for (const length of [1, 3, 20, 31, 32, 40, 63, 64, 100, 200, 300, 500, 1_000, 4_096]) {
      files.push(program.subarray(0, length));
    }
    const head = program.subarray(0, 4_096);
    for (let round = 0; round < 500; round++) {
      const at = Math.floor(Math.random() * 600);
      files.push(changed(head, at, ...randomBytes(1 + (round % 8))));
      files.push(changed(head, at, 0xff, 0xff, 0xff, 0xff));
    }
  }
  for (const file of files) {
    const digest = programDigest(file);
    assert.match(digest, /^[0-9a-f]{64}$/);
    digests.add(digest);
  }
  assert.ok(digests.size > 1_000);
});

test("a file within a larger buffer, which is not changed", () => {
  for (const [name, program] of Object.entries(programs)) {
    const around = Buffer.concat([Buffer.from("before"), program, Buffer.from("after")]);
    const inside = new Uint8Array(around.buffer, around.byteOffset + 6, program.length);
    assert.equal(programDigest(inside), programDigest(program), name);
    assert.ok(Buffer.from(inside).equals(program), name);
  }
});

test("an open file has the digest of its bytes, and only if they are all there", () => {
  const file = join(folder, "open");
  const chunk = 128 * 1024;
  const zeros = Buffer.concat([programs.macUnsigned, Buffer.alloc(2 * chunk)]);
  const plain = [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk].map((length) => randomBytes(length));
  for (const program of [...Object.values(programs), zeros, ...plain]) {
    writeFileSync(file, program);
    const open = openSync(file, "r");
    try {
      assert.equal(fileDigest(open, program.length), programDigest(program));
      assert.throws(() => fileDigest(open, program.length + 1), /became shorter/);
    } finally {
      closeSync(open);
    }
  }
  const last = plain.at(-1) as Buffer;
  assert.equal(programDigest(last), createHash("sha256").update(last).digest("hex"));
  assert.equal(programDigest(zeros), programDigest(programs.macUnsigned));
});
