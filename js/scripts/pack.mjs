// `make pack`: makes the tarballs to publish, of whop-license and of the sidecar for
// each platform, and their checksums. The same source gives the same bytes.
//
//   node scripts/pack.mjs [FOLDER]    (default: pack/)
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { moveSectionsToEnd } from "./elf.mjs";
import {
  makePlatformPackage,
  platforms,
  version,
  writeChecksums,
  writePublishedManifest,
} from "./platforms.mjs";

const packageFolder = fileURLToPath(new URL("..", import.meta.url));
const folder = resolve(process.argv[2] ?? join(packageFolder, "pack"));
const staging = mkdtempSync(join(tmpdir(), "whop-license-pack-"));

const committed = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")).version;
if (committed !== version) {
  console.error(`package.json has version ${committed}, but shared/version has ${version}.`);
  process.exit(1);
}
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
try {
  const programs = {};
  for (const [platform, target] of Object.entries(platforms)) {
    programs[platform] = makePlatformPackage(join(staging, platform), platform);
    build(target, programs[platform]);
    moveSectionsToEnd(programs[platform]);
  }
  const main = join(staging, "whop-license");
  for (const file of ["LICENSE", "README.md", "THIRD-PARTY-NOTICES", "dist"]) {
    cpSync(join(packageFolder, file), join(main, file), {
      recursive: true,
      filter: (source) => !basename(source).startsWith(".") || source === packageFolder,
    });
  }
  writePublishedManifest(main);
  await writeChecksums(join(main, "dist"), programs);

  const names = [main, ...Object.keys(platforms).map((name) => join(staging, name))].map(pack);
  const sums = names.map((name) => `${sha256(join(folder, name))}  ${name}\n`);
  writeFileSync(join(folder, "SHA256SUMS"), sums.join(""));
  process.stdout.write(sums.join(""));
} finally {
  rmSync(staging, { recursive: true });
}

function build(target, file) {
  // As the Makefile builds bin/whop-license-sidecar.
  const flags = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file];
  execFileSync("go", ["build", ...flags, "./native/sidecar"], {
    cwd: join(packageFolder, ".."),
    env: { ...process.env, ...target, CGO_ENABLED: "0" },
    stdio: "inherit",
  });
}

function pack(source) {
  // So that the modes don't depend on the umask.
  for (const name of readdirSync(source, { recursive: true })) {
    const file = join(source, name);
    if (statSync(file).isFile()) chmodSync(file, /^bin[\\/]/.test(name) ? 0o755 : 0o644);
  }
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const args = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const { status, stdout, stderr } = spawnSync(npm, args, { cwd: source, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm pack: ${stderr}`);
  return JSON.parse(stdout)[0].filename;
}

function sha256(file) {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
