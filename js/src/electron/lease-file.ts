import { randomBytes } from "node:crypto";
import { constants, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import { invalid } from "../errors.js";
import type { LeaseStore } from "../leases/store.js";

/** What is needed of Electron's `safeStorage`. */
export interface SafeStorage {
  isEncryptionAvailable(): boolean;
  encryptString(plain: string): Uint8Array;
  decryptString(encrypted: Buffer): string;
  /** Only on Linux. */
  getSelectedStorageBackend?(): string;
}

export interface FileLeasesOptions {
  /** The file, by its absolute path: `join(app.getPath("userData"), "leases")`. Its folder is created if needed. */
  path: string;
  /**
   * Electron's `safeStorage`. The file is encrypted if that is real encryption,
   * which `basic_text` on Linux is not. It is first used when the store is, which
   * must be after the app is ready.
   */
  safeStorage?: SafeStorage | undefined;
}

// The first line of the file tells what follows.
const PLAIN = "whop-license leases 1 plain\n";
const ENCRYPTED = "whop-license leases 1 encrypted\n";

const MAX_FILE = 256 * 1024;
const MAX_TEXT = 8 * 1024; // above a kept lease and any license key
/** How many are kept at most; then the oldest is removed. An app has one or two. */
const MAX_LEASES = 20;

/** How long a temporary file may be in use, in milliseconds. */
const STALE_MS = 60_000;

/**
 * A store of leases in one file that only its owner may read.
 *
 * The file is replaced as a whole: after a crash or a power cut there is either
 * the old or the new one. A file that is damaged, of another program, or encrypted
 * for another user counts as empty, and the next lease replaces it. A write that
 * fails rejects; for `loadValidator` the lease is then not kept.
 */
export function createFileLeases({ path, safeStorage }: FileLeasesOptions): LeaseStore {
  if (typeof path !== "string" || !isAbsolute(path) || path.includes("\0")) {
    throw invalid("path", "must be an absolute path");
  }
  let cleaned: Promise<void> | undefined;
  let last: Promise<unknown> = Promise.resolve();

  /** Runs one operation after the other, in the order of the calls. */
  function inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const result = last.then(operation);
    last = result.catch(() => {});
    return result;
  }

  async function read(): Promise<Map<string, string>> {
    return (await readIfWhole()) ?? new Map();
  }

  /** What the file holds: nothing if there is none, and `undefined` if it can't be decoded. */
  async function readIfWhole(): Promise<Map<string, string> | undefined> {
    let bytes: Buffer;
    try {
      bytes = await readBounded(path);
    } catch {
      return new Map();
    }
    try {
      return parse(unseal(bytes, safeStorage));
    } catch {
      return undefined;
    }
  }

  async function write(texts: Map<string, string>): Promise<void> {
    cleaned ??= removeStale(path);
    await cleaned;
    const bytes = seal(JSON.stringify([...texts]), safeStorage);
    if (bytes.length > MAX_FILE) throw invalid("text", "is too long");
    await replace(path, bytes);
  }

  return {
    get: (name) => inTurn(async () => (await read()).get(name)),
    set: (name, text) =>
      inTurn(async () => {
        if (text.length > MAX_TEXT) throw invalid("text", "is too long");
        const texts = await read();
        texts.delete(name);
        texts.set(name, text);
        if (texts.size > MAX_LEASES) texts.delete(texts.keys().next().value as string);
        await write(texts);
      }),
    remove: (name) =>
      inTurn(async () => {
        const texts = await readIfWhole();
        // A file that can't be decoded now, as its keychain is locked, may be another day.
        if (!texts || texts.delete(name)) await write(texts ?? new Map());
      }),
  };
}

function isRealEncryption(storage: SafeStorage | undefined): storage is SafeStorage {
  if (!storage?.isEncryptionAvailable()) return false;
  const backend = storage.getSelectedStorageBackend?.();
  return backend !== "basic_text" && backend !== "unknown";
}

function seal(json: string, storage: SafeStorage | undefined): Uint8Array {
  if (!isRealEncryption(storage)) return Buffer.from(PLAIN + json);
  return Buffer.concat([Buffer.from(ENCRYPTED), storage.encryptString(json)]);
}

/** Reads what was sealed, also in plain where there is encryption now: leases are signed, so a forged one is worth nothing. */
function unseal(bytes: Buffer, storage: SafeStorage | undefined): string {
  const line = bytes.subarray(0, bytes.indexOf("\n") + 1).toString();
  const rest = bytes.subarray(line.length);
  if (line === PLAIN) return rest.toString();
  if (line === ENCRYPTED && storage) return storage.decryptString(rest);
  throw new Error("not a file of leases");
}

function parse(json: string): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [name, text] of JSON.parse(json)) {
    if (typeof name !== "string" || typeof text !== "string") throw new Error("not a lease");
    texts.set(name, text);
  }
  return texts;
}

async function readBounded(path: string): Promise<Buffer> {
  // Opening must not block if there is a named pipe in its place.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const buffer = Buffer.alloc(MAX_FILE + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length);
      if (bytesRead === 0) return buffer.subarray(0, length);
      length += bytesRead;
      if (length > MAX_FILE) throw new Error("too large");
    }
  } finally {
    await file.close();
  }
}

const temporaryName = (path: string) => `${path}.${randomBytes(6).toString("hex")}.tmp`;

/** Replaces a file in one step, and syncs it to the disk. */
async function replace(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = temporaryName(path);
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  await syncFolder(dirname(path));
}

/** Syncs a rename to the disk, if the system can sync a folder. Windows can't. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch {
    // The new file is in place; only after a power cut it may be the old one.
  }
}

/** Removes the temporary files of programs that were ended while they wrote. */
async function removeStale(path: string): Promise<void> {
  const folder = dirname(path);
  const start = `${basename(path)}.`;
  try {
    for (const name of await readdir(folder)) {
      const rest = name.startsWith(start) ? name.slice(start.length) : "";
      if (!/^[0-9a-f]{12}\.tmp$/.test(rest)) continue;
      const file = join(folder, name);
      const { mtimeMs } = await stat(file);
      if (Math.abs(Date.now() - mtimeMs) > STALE_MS) await rm(file);
    }
  } catch {
    // There is no folder yet, or another program removed the file first.
  }
}
