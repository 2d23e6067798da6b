// What a page downloads in all to check a license, against the bundle of
// @whop/sdk, which a page would have if it asked Whop itself (with a secret key).
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { kilobytes, type Row } from "./measure.js";
import { brotli } from "./size.js";

const web = join(import.meta.dirname, "../..");

const minimal = `
  import { loadValidator } from "whop-license";
  const { validateLicense } = await loadValidator({ endpoint: "https://license.example.com" });
  document.title = (await validateLicense(prompt())).code;
`;
const withElement = `
  import { loadValidator } from "whop-license";
  import "whop-license/element";
  document.querySelector("whop-license-gate").validator = () =>
    loadValidator({ endpoint: "https://license.example.com" });
`;
const sdk = `
  import Whop from "@whop/sdk";
  const whop = new Whop({ apiKey: prompt() });
  document.title = (await whop.memberships.retrieve(prompt())).status;
`;

/** The size of a page's code, bundled for browsers and compressed. */
async function bundled(contents: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: web },
    bundle: true,
    format: "esm",
    platform: "browser",
    minify: true,
    write: false,
  });
  const sizes = await Promise.all(outputFiles.map(({ contents }) => brotli(contents)));
  return sizes.reduce((sum, size) => sum + size, 0);
}

export async function downloads(): Promise<Row[]> {
  const module = await brotli(readFileSync(join(web, "../js/dist/whop-license.wasm")));
  const against = await bundled(sdk);
  const row = (what: string, code: number): Row => ({
    name: `${what} downloads in all, brotli -11, against @whop/sdk's bundle`,
    measured: `${kilobytes(code)} + ${kilobytes(module)} wasm`,
    against: kilobytes(against),
    ratio: (code + module) / against,
  });
  return [
    row("a minimal page", await bundled(minimal)),
    row("one with the gate element", await bundled(withElement)),
  ];
}
