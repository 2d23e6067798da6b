import { createHash } from "node:crypto";
import { readSync } from "node:fs";

/** The bytes of a program. */
interface Bytes {
  size: number;
  /** Fills a buffer with what is at an offset, or throws if the program ends before that. */
  read(into: Buffer, at: number): void;
}

/** What is hashed: a range of the program, or what stands for its headers. */
type Part = { from: number; to: number } | Buffer;

// Read and hashed at a time, in the same buffer: new memory for a whole program costs a quarter of the time.
const CHUNK = 128 * 1024;

/**
 * Returns the SHA-256 of a program in lowercase hexadecimal digits. It leaves out
 * what a code signature adds and what `strip` changes: a seller who signs an app
 * signs its programs too, and `rpmbuild` strips them, but they must still be
 * recognized.
 *
 * - ELF (Linux, 64 bits, little-endian): what is loaded, without the section
 *   header table, which follows it, and without the header's fields about that
 *   table. The last segment ends at its last byte that is not zero (*System V
 *   ABI*, chapters 4 and 5).
 * - PE (Windows): as Authenticode does it, without the checksum, the entry of
 *   the certificate table, and the table itself, padded with zeros to 8 bytes
 *   (*Windows Authenticode Portable Executable Signature Format*, Microsoft).
 * - Mach-O (macOS, 64 bits): without the load command of the signature, the
 *   counts of load commands, the sizes of the last segment, and the signature,
 *   which stands at the end (`mach-o/loader.h`, Apple).
 * - Anything else: the whole file.
 *
 * A malformed file of one of these formats is hashed as a whole.
 */
export function programDigest(bytes: Uint8Array): string {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return digestOf({
    size: all.length,
    read(into, at) {
      if (all.copy(into, 0, at) < into.length)
        throw new RangeError("The program ends before that.");
    },
  });
}

/** Returns the {@link programDigest} of an open file, without having all of it in memory. */
export function fileDigest(file: number, size: number): string {
  return digestOf({
    size,
    read(into, at) {
      for (let done = 0; done < into.length; ) {
        const count = readSync(file, into, done, into.length - done, at + done);
        if (count === 0) throw new RangeError("The file became shorter while it was read.");
        done += count;
      }
    },
  });
}

function digestOf(program: Bytes): string {
  const hash = createHash("sha256");
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (const part of countedParts(program) ?? [{ from: 0, to: program.size }]) {
    if (Buffer.isBuffer(part)) {
      hash.update(part);
      continue;
    }
    for (let at = part.from; at < part.to; at += CHUNK) {
      const some = chunk.subarray(0, Math.min(CHUNK, part.to - at));
      program.read(some, at);
      hash.update(some);
    }
  }
  return hash.digest("hex");
}

function countedParts(program: Bytes): Part[] | undefined {
  try {
    const magic = slice(program, 0, 4);
    if (magic.toString("latin1", 0, 2) === "MZ") return peParts(program);
    if (magic.readUInt32LE() === MACH_O_64) return machOParts(program);
    if (magic.readUInt32LE() === ELF) return elfParts(program);
  } catch {
    // The file is shorter than its headers say.
  }
  return undefined;
}

function slice(program: Bytes, from: number, to: number): Buffer {
  if (!(from >= 0 && from <= to && to <= program.size)) throw new RangeError("That isn't there.");
  const bytes = Buffer.alloc(to - from);
  program.read(bytes, from);
  return bytes;
}

/** Returns where the zeros begin that `end` follows, which is not before `start`. */
function withoutZeros(program: Bytes, start: number, end: number): number {
  let to = end;
  while (to > start) {
    const from = Math.max(start, to - CHUNK);
    const bytes = slice(program, from, to);
    while (to > from && bytes[to - from - 1] === 0) to--;
    if (to > from) break;
  }
  return to;
}

const PE_32_PLUS = 0x20b;
const CERTIFICATES = 4; // the index of its data directory

function peParts(program: Bytes): Part[] | undefined {
  const start = slice(program, 0x3c, 0x40).readUInt32LE();
  const header = slice(program, start, start + 24 + 112 + 8 * (CERTIFICATES + 1));
  if (header.toString("latin1", 0, 4) !== "PE\0\0") return undefined;
  const directories = header.readUInt16LE(24) === PE_32_PLUS ? 24 + 112 : 24 + 96;
  if (header.readUInt32LE(directories - 4) <= CERTIFICATES) return undefined;
  const certificates = directories + 8 * CERTIFICATES;
  const size = header.readUInt32LE(certificates + 4);
  const end = size === 0 ? program.size : header.readUInt32LE(certificates);
  const checksum = start + 24 + 64;
  const entry = start + certificates;
  if (end < entry + 8 || end + size !== program.size) return undefined;
  return [
    { from: 0, to: checksum },
    { from: checksum + 4, to: entry },
    { from: entry + 8, to: end },
    Buffer.alloc((8 - (end % 8)) % 8),
  ];
}

const MACH_O_64 = 0xfeedfacf;
const COMMANDS = 32; // where the load commands begin
const SEGMENT_64 = 0x19;
const CODE_SIGNATURE = 0x1d;

function machOParts(program: Bytes): Part[] | undefined {
  const limit = COMMANDS + slice(program, 20, 24).readUInt32LE();
  const header = slice(program, 0, limit);
  const unsigned = Buffer.from(header);
  let end = program.size;
  let at = COMMANDS;
  for (let count = header.readUInt32LE(16); count > 0; count--) {
    const command = header.readUInt32LE(at);
    const size = header.readUInt32LE(at + 4);
    if (size < 8 || at + size > limit) return undefined;
    if (command === CODE_SIGNATURE) {
      end = header.readUInt32LE(at + 8);
      if (end < limit || end + header.readUInt32LE(at + 12) !== program.size) return undefined;
      // Signing replaces zeros with the signature's command.
      unsigned.fill(0, at, at + size);
    } else if (command === SEGMENT_64 && isLast(header.subarray(at, at + size))) {
      unsigned.fill(0, at + 32, at + 40); // vmsize
      unsigned.fill(0, at + 48, at + 56); // filesize
    }
    at += size;
  }
  unsigned.fill(0, 16, 24); // the number of commands, and their size
  end = withoutZeros(program, limit, end); // the padding before a signature
  return [unsigned, { from: limit, to: end }];
}

function isLast(segment: Buffer): boolean {
  return segment.toString("latin1", 8, 24) === "__LINKEDIT".padEnd(16, "\0");
}

const ELF = 0x464c457f;
const LITTLE_64 = 0x0102; // the class and the byte order
const SECTION_TABLE = 0x28; // e_shoff, which needs eight bytes
const SECTION_SIZES = 0x3a; // e_shentsize, e_shnum, e_shstrndx, of two bytes each
const ELF_HEADER = 0x40;
const LOAD = 1;
const EXECUTABLE = 1;

/**
 * The program, cut off after what is loaded. The system fills the rest of the last
 * segment with zeros, so it makes no difference where the segment ends in the file.
 * Everything before that counts, even between the segments, because whole pages are
 * loaded. A program with another layout is hashed as a whole.
 */
function elfParts(program: Bytes): Part[] | undefined {
  const header = slice(program, 0, ELF_HEADER);
  if (header.readUInt16LE(4) !== LITTLE_64) return undefined;
  const last = lastElfSegment(program, header);
  const table = Number(header.readBigUInt64LE(SECTION_TABLE));
  const size = header.readUInt16LE(SECTION_SIZES) * header.readUInt16LE(SECTION_SIZES + 2);
  if (!last?.isFilledUp || table < last.end || table + size !== program.size) return undefined;
  const end = withoutZeros(program, last.start, last.end);
  const headers = slice(program, 0, Math.min(end, Math.max(ELF_HEADER, last.sizeAt + 8)));
  headers.fill(0, SECTION_TABLE, SECTION_TABLE + 8);
  headers.fill(0, SECTION_SIZES, SECTION_SIZES + 6);
  headers.writeBigUInt64LE(BigInt(end - last.start), last.sizeAt);
  return [headers, { from: headers.length, to: end }];
}

interface ElfSegment {
  start: number;
  end: number;
  /** The offset of the field with the segment's size in the file. */
  sizeAt: number;
  /** Whether it is data that the system pads with zeros, to the end of the page. */
  isFilledUp: boolean;
}

/** Finds the segment that ends last in the file. */
function lastElfSegment(program: Bytes, header: Buffer): ElfSegment | undefined {
  let last: ElfSegment | undefined;
  let at = Number(header.readBigUInt64LE(0x20));
  for (let count = header.readUInt16LE(0x38); count > 0; count--) {
    const segment = slice(program, at, at + 48);
    const start = Number(segment.readBigUInt64LE(8));
    const size = Number(segment.readBigUInt64LE(32));
    const end = start + size;
    if (segment.readUInt32LE() === LOAD && end > (last?.end ?? 0)) {
      const isData = (segment.readUInt32LE(4) & EXECUTABLE) === 0;
      const isFilledUp = isData && size < Number(segment.readBigUInt64LE(40));
      last = { start, end, sizeAt: at + 32, isFilledUp };
    }
    at += header.readUInt16LE(0x36);
  }
  return last;
}
