// The module's size over the wire, against an empty Go program and against the
// same job done with the standard library.
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants } from "node:zlib";
import { kilobytes, type Row } from "./measure.js";

const web = join(import.meta.dirname, "../..");

/** The folder, below dist/, from which the pages of the benchmark are served. */
export const served = join(web, "dist/bench/modules");

/** Builds what the module is compared with, the way the module is built. */
export function buildModules(): void {
  mkdirSync(served, { recursive: true });
  copyFileSync(join(web, "../js/dist/whop-license.wasm"), join(served, "ours.wasm"));
  copyFileSync(join(web, "../js/dist/wasm_exec.js"), join(served, "wasm_exec.js"));
  copyFileSync(join(web, "bench/bench.html"), join(served, "bench.html"));
  cpSync(join(web, "node_modules/jose/dist/webapi"), join(served, "jose"), { recursive: true });
  for (const name of ["empty", "naive", "baseline", "leases"]) {
    execFileSync(
      "go",
      [
        "build",
        "-trimpath",
        "-ldflags=-s -w",
        "-o",
        join(served, `${name}.wasm`),
        `./bench/${name}`,
      ],
      { cwd: web, env: { ...process.env, GOOS: "js", GOARCH: "wasm" }, stdio: "inherit" },
    );
  }
}

export async function sizes(): Promise<Row[]> {
  const [ours = 0, empty = 0, naive = 0, baseline = 0, leases = 0] = await Promise.all(
    ["ours", "empty", "naive", "baseline", "leases"].map((name) =>
      brotli(readFileSync(join(served, `${name}.wasm`))),
    ),
  );
  return [
    {
      name: "wasm, brotli -11, against an empty Go program",
      measured: kilobytes(ours),
      against: kilobytes(empty),
      ratio: ours / empty,
      budget: 1.5,
    },
    {
      name: "wasm, brotli -11, against net/http and encoding/json",
      measured: kilobytes(ours),
      against: kilobytes(naive),
      ratio: ours / naive,
      budget: 0.35,
    },
    {
      name: "what checking leases adds, against an empty Go program",
      measured: kilobytes(leases - baseline),
      against: kilobytes(empty),
      ratio: (leases - baseline) / empty,
    },
  ];
}

/** What a server sends of a file that it has compressed beforehand. */
export async function brotli(bytes: Uint8Array): Promise<number> {
  const compressed = await promisify(brotliCompress)(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  return compressed.length;
}
