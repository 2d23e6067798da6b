// The digest of a Linux program leaves out what `strip` changes, and nothing that is loaded.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { programDigest } from "../dist/sidecar/digest.js";
import { tarball } from "./helpers/packed.js";
import { temporaryFolder } from "./helpers/support.js";

const folder = temporaryFolder();

const CPUS = ["x64", "arm64"] as const;
const programs = Object.fromEntries(
  CPUS.map((cpu) => {
    const { folder } = tarball(`@whop-license/sidecar-linux-${cpu}`);
    return [cpu, readFileSync(join(folder, "bin/whop-license-sidecar"))];
  }),
) as Record<(typeof CPUS)[number], Buffer>;

// Offsets in the ELF header and in a segment header (System V ABI, chapters 4 and 5).
const PROGRAM_TABLE = 0x20;
const SECTION_TABLE = 0x28;
const SECTION_SIZES = 0x3a;
const FLAGS = 4;
const FILE_SIZE = 32;

/** The offset of the header of the last segment that is loaded. Go's linker puts its data there. */
function dataSegment(program: Buffer): { at: number; start: number; end: number } {
  const table = Number(program.readBigUInt64LE(PROGRAM_TABLE));
  const headers = Array.from({ length: program.readUInt16LE(0x38) }, (_, i) => table + 56 * i);
  const at = headers.filter((header) => program.readUInt32LE(header) === 1).at(-1) as number;
  const start = Number(program.readBigUInt64LE(at + 8));
  return { at, start, end: start + Number(program.readBigUInt64LE(at + FILE_SIZE)) };
}

function changed(program: Buffer, change: (copy: Buffer) => unknown): Buffer {
  const copy = Buffer.from(program);
  change(copy);
  return copy;
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

function differs(program: Buffer, original: Buffer, message?: string): void {
  assert.notEqual(programDigest(program), programDigest(original), message);
}

// What rpmbuild's scripts and other packagers run.
const ARGUMENTS = [[], ["-g"], ["--strip-unneeded"], ["-R", ".comment", "-R", ".note"]];
const STRIPS: [command: string, cpus: readonly string[]][] = [
  ["strip", CPUS.filter((cpu) => cpu === process.arch)],
  ["x86_64-linux-gnu-strip", ["x64"]],
  ["aarch64-linux-gnu-strip", ["arm64"]],
  ["llvm-strip", CPUS],
  ["eu-strip", CPUS],
];

for (const [command, cpus] of STRIPS) {
  test(`a program that ${command} has stripped, and stripped again`, (t) => {
    const { error, stdout } = spawnSync(command, ["--version"], { encoding: "utf8" });
    if (error || process.platform !== "linux") return t.skip(`${command} is not installed`);
    for (const cpu of CPUS.filter((cpu) => cpus.includes(cpu))) {
      const file = join(folder, `${command}-${cpu}`);
      // The strip of elfutils has no such section names.
      for (const args of command === "eu-strip" ? ARGUMENTS.slice(0, 2) : ARGUMENTS) {
        writeFileSync(file, programs[cpu]);
        for (const again of ["", " again"]) {
          const { status, stderr } = spawnSync(command, [...args, file], { encoding: "utf8" });
          assert.equal(status, 0, stderr);
          const stripped = readFileSync(file);
          const what = `${cpu} ${args}${again}`;
          assert.equal(programDigest(stripped), programDigest(programs[cpu]), what);
          if (stdout.startsWith("GNU strip")) assert.ok(!stripped.equals(programs[cpu]), what);
        }
      }
    }
  });
}

for (const [cpu, program] of Object.entries(programs)) {
  const data = dataSegment(program);

  test(`any byte that is loaded: ${cpu}`, () => {
    const everywhere = Array.from({ length: 300 }, () => Math.floor(Math.random() * data.end));
    // Where Go's linker puts the section table, within the executable pages.
    const table = Array.from({ length: 20 }, (_, i) => 0x190 + 50 * i);
    const headers = Array.from({ length: 0x190 }, (_, i) => i);
    for (const at of [...headers, ...table, ...everywhere, data.start, data.start - 1]) {
      if (at >= SECTION_TABLE && at < SECTION_TABLE + 8) continue;
      if (at >= SECTION_SIZES && at < SECTION_SIZES + 6) continue;
      if (at >= data.at + FILE_SIZE && at < data.at + FILE_SIZE + 8) continue;
      const other = changed(program, (copy) => copy.writeUInt8((copy[at] as number) ^ 0x10, at));
      differs(other, program, `byte ${at}`);
    }
  });

  test(`a section table that would leave out loaded bytes counts as none: ${cpu}`, () => {
    for (const table of [0, 64, 0x190, data.start, data.end - 1, 2 ** 40]) {
      for (const size of [0, 64, 0xffff]) {
        const other = changed(program, (copy) => {
          copy.writeBigUInt64LE(BigInt(table), SECTION_TABLE);
          copy.writeUInt16LE(size, SECTION_SIZES);
        });
        differs(other, program, `${table} ${size}`);
      }
    }
    const whole = changed(program, (copy) => copy.writeBigUInt64LE(0n, SECTION_TABLE));
    assert.equal(programDigest(whole), sha256(whole));
  });

  test(`a last segment with less, or with more, in the file: ${cpu}`, () => {
    const resized = (size: number) =>
      changed(program, (copy) => copy.writeBigUInt64LE(BigInt(size), data.at + FILE_SIZE));
    const bytes = program.subarray(data.start, data.end);
    let used = bytes.length;
    while (bytes[used - 1] === 0) used--;
    for (const size of [used, used + 1, bytes.length - 1]) {
      // The system pads it with the same zeros.
      assert.equal(programDigest(resized(size)), programDigest(program), `${size}`);
    }
    for (const size of [0, 1, 0x1000, used - 1, program.length - data.start, 2 ** 52]) {
      differs(resized(size), program, `${size} for ${bytes.length}`);
    }
    // No program with another data segment has the same hash.
    const emptied = changed(program.subarray(0, data.end), (copy) => {
      copy.fill(0, SECTION_TABLE, SECTION_TABLE + 8);
      copy.fill(0, SECTION_SIZES, SECTION_SIZES + 6);
      copy.fill(0, data.at + FILE_SIZE, data.at + FILE_SIZE + 8);
    });
    differs(emptied, program);
  });

  test(`other segment headers after what is loaded: ${cpu}`, () => {
    const table = Number(program.readBigUInt64LE(SECTION_TABLE));
    const headers = program.subarray(64, 64 + 56 * 6);
    const longer = Buffer.concat([program.subarray(0, table), headers, program.subarray(table)]);
    longer.writeBigUInt64LE(BigInt(table + headers.length), SECTION_TABLE);
    assert.equal(programDigest(longer), programDigest(program), "nothing refers to them");
    longer.writeBigUInt64LE(BigInt(table), PROGRAM_TABLE);
    differs(longer, program);
  });

  test(`bytes after the section table: ${cpu}`, () => {
    for (const more of ["\0", "appended"]) {
      differs(Buffer.concat([program, Buffer.from(more)]), program);
    }
    differs(program.subarray(0, -1), program);
    differs(program.subarray(0, data.end), program);
  });

  test(`a program that ends with executable code is hashed as a whole: ${cpu}`, () => {
    // The rest of its last page would be executable, too.
    const odd = changed(program, (copy) =>
      copy.writeUInt32LE(copy.readUInt32LE(data.at + FLAGS) | 1, data.at + FLAGS),
    );
    assert.equal(programDigest(odd), sha256(odd));
    const full = changed(program, (copy) => {
      copy.copy(copy, data.at + 40, data.at + FILE_SIZE, data.at + FILE_SIZE + 8);
    });
    assert.equal(programDigest(full), sha256(full));
  });
}

test("malformed and truncated programs", () => {
  const head = programs.x64.subarray(0, 4_096);
  for (let round = 0; round < 2_000; round++) {
    const broken = changed(head, (copy) => {
      const at = Math.floor(Math.random() * 0x190);
      copy.fill(round % 3 === 0 ? 0xff : Math.floor(Math.random() * 256), at, at + (round % 9));
    });
    assert.match(programDigest(broken.subarray(0, 1 + (round % 4_096))), /^[0-9a-f]{64}$/);
  }
});
