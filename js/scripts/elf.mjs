// Puts Linux programs into the form in which they are published: what `strip` changes
// then comes after everything that the system loads.
import { readFileSync, writeFileSync } from "node:fs";

// The ELF header of a 64-bit, little-endian program (System V ABI, "ELF Header").
const MAGIC = "7f454c460201";
const SECTIONS = 0x28; // e_shoff
const SECTION_SIZE = 0x3a; // e_shentsize
const SECTION_COUNT = 0x3c; // e_shnum

/**
 * Moves a Linux program's section header table to the end, where `strip` and all
 * other linkers put it. Go's linker puts it among what is loaded, where nothing reads
 * it. Programs for other systems are not changed.
 */
export function moveSectionsToEnd(path) {
  const program = readFileSync(path);
  if (program.toString("hex", 0, 6) !== MAGIC) return;
  const from = Number(program.readBigUInt64LE(SECTIONS));
  const to = from + program.readUInt16LE(SECTION_SIZE) * program.readUInt16LE(SECTION_COUNT);
  const table = Buffer.from(program.subarray(from, to));
  const padding = Buffer.alloc(-program.length & 7);
  program.fill(0, from, to);
  program.writeBigUInt64LE(BigInt(program.length + padding.length), SECTIONS);
  writeFileSync(path, Buffer.concat([program, padding, table]));
}
