import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { CHECKSUMS } from "../checksums.js";
import { invalid, loadFailed, textOf } from "../errors.js";

/** Reads the `wasm` option: the path of a module that the seller has built. */
export function readModuleFile(wasm: unknown): string | undefined {
  if (wasm === undefined) return undefined;
  if (typeof wasm === "string" && isAbsolute(wasm) && !wasm.includes("\0")) return wasm;
  throw invalid("wasm", "must be an absolute path");
}

/**
 * Returns a function that resolves to the module's bytes, and reads the file when it
 * is first called. The package's own file must be the published one; a module that
 * the seller has built is not compared. The function rejects with `load_failed`.
 */
export function readModule(
  own: string | undefined,
  packaged: () => URL,
): () => Promise<Uint8Array> {
  let reading: Promise<Uint8Array> | undefined;
  return () => {
    if (reading) return reading;
    const read = own === undefined ? readPackaged(packaged) : readBytes(own);
    reading = read;
    read.catch(() => {
      reading = undefined;
    });
    return read;
  };
}

async function readPackaged(packaged: () => URL): Promise<Uint8Array> {
  const bytes = await readBytes(packaged());
  if (createHash("sha256").update(bytes).digest("hex") !== CHECKSUMS.wasm) {
    throw loadFailed(
      "whop-license.wasm is not the file that this package was published with. Install the package again; " +
        "to use a module of your own, give its path in the `wasm` option of registerLicenseHost.",
    );
  }
  return bytes;
}

async function readBytes(file: string | URL): Promise<Uint8Array> {
  try {
    const { buffer, byteOffset, byteLength } = await readFile(file);
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (cause) {
    throw loadFailed(
      `The WebAssembly module can't be read: ${textOf(cause)}. A bundler may not have copied it.`,
      { cause },
    );
  }
}
