// Mach-O programs of 64 bits, as Apple's <mach-o/loader.h> has them, and their
// ad-hoc signatures, as <kern/cs_blobs.h> has those.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";

const SEGMENT_64 = 0x19;
const CODE_SIGNATURE = 0x1d;

export interface Command {
  at: number;
  kind: number;
  size: number;
}

function commands(program: Buffer): Command[] {
  const found: Command[] = [];
  let at = 32;
  for (let count = program.readUInt32LE(16); count > 0; count--) {
    const size = program.readUInt32LE(at + 4);
    found.push({ at, kind: program.readUInt32LE(at), size });
    at += size;
  }
  return found;
}

function segment(program: Buffer, name: string): number {
  const found = commands(program).find(
    ({ at, kind }) =>
      kind === SEGMENT_64 && program.toString("latin1", at + 8, at + 24) === name.padEnd(16, "\0"),
  );
  assert.ok(found);
  return found.at;
}

/** The offset of the command of the last segment, which contains the signature. */
export const linkEdit = (program: Buffer): number => segment(program, "__LINKEDIT");

/** The offset of the command of a program's signature. */
export const signatureOf = (program: Buffer): Command | undefined =>
  commands(program).find(({ kind }) => kind === CODE_SIGNATURE);

/** Where the signature of a program begins, or would begin. */
function signatureStart(program: Buffer): number {
  const own = signatureOf(program);
  return own ? program.readUInt32LE(own.at + 8) : Math.ceil(program.length / 16) * 16;
}

/** Makes room for a signature, as Apple's codesign lays it out, and puts it there. The last segment becomes as long as whole pages are. */
export function signMac(program: Buffer, signature: Buffer, page = 0x4000): Buffer {
  const own = signatureOf(program);
  const last = commands(program).at(-1) as Command;
  const data = signatureStart(program);
  const signed = Buffer.alloc(data + signature.length);
  program.copy(signed, 0, 0, Math.min(data, program.length));
  signature.copy(signed, data);
  const at = own?.at ?? last.at + last.size;
  if (!own) {
    signed.writeUInt32LE(program.readUInt32LE(16) + 1, 16);
    signed.writeUInt32LE(program.readUInt32LE(20) + 16, 20);
    assert.ok(
      program.subarray(at, at + 16).every((byte) => byte === 0),
      "no room",
    );
  }
  for (const [i, value] of [CODE_SIGNATURE, 16, data, signature.length].entries()) {
    signed.writeUInt32LE(value, at + 4 * i);
  }
  const edit = linkEdit(program);
  const size = signed.length - Number(program.readBigUInt64LE(edit + 40));
  signed.writeBigUInt64LE(BigInt(size), edit + 48);
  signed.writeBigUInt64LE(BigInt(Math.ceil(size / page) * page), edit + 32);
  return signed;
}

export const AD_HOC = 0x2;
export const LINKER_SIGNED = 0x20000;

const PAGE = 4_096;
const DIRECTORY = 88; // the length of a code directory of version 0x20400

/**
 * Signs a program ad hoc: with a code directory that holds a digest of each page,
 * and with nobody's name. The system starts no program for arm64 with less.
 */
export function signAdHoc(program: Buffer, identifier: string, flags: number): Buffer {
  const end = signatureStart(program);
  const pages = Math.ceil(end / PAGE);
  const hashes = DIRECTORY + identifier.length + 1;
  const directory = Buffer.alloc(hashes + 32 * pages);
  const text = segment(program, "__TEXT");
  const words = [
    ...[0xfade0c02, directory.length, 0x20400, flags],
    ...[hashes, DIRECTORY, 0, pages, end],
    0x20020000 | Math.log2(PAGE), // 32 bytes a digest, which is SHA-256's
  ];
  for (const [i, word] of words.entries()) directory.writeUInt32BE(word >>> 0, 4 * i);
  directory.writeBigUInt64BE(program.readBigUInt64LE(text + 40), 64); // where __TEXT is in the file
  directory.writeBigUInt64BE(program.readBigUInt64LE(text + 48), 72); // how long it is there
  directory.writeBigUInt64BE(1n, 80); // it is a program, not a library
  directory.write(identifier, DIRECTORY, "latin1");

  const blob = Buffer.alloc(20 + directory.length);
  const index = [0xfade0cc0, blob.length, 1, 0, 20]; // one blob, which is the code directory
  for (const [i, word] of index.entries()) blob.writeUInt32BE(word, 4 * i);
  // Go's linker leaves the last segment as long as it is.
  const signed = signMac(program, blob, flags & LINKER_SIGNED ? 1 : undefined);
  for (let page = 0; page < pages; page++) {
    const bytes = signed.subarray(PAGE * page, Math.min(PAGE * (page + 1), end));
    createHash("sha256")
      .update(bytes)
      .digest()
      .copy(directory, hashes + 32 * page);
  }
  directory.copy(signed, end + 20);
  return signed;
}
