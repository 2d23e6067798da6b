import { createHash } from "node:crypto";

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
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hash = createHash("sha256");
  for (const part of countedParts(file) ?? [file]) hash.update(part);
  return hash.digest("hex");
}

function countedParts(file: Buffer): Buffer[] | undefined {
  try {
    if (file.toString("latin1", 0, 2) === "MZ") return peParts(file);
    if (file.readUInt32LE(0) === MACH_O_64) return machOParts(file);
    if (file.readUInt32LE(0) === ELF) return elfParts(file);
  } catch {
    // The file is shorter than its headers say.
  }
  return undefined;
}

const PE_32_PLUS = 0x20b;
const CERTIFICATES = 4; // the index of its data directory

function peParts(file: Buffer): Buffer[] | undefined {
  const header = file.readUInt32LE(0x3c);
  if (file.toString("latin1", header, header + 4) !== "PE\0\0") return undefined;
  const optional = header + 24;
  const directories = optional + (file.readUInt16LE(optional) === PE_32_PLUS ? 112 : 96);
  if (file.readUInt32LE(directories - 4) <= CERTIFICATES) return undefined;
  const checksum = optional + 64;
  const entry = directories + 8 * CERTIFICATES;
  const size = file.readUInt32LE(entry + 4);
  const end = size === 0 ? file.length : file.readUInt32LE(entry);
  if (end < entry + 8 || end + size !== file.length) return undefined;
  return [
    file.subarray(0, checksum),
    file.subarray(checksum + 4, entry),
    file.subarray(entry + 8, end),
    Buffer.alloc((8 - (end % 8)) % 8),
  ];
}

const MACH_O_64 = 0xfeedfacf;
const COMMANDS = 32; // where the load commands begin
const SEGMENT_64 = 0x19;
const CODE_SIGNATURE = 0x1d;

function machOParts(file: Buffer): Buffer[] | undefined {
  const unsigned = Buffer.from(file);
  const limit = COMMANDS + file.readUInt32LE(20);
  let end = file.length;
  let at = COMMANDS;
  for (let count = file.readUInt32LE(16); count > 0; count--) {
    const command = file.readUInt32LE(at);
    const size = file.readUInt32LE(at + 4);
    if (size < 8 || at + size > limit) return undefined;
    if (command === CODE_SIGNATURE) {
      end = file.readUInt32LE(at + 8);
      if (end < limit || end + file.readUInt32LE(at + 12) !== file.length) return undefined;
      // Signing replaces zeros with the signature's command.
      unsigned.fill(0, at, at + size);
    } else if (command === SEGMENT_64 && isLast(file.subarray(at, at + size))) {
      unsigned.fill(0, at + 32, at + 40); // vmsize
      unsigned.fill(0, at + 48, at + 56); // filesize
    }
    at += size;
  }
  unsigned.fill(0, 16, 24); // the number of commands, and their size
  while (end > limit && unsigned[end - 1] === 0) end--; // the padding before a signature
  return [unsigned.subarray(0, end)];
}

function isLast(segment: Buffer): boolean {
  return segment.toString("latin1", 8, 24) === "__LINKEDIT".padEnd(16, "\0");
}

const ELF = 0x464c457f;
const LITTLE_64 = 0x0102; // the class and the byte order
const SECTION_TABLE = 0x28; // e_shoff, which needs eight bytes
const SECTION_SIZES = 0x3a; // e_shentsize, e_shnum, e_shstrndx, of two bytes each
const LOAD = 1;
const EXECUTABLE = 1;

/**
 * The program, cut off after what is loaded. The system fills the rest of the last
 * segment with zeros, so it makes no difference where the segment ends in the file.
 * Everything before that counts, even between the segments, because whole pages are
 * loaded. A program with another layout is hashed as a whole.
 */
function elfParts(file: Buffer): Buffer[] | undefined {
  if (file.readUInt16LE(4) !== LITTLE_64) return undefined;
  const last = lastElfSegment(file);
  const table = Number(file.readBigUInt64LE(SECTION_TABLE));
  const size = file.readUInt16LE(SECTION_SIZES) * file.readUInt16LE(SECTION_SIZES + 2);
  if (!last?.isFilledUp || table < last.end || table + size !== file.length) return undefined;
  let end = last.end;
  while (end > last.start && file[end - 1] === 0) end--;
  // Only the headers are copied, because copying the whole program takes as long as starting it.
  const headers = Buffer.from(
    file.subarray(0, Math.min(end, Math.max(SECTION_SIZES + 6, last.sizeAt + 8))),
  );
  headers.fill(0, SECTION_TABLE, SECTION_TABLE + 8);
  headers.fill(0, SECTION_SIZES, SECTION_SIZES + 6);
  headers.writeBigUInt64LE(BigInt(end - last.start), last.sizeAt);
  return [headers, file.subarray(headers.length, end)];
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
function lastElfSegment(file: Buffer): ElfSegment | undefined {
  let last: ElfSegment | undefined;
  let at = Number(file.readBigUInt64LE(0x20));
  for (let count = file.readUInt16LE(0x38); count > 0; count--) {
    const start = Number(file.readBigUInt64LE(at + 8));
    const size = Number(file.readBigUInt64LE(at + 32));
    const end = start + size;
    if (file.readUInt32LE(at) === LOAD && end > (last?.end ?? 0)) {
      const isData = (file.readUInt32LE(at + 4) & EXECUTABLE) === 0;
      const isFilledUp = isData && size < Number(file.readBigUInt64LE(at + 40));
      last = { start, end, sizeAt: at + 32, isFilledUp };
    }
    at += file.readUInt16LE(0x36);
  }
  return last;
}
