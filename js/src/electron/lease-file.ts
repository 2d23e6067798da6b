import { randomBytes } from "node:crypto";
import { constants, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join } from "node:path";
import { invalid, textOf } from "../errors.js";
import type { LeaseStore } from "../leases/store.js";

/** The parts of Electron's `safeStorage` that are needed. */
export interface SafeStorage {
  isEncryptionAvailable(): boolean;
  encryptString(plain: string): Uint8Array;
  decryptString(encrypted: Buffer): string;
  /** Exists only on Linux. */
  getSelectedStorageBackend?(): string;
}

export interface FileLeasesOptions {
  /** The absolute path of the file, such as `join(app.getPath("userData"), "leases")`. Its folder is created if needed. */
  path: string;
  /**
   * Electron's `safeStorage`. The file is encrypted if `safeStorage` works and is real
   * encryption, which `basic_text` on Linux is not. Otherwise the file is plain text.
   * `safeStorage` is first used when the store is, which must be after the app is
   * ready.
   */
  safeStorage?: SafeStorage | undefined;
}

// The first line of the file says what follows.
const PLAIN = "whop-license leases 1 plain\n";
const ENCRYPTED = "whop-license leases 1 encrypted\n";

const MAX_FILE = 256 * 1024;
const MAX_TEXT = 8 * 1024; // more than a kept lease or any license key needs
/** The maximum number of texts; beyond it, the oldest is removed. An app has one or two. */
const MAX_LEASES = 20;

/** The age from which a temporary file is no longer in use, in milliseconds. */
const STALE_MS = 60_000;

/** The error codes on Windows while another program, such as a virus scanner, has the file open. */
const HELD = /^(EPERM|EACCES|EBUSY)$/;
/** The waits before a file that is held is tried again, in milliseconds: a second in all. */
const RETRY_MS = [10, 30, 60, 100, 200, 300, 300];

/**
 * Makes a store that keeps leases in one file that only its owner may read. Throws a
 * `LicenseError` `invalid_argument` if the path is not absolute.
 *
 * The file is replaced as a whole: after a crash or a power failure, there is either
 * the old file or the new one. A file that is damaged, belongs to another program, or
 * is encrypted for another user counts as empty, and the next lease replaces it. A
 * write that fails rejects; with `loadValidator`, the lease is then not kept. A
 * removal that can't replace the file empties it. If that fails too, the removal
 * rejects, the console says so once, and the store no longer returns the lease.
 */
export function createFileLeases({ path, safeStorage }: FileLeasesOptions): LeaseStore {
  if (typeof path !== "string" || !isAbsolute(path) || path.includes("\0")) {
    throw invalid("path", "must be an absolute path");
  }
  return new FileLeases(path, safeStorage);
}

class FileLeases implements LeaseStore {
  readonly #path: string;
  readonly #storage: SafeStorage | undefined;
  #cleaned: Promise<void> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** The names that are still in the file, although they should have been removed. */
  readonly #unremoved = new Set<string>();
  #saidUnremoved = false;

  constructor(path: string, storage: SafeStorage | undefined) {
    this.#path = path;
    this.#storage = storage;
  }

  readonly get = (name: string): Promise<string | undefined> =>
    this.#inTurn(async () => (await this.#read()).get(name));

  readonly set = (name: string, text: string): Promise<void> =>
    this.#inTurn(async () => {
      if (text.length > MAX_TEXT) throw invalid("text", "is too long");
      const texts = await this.#read();
      texts.delete(name);
      texts.set(name, text);
      if (texts.size > MAX_LEASES) texts.delete(texts.keys().next().value as string);
      await this.#write(texts);
    });

  readonly remove = (name: string): Promise<void> =>
    this.#inTurn(async () => {
      const texts = await this.#readIfWhole();
      if (texts && !texts.delete(name) && !this.#unremoved.has(name)) return;
      // A file that can't be decoded now, such as while the keychain is locked, may be readable later.
      await this.#writeRemoval(texts ?? new Map(), name);
    });

  /** Runs one operation after the other, in the order of the calls. */
  #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#last.then(operation);
    this.#last = result.catch(() => {});
    return result;
  }

  async #read(): Promise<Map<string, string>> {
    return (await this.#readIfWhole()) ?? new Map();
  }

  /** What the file holds: nothing if there is none, and `undefined` if it can't be read or decoded. */
  async #readIfWhole(): Promise<Map<string, string> | undefined> {
    let bytes: Buffer;
    try {
      bytes = await readBounded(this.#path);
    } catch (thrown) {
      return NO_FILE.test(codeOf(thrown)) ? new Map() : undefined;
    }
    try {
      const texts = parse(unseal(bytes, this.#storage));
      for (const name of this.#unremoved) texts.delete(name);
      return texts;
    } catch {
      return undefined;
    }
  }

  async #write(texts: Map<string, string>): Promise<void> {
    this.#cleaned ??= removeStale(this.#path);
    await this.#cleaned;
    const bytes = seal(JSON.stringify([...texts]), this.#storage);
    if (bytes.length > MAX_FILE) throw invalid("text", "is too long");
    await replace(this.#path, bytes);
    this.#unremoved.clear();
  }

  /** Writes what is left after a removal. If that fails, it empties the file. */
  async #writeRemoval(texts: Map<string, string>, name: string): Promise<void> {
    try {
      await this.#write(texts);
    } catch (thrown) {
      // Otherwise the next start would offer a lease that the server has refused.
      try {
        await empty(this.#path);
        this.#unremoved.clear();
      } catch {
        this.#unremoved.add(name);
        this.#sayUnremoved(thrown);
        throw thrown;
      }
    }
  }

  #sayUnremoved(cause: unknown): void {
    if (this.#saidUnremoved) return;
    this.#saidUnremoved = true;
    console.error(
      `whop-license: ${this.#path} can't be changed (${textOf(cause)}), so a lease that should have been removed is ` +
        "still in it. The lease is not used until the app's next start. Delete the file, or let the app write to it.",
    );
  }
}

function isRealEncryption(storage: SafeStorage | undefined): storage is SafeStorage {
  if (!storage?.isEncryptionAvailable()) return false;
  const backend = storage.getSelectedStorageBackend?.();
  return backend !== "basic_text" && backend !== "unknown";
}

function seal(json: string, storage: SafeStorage | undefined): Uint8Array {
  if (isRealEncryption(storage)) {
    try {
      return Buffer.concat([Buffer.from(ENCRYPTED), storage.encryptString(json)]);
    } catch {
      // A keychain that fails must not cost a customer their time offline.
    }
  }
  return Buffer.from(PLAIN + json);
}

/** Reads what was sealed. Plain text is accepted even if there is encryption now: leases are signed, so a forged one is worthless. */
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
  // Opening must not block if the path is a named pipe.
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

const NO_FILE = /^(ENOENT|ENOTDIR|EISDIR)$/;

const codeOf = (thrown: unknown): string => String((thrown as NodeJS.ErrnoException | null)?.code);

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
    await renameOverHeld(temporary, path);
  } catch (thrown) {
    await rm(temporary, { force: true });
    throw thrown;
  }
  await syncFolder(dirname(path));
}

async function renameOverHeld(from: string, to: string): Promise<void> {
  for (const waitMs of RETRY_MS) {
    try {
      return await rename(from, to);
    } catch (thrown) {
      if (!HELD.test(codeOf(thrown))) throw thrown;
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
  return rename(from, to);
}

/** Empties a file in place, which may work if it can't be replaced. It doesn't follow links. */
async function empty(path: string): Promise<void> {
  const { O_WRONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  const file = await open(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    await file.truncate(0);
    await file.sync();
  } finally {
    await file.close();
  }
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
    // The new file is in place, but after a power failure it may be the old one.
  }
}

/** Removes the temporary files of programs that ended while they were writing. */
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
