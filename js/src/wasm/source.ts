import { invalid, type LicenseError, loadFailed, passes, textOf } from "../errors.js";
import { codeOf } from "./reach.js";

/** Reads a `file:` URL. It exists only where there is a file system. */
export type ReadFile = (url: URL) => Promise<Uint8Array>;

/** What a `wasm` option is. Loads with the same `key` share one module. */
export type Source = { key: string | object } & (
  | { kind: "module"; module: WebAssembly.Module }
  | { kind: "bytes"; bytes: Uint8Array }
  | { kind: "response"; response: PromiseLike<Response> }
  | { kind: "address"; address: string }
);

/** Finds out what a `wasm` option is, or throws an `invalid_argument`. */
export function readSource(wasm: unknown): Source {
  try {
    if (typeof wasm === "string" && wasm !== "") {
      return { kind: "address", address: wasm, key: wasm };
    }
    // By tag and not by instanceof, as it may come from another realm.
    switch (Object.prototype.toString.call(wasm)) {
      case "[object URL]": {
        const { href } = wasm as URL;
        return { kind: "address", address: href, key: href };
      }
      case "[object WebAssembly.Module]":
        return { kind: "module", module: wasm as WebAssembly.Module, key: wasm as object };
      case "[object ArrayBuffer]":
        return { kind: "bytes", bytes: new Uint8Array(wasm as ArrayBuffer), key: wasm as object };
      case "[object Response]":
      case "[object Promise]": {
        const response = Promise.resolve(wasm as Response | Promise<Response>);
        return { kind: "response", response, key: wasm as object };
      }
    }
    if (ArrayBuffer.isView(wasm)) {
      const bytes = new Uint8Array(wasm.buffer, wasm.byteOffset, wasm.byteLength);
      return { kind: "bytes", bytes, key: wasm };
    }
  } catch (thrown) {
    throw invalid("wasm", "can't be read", thrown);
  }
  throw invalid("wasm", "must be a URL, a Response, bytes or a WebAssembly.Module");
}

/** Compiles the module, or rejects with a `load_failed` that says why not. */
export async function compile(source: Source, readFile?: ReadFile): Promise<WebAssembly.Module> {
  if (typeof WebAssembly !== "object") {
    throw loadFailed("WebAssembly is not available here, or is switched off.");
  }
  switch (source.kind) {
    case "module":
      return source.module;
    case "bytes":
      return compileBytes(source.bytes, "given bytes");
    case "response":
      return compileResponse(source.response, "given Response");
    case "address":
      return compileAddress(source.address, readFile);
  }
}

function compileAddress(address: string, readFile?: ReadFile): Promise<WebAssembly.Module> {
  const name = shown(address);
  if (readFile) {
    let url: URL;
    try {
      url = new URL(address);
    } catch {
      throw invalid("wasm", `${name} is not an absolute URL; for a file use pathToFileURL(path)`);
    }
    if (url.protocol === "file:") return compileFile(url, readFile);
  }
  return compileResponse(fetch(address), name);
}

async function compileFile(url: URL, readFile: ReadFile): Promise<WebAssembly.Module> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(url);
  } catch (cause) {
    throw loadFailed(
      `The WebAssembly module can't be read: ${textOf(cause)}. ` +
        (passes(cause)
          ? "Try again in a moment."
          : "A bundler may not have copied whop-license.wasm: give its URL in the `wasm` option."),
      { cause, retryable: passes(cause) },
    );
  }
  return compileBytes(bytes, shown(url.href));
}

async function compileResponse(
  promise: PromiseLike<Response>,
  name: string,
): Promise<WebAssembly.Module> {
  let response: Response;
  try {
    response = await promise;
  } catch (cause) {
    throw loadFailed(
      `The WebAssembly module could not be fetched (${name}): ${failureOf(cause)}. ` +
        "The cause can be the network, CORS, or a Content Security Policy whose connect-src doesn't allow it.",
      { cause, retryable: true },
    );
  }
  if (Object.prototype.toString.call(response) !== "[object Response]") {
    throw invalid("wasm", "must be a promise of a Response");
  }
  if (!response.ok) {
    const { status } = response;
    throw loadFailed(
      `The WebAssembly module could not be fetched (${name}): HTTP status ${status}. ` +
        "Check that whop-license.wasm is served there.",
      { status, retryable: status >= 500 || status === 429 || status === 408 },
    );
  }
  // compileStreaming refuses every other type, and even this one if it has a parameter.
  const type = response.headers.get("content-type") ?? "";
  try {
    if (type.toLowerCase() === "application/wasm" && WebAssembly.compileStreaming) {
      return await WebAssembly.compileStreaming(response);
    }
  } catch (cause) {
    const { name: kind } = cause as Error;
    throw kind === "CompileError" || kind === "EvalError"
      ? notCompiled(cause, name)
      : cutOff(cause, name);
  }
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw cutOff(cause, name);
  }
  return compileBytes(bytes, name, type);
}

function cutOff(cause: unknown, name: string): LicenseError {
  return loadFailed(
    `The WebAssembly module could not be fetched completely (${name}): ${textOf(cause)}. Try again.`,
    { cause, retryable: true },
  );
}

async function compileBytes(
  bytes: Uint8Array,
  name: string,
  type?: string,
): Promise<WebAssembly.Module> {
  const start = bytes.subarray(0, 64);
  const isWasm = [0x00, 0x61, 0x73, 0x6d].every((byte, i) => start[i] === byte);
  if (!isWasm) {
    const looksLikeMarkup = String.fromCharCode(...start)
      .trimStart()
      .startsWith("<");
    const what = looksLikeMarkup
      ? "an HTML page, which servers send in place of a missing file"
      : `${bytes.byteLength} bytes of something else`;
    throw loadFailed(
      `The file is not a WebAssembly module (${name}) but ${what}` +
        `${type ? `, of type ${type.slice(0, 80)}` : ""}. Check that whop-license.wasm is served there.`,
    );
  }
  try {
    return await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
  } catch (cause) {
    throw notCompiled(cause, name);
  }
}

// Each browser has its own message for a policy that forbids compiling.
const POLICY = /content.security.policy|\bCSP\b|unsafe-eval|disallowed by embedder/i;

function forbiddenByPolicy(cause: unknown): LicenseError | undefined {
  const isPolicy = cause instanceof Error && cause.name === "EvalError";
  if (!isPolicy && !POLICY.test(textOf(cause))) return undefined;
  return loadFailed(
    "The page's Content Security Policy forbids WebAssembly. Add 'wasm-unsafe-eval' to its script-src.",
    { cause },
  );
}

function notCompiled(cause: unknown, name: string): LicenseError {
  return (
    forbiddenByPolicy(cause) ??
    loadFailed(
      `The WebAssembly module can't be compiled (${name}): ${textOf(cause)}. ` +
        "The file may be cut off, or something other than whop-license.wasm.",
      { cause },
    )
  );
}

/** Instantiates a compiled module, or rejects with a `load_failed` that says why not. */
export async function instantiate(
  module: WebAssembly.Module,
  imports: WebAssembly.Imports,
): Promise<WebAssembly.Instance> {
  try {
    return await WebAssembly.instantiate(module, imports);
  } catch (cause) {
    // WebKit compiles under any policy, and refuses only here.
    throw (
      forbiddenByPolicy(cause) ??
      loadFailed(`The WebAssembly module can't be started: ${textOf(cause)}`, { cause })
    );
  }
}

/** The message of a failed fetch, with the system's code. */
function failureOf(cause: unknown): string {
  const text = textOf(cause).replace(ADDRESS, shown);
  const code = codeOf(cause);
  return code === undefined || text.includes(code) ? text : `${text}, ${code}`;
}

const ADDRESS = /[\w.+-]+:\/\/\S+/g;

/** An address without the parts that may be secret, truncated if it is long. */
function shown(address: string): string {
  const plain = address.replace(/[?#].*$/s, "").replace(/^([\w.+-]+:\/\/)[^/]*@/, "$1");
  return plain.length > 200 ? `${plain.slice(0, 200)}…` : plain;
}
