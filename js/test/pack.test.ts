// The tarballs of `make pack`: what they contain, and that they are reproducible.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { programDigest } from "../dist/sidecar/digest.js";
import { packFolder, run, tarball, tarballs } from "./helpers/packed.js";
import { packageFolder, temporaryFolder } from "./helpers/support.js";

const repository = join(packageFolder, "..");
const license = readFileSync(join(repository, "LICENSE"), "utf8");
const version = /Version = "(.+)"/.exec(
  readFileSync(join(repository, "shared/version/version.go"), "utf8"),
)?.[1] as string;

const PLATFORMS = ["linux", "darwin", "win32"].flatMap((os) =>
  ["x64", "arm64"].map((cpu) => ({ os, cpu, name: `@whop-license/sidecar-${os}-${cpu}` })),
);

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(folder, name)).isFile())
    .map((name) => name.replaceAll("\\", "/"));
}

test("one version everywhere", () => {
  assert.match(version, /^\d+\.\d+\.\d+/);
  for (const file of ["js/package.json", "js/package-lock.json", "web/package.json"]) {
    const found = JSON.parse(readFileSync(join(repository, file), "utf8"));
    assert.equal(found.version, version, file);
    if (found.packages) assert.equal(found.packages[""].version, version, file);
  }
  for (const [name, { manifest }] of tarballs) assert.equal(manifest.version, version, name);
});

test("what is in whop-license", () => {
  const { manifest, folder } = tarball("whop-license");
  const paths = filesOf(folder);
  for (const path of [
    ...["LICENSE", "README.md", "THIRD-PARTY-NOTICES", "package.json"],
    ...["dist/index.js", "dist/index.d.ts", "dist/node.js", "dist/sidecar/index.js"],
    ...["dist/cjs/node.cjs", "dist/cjs/node.d.cts", "dist/cjs/sidecar/index.cjs"],
    ...["dist/whop-license.wasm", "dist/wasm_exec.js", "dist/wasm/runtime.js"],
    ...["dist/checksums.js", "dist/cjs/checksums.js"],
  ]) {
    assert.ok(paths.includes(path), `${path} is missing`);
  }
  const odd = paths.filter((path) => !/^dist\/[^.]|^[A-Z-]+(\.md)?$|^package\.json$/.test(path));
  assert.deepEqual(odd, []);
  assert.equal(readFileSync(join(folder, "LICENSE"), "utf8"), license);
  const programs = paths.filter((path) => /sidecar$|\.exe$/.test(path));
  assert.deepEqual(programs, []);

  assert.deepEqual(
    manifest.optionalDependencies,
    Object.fromEntries(PLATFORMS.map(({ name }) => [name, version])),
  );
  for (const name of ["dependencies", "peerDependencies", "devDependencies", "bin", "scripts"]) {
    assert.equal(manifest[name], undefined, name);
  }
  const committed = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  const { optionalDependencies: _, ...published } = manifest;
  const { scripts: __, devDependencies: ___, ...kept } = committed;
  assert.deepEqual(published, kept);
});

test("a package for each platform, and no other", () => {
  const names = ["whop-license", ...PLATFORMS.map(({ name }) => name)];
  assert.deepEqual([...tarballs.keys()].sort(), names.sort());
  const kinds = { linux: "7f454c46", darwin: "cffaedfe", win32: "4d5a" };
  for (const { os, cpu, name } of PLATFORMS) {
    const { manifest, folder } = tarball(name);
    const program = `bin/whop-license-sidecar${os === "win32" ? ".exe" : ""}`;
    assert.deepEqual(
      filesOf(folder).sort(),
      ["LICENSE", "README.md", "THIRD-PARTY-NOTICES", program, "package.json"].sort(),
    );
    const { license: terms, repository: source, engines, preferUnplugged } = manifest;
    // A 32-bit app on Windows starts the 64-bit program.
    const cpus = name.endsWith("win32-x64") ? [cpu, "ia32"] : [cpu];
    assert.deepEqual([manifest.os, manifest.cpu], [[os], cpus]);
    assert.deepEqual([terms, preferUnplugged, engines], ["MIT", true, { node: ">=20" }]);
    assert.ok(source);
    for (const member of ["scripts", "dependencies", "optionalDependencies", "bin", "main"]) {
      assert.equal(manifest[member], undefined, `${name} ${member}`);
    }
    assert.equal(readFileSync(join(folder, "LICENSE"), "utf8"), license);
    const bytes = readFileSync(join(folder, program));
    const magic = kinds[os as keyof typeof kinds];
    assert.equal(bytes.toString("hex", 0, magic.length / 2), magic);
    if (process.platform !== "win32") {
      assert.equal(statSync(join(folder, program)).mode & 0o777, 0o755);
    }
  }
});

test("checksums of the shipped files", async () => {
  const { folder } = tarball("whop-license");
  const { CHECKSUMS } = await import(join(folder, "dist/checksums.js"));
  const wasm = readFileSync(join(folder, "dist/whop-license.wasm"));
  const programs = PLATFORMS.map(({ os, cpu, name }) => {
    const file = `bin/whop-license-sidecar${os === "win32" ? ".exe" : ""}`;
    return [`${os}-${cpu}`, programDigest(readFileSync(join(tarball(name).folder, file)))];
  });
  assert.deepEqual(CHECKSUMS, {
    wasm: createHash("sha256").update(wasm).digest("hex"),
    programs: Object.fromEntries(programs),
  });
  for (const line of readFileSync(join(packFolder, "SHA256SUMS"), "utf8").trim().split("\n")) {
    const [sum, file] = line.split("  ") as [string, string];
    const bytes = readFileSync(join(packFolder, file));
    assert.equal(createHash("sha256").update(bytes).digest("hex"), sum, file);
  }
});

test("no file contains a path of this machine", () => {
  const folders = [repository, homedir(), process.env.GOROOT, process.cwd()];
  const goRoot = run("go", ["env", "GOROOT", "GOCACHE", "GOMODCACHE"], packageFolder).split("\n");
  const needles = [...folders, ...goRoot]
    .filter((folder): folder is string => folder !== undefined && folder.length > 1)
    .map((folder) => folder.replace(/[\\/]$/, ""));
  assert.ok(needles.length >= 5);
  for (const [name, { path }] of tarballs) {
    const content = gunzipSync(readFileSync(path));
    for (const needle of needles) {
      // The folder's name must end there, so that /root doesn't match /rooted.
      for (let at = content.indexOf(needle); at >= 0; at = content.indexOf(needle, at + 1)) {
        const next = String.fromCharCode(content[at + needle.length] ?? 0);
        assert.doesNotMatch(next, /[\\/"'\0\s]/, `${name} names ${needle}`);
      }
    }
  }
});

test("from another folder, under another umask, the same bytes", () => {
  const copy = join(temporaryFolder(), "elsewhere");
  const list = ["ls-files", "-co", "--exclude-standard", "-z"];
  for (const file of run("git", list, repository).split("\0").filter(Boolean)) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(repository, file), join(copy, file));
  }
  run("git", ["init", "--quiet"], copy);
  // What npm installed, but not the sidecar, which the build puts there.
  const modules = join(copy, "js/node_modules");
  mkdirSync(modules);
  for (const name of readdirSync(join(packageFolder, "node_modules"))) {
    if (name === "@whop-license" || name === ".package-lock.json") continue;
    symlinkSync(join(packageFolder, "node_modules", name), join(modules, name), "junction");
  }
  const lock = "node_modules/.package-lock.json";
  cpSync(join(packageFolder, lock), join(copy, "js", lock));
  run("sh", ["-c", "umask 077 && make pack"], copy);
  assert.equal(
    readFileSync(join(copy, "js/pack/SHA256SUMS"), "utf8"),
    readFileSync(join(packFolder, "SHA256SUMS"), "utf8"),
  );
});
