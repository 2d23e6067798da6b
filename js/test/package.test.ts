// The packed tarball, installed into an empty project and used from there.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { accessSync, constants, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { packageFolder, serve, temporaryFolder } from "./support.js";

const project = temporaryFolder();
const npm = process.platform === "win32" ? "npm.cmd" : "npm";
const tsc = join(packageFolder, "node_modules/typescript/bin/tsc");

function run(command: string, args: string[], cwd = project): string {
  const env = { ...process.env, npm_config_update_notifier: "false" };
  const result = spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: 120_000 });
  assert.equal(result.status, 0, `${command} ${args.join(" ")}\n${result.stdout}${result.stderr}`);
  return result.stdout;
}

const packed = run(npm, ["pack", "--json", "--pack-destination", project], packageFolder);
const [tarball] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
writeFileSync(join(project, "package.json"), '{ "private": true }');
run(npm, ["install", "--offline", "--no-audit", "--no-fund", `./${tarball.filename}`]);
const installed = join(project, "node_modules/whop-license");

test("what is in the tarball", () => {
  const paths = tarball.files.map(({ path }) => path);
  for (const path of [
    ...["LICENSE", "README.md", "THIRD-PARTY-NOTICES", "package.json"],
    ...["dist/index.js", "dist/index.d.ts", "dist/node.js", "dist/sidecar.js"],
    ...["dist/cjs/index.cjs", "dist/cjs/index.d.cts", "dist/cjs/sidecar.cjs"],
    ...["dist/whop-license.wasm", "dist/wasm_exec.js", "dist/go-runtime.js"],
  ]) {
    assert.ok(paths.includes(path), `${path} is missing`);
  }
  const odd = paths.filter((path) => !/^dist\/[^.]|^[A-Z-]+(\.md)?$|^package\.json$/.test(path));
  assert.deepEqual(odd, []);
  accessSync(
    join(installed, `dist/sidecar/${process.platform}-${process.arch}/whop-license-sidecar`),
    constants.X_OK,
  );
});

test("the tarball needs nothing and runs nothing when installed", () => {
  const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  for (const name of ["dependencies", "peerDependencies", "optionalDependencies", "bin"]) {
    assert.equal(manifest[name], undefined, name);
  }
  for (const name of Object.keys(manifest.scripts)) {
    assert.doesNotMatch(name, /install|prepare|prepublish/);
  }
  assert.deepEqual(
    readFileSync(join(installed, "LICENSE"), "utf8"),
    readFileSync(join(packageFolder, "../LICENSE"), "utf8"),
  );
});

test("every Go module that is shipped is named in THIRD-PARTY-NOTICES", () => {
  const notices = readFileSync(join(installed, "THIRD-PARTY-NOTICES"), "utf8");
  const modules = new Set<string>();
  for (const [GOOS, GOARCH, program] of [
    ["js", "wasm", "./wasm"],
    ["linux", "amd64", "./native/sidecar"],
    ["darwin", "arm64", "./native/sidecar"],
    ["windows", "amd64", "./native/sidecar"],
  ] as const) {
    const args = ["list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", program];
    const listed = execFileSync("go", args, {
      cwd: join(packageFolder, ".."),
      env: { ...process.env, GOOS, GOARCH, CGO_ENABLED: "0" },
      encoding: "utf8",
    });
    for (const path of listed.split("\n").filter(Boolean)) modules.add(path);
  }
  assert.ok(modules.delete("github.com/whop-license/whop-license"));
  for (const path of modules) assert.ok(notices.includes(path), `${path} is missing`);
  const goRoot = execFileSync("go", ["env", "GOROOT"], { encoding: "utf8" }).trim();
  assert.ok(notices.includes(readFileSync(join(goRoot, "LICENSE"), "utf8")));
});

test("from an ES module and from CommonJS", async () => {
  // A server of its own process, as execFileSync blocks this one.
  const body = `
    const server = require("node:http").createServer((request, response) => {
      response.writeHead(201).end('{"valid":true,"id":"mem_1"}');
    });
    server.listen(0, "127.0.0.1", async () => {
      try {
        const { loadValidator, LicenseError } = await main();
        const { machineId } = await sidecar();
        const endpoint = "http://127.0.0.1:" + server.address().port;
        const { validateLicense, version } = await loadValidator({ endpoint });
        const { id } = await machineId();
        const verdict = await validateLicense("A1B2C3-D4E5F6-G7H8I9", id);
        const error = await validateLicense("").catch((error) => error);
        console.log(JSON.stringify([version, verdict.membership.id, error instanceof LicenseError]));
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
  `;
  writeFileSync(
    join(project, "consumer.mjs"),
    `import { createRequire } from "node:module";
    import * as license from "whop-license";
    import * as machine from "whop-license/sidecar";
    const require = createRequire(import.meta.url);
    const main = async () => license, sidecar = async () => machine;
    ${body}`,
  );
  writeFileSync(
    join(project, "consumer.cjs"),
    `const main = async () => require("whop-license");
    const sidecar = async () => require("whop-license/sidecar");
    ${body}`,
  );
  const { version } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  for (const file of ["consumer.mjs", "consumer.cjs"]) {
    const out = run(process.execPath, [file]);
    assert.deepEqual(JSON.parse(out), [version, "mem_1", true], file);
  }
});

test("the files that tools ask for by name", async () => {
  const script = `
    import { createRequire } from "node:module";
    const require = createRequire(import.meta.url);
    for (const name of ["whop-license.wasm", "wasm_exec.js", "package.json"]) {
      console.log(require.resolve("whop-license/" + name) !== "");
    }
  `;
  writeFileSync(join(project, "resolve.mjs"), script);
  assert.equal(run(process.execPath, ["resolve.mjs"]), "true\ntrue\ntrue\n");
});

test("the module under Go's own wasm_exec.js, without this package's code", async () => {
  const endpoint = await serve((_, response) => response.writeHead(404).end("{}"));
  const script = `
    import { readFileSync } from "node:fs";
    import { fileURLToPath } from "node:url";
    await import("whop-license/wasm_exec.js");
    const wasm = readFileSync(fileURLToPath(import.meta.resolve("whop-license/whop-license.wasm")));
    const go = new Go();
    go.env = { WHOP_LICENSE_ENDPOINT: ${JSON.stringify(endpoint)} };
    const { instance } = await WebAssembly.instantiate(wasm, go.importObject);
    go.run(instance);
    const error = await globalThis.validateLicense("").catch((error) => error);
    console.log(error.name, error.code, validateLicense.version);
  `;
  writeFileSync(join(project, "plain.mjs"), script);
  assert.match(
    run(process.execPath, ["plain.mjs"]),
    /^LicenseError invalid_argument \d+\.\d+\.\d+/,
  );
});

const CONSUMER = `
import {
  LicenseError,
  type InvalidVerdict,
  type LeaseStore,
  type LicenseErrorCode,
  loadValidator,
  type Membership,
  type Validator,
  type Verdict,
} from "whop-license";

export async function check(key: string, hwid: string, signal?: AbortSignal): Promise<string> {
  const validator: Validator = await loadValidator({ endpoint: "https://license.example.com" });
  try {
    const verdict: Verdict = await validator.validateLicense(key, hwid, { signal });
    if (verdict.valid) {
      const membership: Membership = verdict.membership;
      const end: number | null | undefined = membership.expires_at;
      return \`\${membership.product} \${end} \${verdict.source}\`;
    }
    switch (verdict.code) {
      case "metadata_mismatch":
      case "not_found":
      case "inactive":
        return verdict.message;
    }
  } catch (error) {
    if (error instanceof LicenseError) {
      const code: LicenseErrorCode = error.code;
      return \`\${code} \${error.retryAfterMs?.toFixed()} \${error.retryable}\`;
    }
    throw error;
  }
}

const store: LeaseStore = {
  get: async (name) => (name === "x" ? "text" : null),
  set: (name, text) => Promise.resolve(name.length + text.length),
  remove() {},
};

export async function leased(publicKey: readonly string[]): Promise<string | undefined> {
  const { validateLicense } = await loadValidator({
    endpoint: "https://license.example.com",
    publicKey,
    issuer: "https://license.example.com",
    audience: "prod_1",
    leases: store,
    revalidateAfterMs: 60_000,
    onChange: ({ code, message }: InvalidVerdict) => \`\${code} \${message}\`,
  });
  await loadValidator({ endpoint: "", publicKey: "k", leases: "local" });
  // @ts-expect-error: no such store
  await loadValidator({ endpoint: "", publicKey, leases: "session" });
  // @ts-expect-error: half a store
  await loadValidator({ endpoint: "", publicKey, leases: { get: () => null } });
  const verdict = await validateLicense("k", "m", { lease: "l", clock: { lastSeen: 0 } });
  // @ts-expect-error: only a valid verdict has a lease
  verdict.lease;
  return verdict.valid ? (verdict.leaseExpiresAt ?? verdict.lease) : undefined;
}

export async function wrong(validator: Validator): Promise<void> {
  // @ts-expect-error: a key is a string
  await validator.validateLicense(1);
  // @ts-expect-error: the endpoint is needed
  await loadValidator({});
  // @ts-expect-error: no such option
  await validator.validateLicense("k", "m", { timeout: 1 });
  const verdict = await validator.validateLicense("k", { disk: "d" });
  // @ts-expect-error: only a valid verdict has a membership
  verdict.membership;
  // @ts-expect-error: no such code
  verdict.code === "expired";
}
`;

const NODE_CONSUMER = `${CONSUMER}
import { createSidecar, machineId, type MachineId, type Sidecar } from "whop-license/sidecar";

export async function machine(): Promise<string> {
  const sidecar: Sidecar = createSidecar({ timeoutMs: 1000 });
  const own: MachineId = await sidecar.machineId({ scheme: "app-scoped", appId: "app" });
  // @ts-expect-error: no such scheme
  await machineId({ scheme: "md5" });
  sidecar.close();
  return own.id;
}
`;

for (const [name, file, text, options] of [
  ["an ES module for Node", "esm.mts", NODE_CONSUMER, ["--module", "node16"]],
  ["CommonJS for Node", "cjs.cts", NODE_CONSUMER, ["--module", "node16"]],
  ["nodenext", "next.mts", NODE_CONSUMER, ["--module", "nodenext"]],
  [
    "a bundler for pages",
    "page.ts",
    CONSUMER,
    ["--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom", "--types", ""],
  ],
  [
    "a bundler for Electron's main process",
    "main.ts",
    NODE_CONSUMER,
    ["--module", "esnext", "--moduleResolution", "bundler"],
  ],
] as const) {
  test(`types for ${name}`, () => {
    writeFileSync(join(project, file), text);
    const forNode = options.includes("--types" as never)
      ? []
      : ["--lib", "es2022", "--types", "node"];
    const types = ["--typeRoots", join(packageFolder, "node_modules/@types")];
    run(process.execPath, [
      tsc,
      ...["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false"],
      ...["--target", "es2022", ...options, ...forNode, ...types, file],
    ]);
  });
}
