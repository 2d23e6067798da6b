import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { tarballs } from "./packed.js";
import { serve } from "./support.js";

/** A package registry on a loopback address. */
export interface Registry {
  url: string;
  /** The paths that were requested but don't exist. */
  readonly unknown: string[];
}

/** Serves what `make pack` made, and nothing else. */
export async function startRegistry(): Promise<Registry> {
  const unknown: string[] = [];
  const url = await serve(({ url: path = "/", headers }, response) => {
    const name = decodeURIComponent(path.slice(1));
    const file = /^-\/(.+)$/.exec(name)?.[1];
    if (file !== undefined) {
      const packed = [...tarballs.values()].find(({ path }) => basename(path) === file);
      if (packed) {
        response.writeHead(200, { "Content-Type": "application/octet-stream" });
        response.end(readFileSync(packed.path));
        return;
      }
    }
    const found = tarballs.get(name);
    if (!found) {
      unknown.push(path);
      response.writeHead(404, { "Content-Type": "application/json" }).end("{}");
      return;
    }
    const bytes = readFileSync(found.path);
    const sum = (kind: string) => createHash(kind).update(bytes);
    const { version } = found.manifest;
    const dist = {
      tarball: `http://${headers.host}/-/${basename(found.path)}`,
      integrity: `sha512-${sum("sha512").digest("base64")}`,
      shasum: sum("sha1").digest("hex"),
    };
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(
      JSON.stringify({
        name,
        "dist-tags": { latest: version },
        versions: { [version]: { ...found.manifest, _id: `${name}@${version}`, dist } },
        time: { [version]: "2020-01-01T00:00:00.000Z" },
      }),
    );
  });
  return { url, unknown };
}
