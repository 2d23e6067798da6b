import { isAbsolute, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { invalid } from "../errors.js";

/** The pages that get answers. */
export interface Origins {
  listed: ReadonlySet<string>;
  /** Whether pages from files in the app's own folder get answers, too. */
  files: boolean;
}

const MAX_ORIGINS = 100;
/** How many of them a message names. */
const MAX_SHOWN = 10;
const FILES = "file://";

// Pages of these schemes have no origin of their own, or are not the app's.
const NEVER =
  /^(about|blob|data|filesystem|javascript|view-source|devtools|chrome(-[a-z]+)?|wss?|ftp|file):$/;

/**
 * Reads the `origins` option: `app://name`, `https://…`, `http://` on a loopback
 * address, or `file://`. Throws `invalid_argument`.
 */
export function readOrigins(origins: unknown): Origins {
  const listed = new Set<string>();
  let files = false;
  for (const origin of readList(origins)) {
    if (origin === FILES) files = true;
    else listed.add(readOrigin(origin));
  }
  return { listed, files };
}

function readList(origins: unknown): unknown[] {
  try {
    if (Array.isArray(origins) && origins.length > 0 && origins.length <= MAX_ORIGINS) {
      return Array.from(origins);
    }
  } catch (thrown) {
    throw invalid("origins", "can't be read", thrown);
  }
  throw invalid("origins", 'must be a list of your pages\' origins, such as ["app://my-app"]');
}

function readOrigin(origin: unknown): string {
  const shown = typeof origin === "string" ? JSON.stringify(origin.slice(0, 80)) : typeof origin;
  const refuse = (problem: string) => invalid("origins", `${shown} ${problem}`);
  if (typeof origin !== "string" || !URL.canParse(origin)) throw refuse("is not an origin");
  const { protocol, hostname } = new URL(origin);
  if (NEVER.test(protocol) || hostname === "") throw refuse("can't be an app's own origin");
  if (!/^([\w.-]+|\[[\da-f:.]+\])$/.test(hostname))
    throw refuse("contains a wildcard or an invalid host; list each origin in full");
  if (originOf(origin) !== origin.toLowerCase()) {
    throw refuse("is more than an origin: give only the scheme and host, such as app://my-app");
  }
  if (protocol === "http:" && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) {
    throw refuse("is not encrypted: use https, or http on a loopback address");
  }
  return originOf(origin);
}

/** The origin of a URL, even with an app's own scheme, for which `URL.origin` is "null". */
function originOf(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`.toLowerCase();
}

/** Whether a page may get answers, judging by its URL and by the origin that the browser gives it. */
export function isListed(
  { listed, files }: Origins,
  url: string,
  origin: string | undefined,
  appFolder: string,
): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol } = new URL(url);
  // A page that a policy has sandboxed keeps its URL, but not its origin.
  const own = protocol === "file:" ? FILES : originOf(url);
  if (origin !== undefined && origin.toLowerCase() !== own) return false;
  if (protocol !== "file:") return listed.has(own);
  // Files unpacked from the archive are the app's own, too.
  const folders = appFolder.endsWith(".asar") ? [appFolder, `${appFolder}.unpacked`] : [appFolder];
  return files && folders.some((folder) => isInside(url, folder));
}

/** Says where a page that is not listed comes from, and what is listed. It contains no path, because the page can read it. */
export function notListed({ listed, files }: Origins, url: string, origin?: string): string {
  const own = shownOrigin(url);
  const all = files ? [...listed, FILES] : [...listed];
  const shown = all.slice(0, MAX_SHOWN).join(", ") + (all.length > MAX_SHOWN ? ", …" : "");
  const not = `not in \`origins\` (${shown})`;
  if (origin !== undefined && origin.toLowerCase() !== own) {
    return `its address (${clip(own)}) and its origin (${clip(origin)}) differ, and so it is ${not}`;
  }
  if (files && own === FILES) return `its file is not in the app's folder, and so ${not}`;
  return `its origin ${clip(own)} is ${not}`;
}

function shownOrigin(url: string): string {
  if (!URL.canParse(url)) return "none";
  const { protocol, host } = new URL(url);
  if (protocol === "file:") return FILES;
  return host === "" ? protocol : originOf(url);
}

const clip = (text: string): string => (text.length > 100 ? `${text.slice(0, 100)}…` : text);

function isInside(url: string, folder: string): boolean {
  let path: string;
  try {
    path = relative(folder, fileURLToPath(url));
  } catch {
    return false; // on another computer, or with an encoded separator
  }
  return path !== "" && path !== ".." && !path.startsWith(`..${sep}`) && !isAbsolute(path);
}
