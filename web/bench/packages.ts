// The sizes of the packages that are published, as they are downloaded.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { kilobytes, type Row } from "./measure.js";

const folder = join(import.meta.dirname, "../../../js/pack");

export function packages(): Row[] {
  const sizes = readdirSync(folder)
    .filter((file) => file.endsWith(".tgz"))
    .map((file): [string, number] => [file, statSync(join(folder, file)).size]);
  const main = sizes.find(([file]) => !file.includes("sidecar"))?.[1] ?? Number.NaN;
  return sizes.map(([file, size]) => ({
    name: `${file.replace(/-[\d.]+\.tgz$/, "")}, against whop-license`,
    measured: kilobytes(size),
    against: kilobytes(main),
    ratio: size / main,
  }));
}
