// Builds the browser extension for each family of browsers, unpacked and as a
// reproducible archive: `node extension/build.mjs FOLDER [NAME=VALUE…]`, with the names
// of `make extension`. Without them, it builds the generic helper.
import { createHash, createPublicKey } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { zipSync } from "fflate";

const here = import.meta.dirname;
const { version } = JSON.parse(readFileSync(join(here, "../../js/package.json"), "utf8"));
const SCHEMES = ["app-scoped", "node-machine-id", "python-platform-node"];
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The pages of loopback addresses, for development. */
const LOOPBACK = ["http://localhost/*", "http://127.0.0.1/*"];

/** The settings of an extension, from the names and values of `make extension`. */
export function readSettings(given = {}) {
  const origins = (given.ORIGINS ?? "")
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(readOrigin);
  const scheme = given.SCHEME || "app-scoped";
  const own = origins.length > 0;
  if (!SCHEMES.includes(scheme)) throw new Error(`SCHEME must be one of ${SCHEMES.join(", ")}`);
  if (!own && scheme !== "app-scoped") {
    throw new Error(`SCHEME=${scheme} needs ORIGINS: otherwise every site would get the same id`);
  }
  const key = given.KEY || (own ? undefined : join(here, "key.txt"));
  return {
    origins,
    scheme,
    name:
      given.NAME || (own ? `License helper of ${new URL(origins[0]).hostname}` : "License helper"),
    key: key && readKey(key),
    addonId: given.ADDON_ID || `helper@${own ? new URL(origins[0]).hostname : "whop-license"}`,
  };
}

/** Reads a public key, in base64 or as the Chrome Web Store shows it. */
function readKey(path) {
  const key = readFileSync(path, "utf8").replace(/-----[A-Z ]+-----|\s/g, "");
  try {
    createPublicKey({ key: Buffer.from(key, "base64"), format: "der", type: "spki" });
  } catch {
    throw new Error(`KEY: ${path} doesn't contain a public key in base64`);
  }
  return key;
}

/** The id that Chromium browsers derive from a public key. */
function idOf(key) {
  const digest = createHash("sha256").update(Buffer.from(key, "base64")).digest("hex");
  return [...digest.slice(0, 32)].map((digit) => "abcdefghijklmnop"[parseInt(digit, 16)]).join("");
}

function readOrigin(text) {
  const { origin, protocol, hostname } = URL.canParse(text) ? new URL(text) : {};
  const loopback = protocol === "http:" && ["localhost", "127.0.0.1"].includes(hostname);
  // URL accepts a wildcard as a host name.
  if (origin !== text || hostname.includes("*") || !(protocol === "https:" || loopback)) {
    throw new Error(`ORIGINS: ${text} is not an origin such as https://launcher.example.com`);
  }
  return origin;
}

function manifestOf(browser, { origins, name, key, addonId }) {
  // Firefox doesn't support ports in a pattern, so the scripts compare the whole origin.
  const patterns = origins
    .map((origin) => origin.replace(/:\d+$/, ""))
    .map((origin) => `${origin}/*`);
  const firefox = browser === "firefox";
  return {
    manifest_version: 3,
    name,
    version: /^\d+(\.\d+)*/.exec(version)[0],
    description: "Tells a web launcher this computer’s license id, if you allow it.",
    icons: Object.fromEntries([16, 32, 48, 128].map((size) => [size, `icons/${size}.png`])),
    action: { default_popup: "options.html", default_title: name },
    options_ui: { page: "options.html" },
    permissions: ["nativeMessaging", "storage"],
    background: firefox ? { scripts: ["background.js"] } : { service_worker: "background.js" },
    content_scripts: [
      {
        matches: origins.length > 0 ? [...new Set(patterns)] : ["https://*/*", ...LOOPBACK],
        js: ["content.js"],
        run_at: "document_start",
      },
    ],
    content_security_policy: { extension_pages: POLICY },
    // An id would identify a private window.
    incognito: "not_allowed",
    ...(firefox
      ? {
          browser_specific_settings: {
            gecko: {
              id: addonId,
              strict_min_version: "142.0",
              data_collection_permissions: { required: ["none"] },
            },
          },
        }
      : { minimum_chrome_version: "120", ...(key && { key }) }),
  };
}

/** Builds the extension into a folder, and returns the paths and ids. */
export function buildExtension(folder, settings = readSettings()) {
  rmSync(folder, { recursive: true, force: true });
  return ["chromium", "firefox"].map((browser) => {
    const unpacked = join(folder, browser);
    mkdirSync(unpacked, { recursive: true });
    for (const file of ["consent.html", "options.html", "pages.css", "icons"]) {
      cpSync(join(here, file), join(unpacked, file), { recursive: true });
    }
    const manifest = JSON.stringify(manifestOf(browser, settings), null, 2);
    writeFileSync(join(unpacked, "manifest.json"), `${manifest}\n`);
    buildSync({
      entryPoints: ["background", "content", "consent-page", "options-page"].map((name) =>
        join(here, `${name}.ts`),
      ),
      outdir: resolve(unpacked),
      // So that esbuild's comments name the same files wherever the build is started.
      absWorkingDir: here,
      bundle: true,
      format: "iife",
      target: "es2022",
      charset: "utf8",
      define: {
        SCHEME: JSON.stringify(settings.scheme),
        ORIGINS: JSON.stringify(settings.origins),
      },
      logLevel: "warning",
    });
    const archive = join(folder, `whop-license-helper-${version}-${browser}.zip`);
    writeFileSync(archive, pack(unpacked));
    const { key, addonId } = settings;
    return { browser, unpacked, archive, id: browser === "firefox" ? addonId : key && idOf(key) };
  });
}

/** The files of a folder as an archive that depends only on their names and bytes. */
function pack(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [relative(folder, path).replaceAll("\\", "/"), readFileSync(path)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  // The earliest time of the format. It is the same everywhere, because the format has no time zone.
  return zipSync(Object.fromEntries(files), { mtime: new Date(1980, 0, 1), level: 9 });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [folder, ...given] = process.argv.slice(2);
  const values = Object.fromEntries(given.map((text) => text.split(/=(.*)/s, 2)));
  try {
    for (const { browser, ...made } of buildExtension(folder, readSettings(values))) {
      const id = made.id ?? "shown by the browser, because no KEY was given";
      const lines = [made.unpacked, made.archive, `extension id: ${id}`];
      console.log(browser.padEnd(9), lines.join(`\n${" ".repeat(10)}`));
    }
  } catch (error) {
    console.error(`extension: ${error.message}`);
    process.exitCode = 1;
  }
}
