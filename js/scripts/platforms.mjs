// The packages with the sidecar, one for each platform: their names, manifests and
// programs, and the checksums by which whop-license recognizes them.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packageFolder = fileURLToPath(new URL("..", import.meta.url));

/** The version, which is the same for every part of whop-license. */
export const version = /const Version = "([^"]+)"/.exec(
  readFileSync(join(packageFolder, "../shared/version/version.go"), "utf8"),
)[1];

/** Go's names of the platforms, by Node's names. */
export const platforms = {
  "linux-x64": { GOOS: "linux", GOARCH: "amd64" },
  "linux-arm64": { GOOS: "linux", GOARCH: "arm64" },
  "darwin-x64": { GOOS: "darwin", GOARCH: "amd64" },
  "darwin-arm64": { GOOS: "darwin", GOARCH: "arm64" },
  "win32-x64": { GOOS: "windows", GOARCH: "amd64" },
  "win32-arm64": { GOOS: "windows", GOARCH: "arm64" },
};

export const packageOf = (platform) => `@whop-license/sidecar-${platform}`;
export const programOf = (platform) =>
  `whop-license-sidecar${platform.startsWith("win32") ? ".exe" : ""}`;

/** Makes a platform's package in a folder, except for its program, and returns the program's path. */
export function makePlatformPackage(folder, platform) {
  const [os, cpu] = platform.split("-");
  // A 32-bit app, or a 32-bit Node, on Windows starts the 64-bit program.
  const cpus = platform === "win32-x64" ? [cpu, "ia32"] : [cpu];
  const { license, homepage, bugs, repository, engines } = manifest();
  const name = packageOf(platform);
  const files = ["bin", "THIRD-PARTY-NOTICES"];
  mkdirSync(join(folder, "bin"), { recursive: true });
  write(join(folder, "package.json"), {
    ...{ name, version, description: `The sidecar of whop-license for ${os} on ${cpu}.` },
    ...{ license, homepage, bugs, repository, engines, os: [os], cpu: cpus, files },
    // Yarn would keep the program in an archive, from which it can't be started.
    preferUnplugged: true,
  });
  writeFileSync(
    join(folder, "README.md"),
    `# ${name}\n\nThe sidecar of [whop-license](${homepage}) for ${os} on ${cpu}: a native program that reads ` +
      "this machine's id. It is installed automatically with `whop-license`.\n",
  );
  for (const file of ["LICENSE", "THIRD-PARTY-NOTICES"]) {
    cpSync(join(packageFolder, file), join(folder, file));
  }
  return join(folder, "bin", programOf(platform));
}

/** Writes the manifest that is published: the committed one, plus what depends on the version. */
export function writePublishedManifest(folder) {
  const { scripts: _, devDependencies: __, ...published } = manifest();
  published.optionalDependencies = Object.fromEntries(
    Object.keys(platforms).map((platform) => [packageOf(platform), version]),
  );
  write(join(folder, "package.json"), published);
}

/** Writes the checksums of the package's files into a dist folder; `programs` are paths by platform. */
export async function writeChecksums(dist, programs) {
  const { programDigest } = await import("../dist/sidecar/digest.js");
  const wasm = createHash("sha256")
    .update(readFileSync(join(dist, "whop-license.wasm")))
    .digest("hex");
  const digests = Object.fromEntries(
    Object.entries(programs).map(([platform, file]) => [
      platform,
      programDigest(readFileSync(file)),
    ]),
  );
  const value = JSON.stringify({ wasm, programs: digests }, undefined, 2);
  writeGenerated(dist, "checksums", "CHECKSUMS", `const CHECKSUMS = ${value};\n`);
}

/** Writes a generated module in both of the package's module formats. */
export function writeGenerated(dist, module, name, code) {
  const header = "// Generated at build time.\n";
  mkdirSync(dirname(join(dist, "cjs", module)), { recursive: true });
  mkdirSync(dirname(join(dist, module)), { recursive: true });
  writeFileSync(join(dist, `${module}.js`), `${header}export ${code}`);
  const commonJs = `${header}"use strict";\n${code}exports.${name} = ${name};\n`;
  writeFileSync(join(dist, "cjs", `${module}.js`), commonJs);
}

function manifest() {
  return JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
}

function write(file, value) {
  writeFileSync(file, `${JSON.stringify(value, undefined, 2)}\n`);
}
