// The packed tarballs, installed into an empty project and used from there.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import {
  consumers,
  installed,
  platform,
  platformPackage,
  programFile,
  run,
  tarball,
} from "./helpers/packed.js";
import { packageFolder, serve } from "./helpers/support.js";

const require = createRequire(import.meta.url);
const { machineIdSync } = require("node-machine-id") as typeof import("node-machine-id");
const tsc = join(packageFolder, "node_modules/typescript/bin/tsc");

const project = installed();
const main = join(project, "node_modules/whop-license");
const sidecar = join(project, "node_modules", platformPackage);

test("what was installed", () => {
  assert.deepEqual(readdirSync(join(project, "node_modules/@whop-license")), [
    `sidecar-${platform}`,
  ]);
  assert.ok(existsSync(join(sidecar, programFile)));
});

test("every Go module that is shipped is named in THIRD-PARTY-NOTICES", () => {
  const notices = readFileSync(join(main, "THIRD-PARTY-NOTICES"), "utf8");
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

test("from an ES module and from CommonJS", () => {
  const { version } = tarball("whop-license").manifest;
  for (const [file, text] of Object.entries(consumers)) {
    writeFileSync(join(project, file), text);
    assert.deepEqual(
      JSON.parse(run(process.execPath, [file], project)),
      { version, id: machineIdSync(), membership: "mem_1", typed: true },
      file,
    );
  }
});

test("the entry points for pages, on a server without a bundler", () => {
  const body = `
    element.defineLicenseGate();
    console.log(element.WhopLicenseGate === react.WhopLicenseGate);
    renderer.loadMainValidator().catch((error) => console.log(error.code));
  `;
  const entries = ["element", "element/react", "electron/renderer"];
  for (const [file, load] of [
    ["server.mjs", "await import"],
    ["server.cjs", "require"],
  ] as const) {
    const loads = entries.map((entry) => {
      return `const ${entry.split("/").at(-1)} = ${load}("whop-license/${entry}");\n`;
    });
    writeFileSync(join(project, file), loads.join("") + body);
    assert.equal(run(process.execPath, [file], project), "true\nload_failed\n", file);
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
  assert.equal(run(process.execPath, ["resolve.mjs"], project), "true\ntrue\ntrue\n");
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
    run(process.execPath, ["plain.mjs"], project),
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

const ELECTRON_MAIN = `
import { app, BrowserWindow, safeStorage } from "electron";
import {
  createFileLeases,
  type LeaseStore,
  LicenseError,
  type LicenseHost,
  type LicenseHostOptions,
  preloadPath,
  registerLicenseHost,
  type Verdict,
} from "whop-license/electron/main";

const leases: LeaseStore = createFileLeases({ path: app.getPath("userData") + "/l", safeStorage });
const options: LicenseHostOptions = {
  origins: ["app://my-app"],
  machineId: { scheme: "app-scoped", appId: "app" },
  leases,
  validator: { endpoint: "https://license.example.com", publicKey: "k", revalidateAfterMs: 1 },
  onVerdict: ({ code, valid }) => valid || code === "inactive",
};
const host: LicenseHost = registerLicenseHost(options);

export async function check(key: string): Promise<Verdict | string> {
  new BrowserWindow({ webPreferences: { preload: preloadPath } });
  try {
    return await host.validateLicense(key, { timeoutMs: 1, signal: new AbortController().signal });
  } catch (error) {
    return error instanceof LicenseError ? error.code : "";
  } finally {
    host.dispose();
  }
}

export function wrong(): void {
  // @ts-expect-error: origins are needed
  registerLicenseHost({});
  // @ts-expect-error: no such store
  registerLicenseHost({ origins: [], leases: "local" });
  // @ts-expect-error: the host has the module
  registerLicenseHost({ origins: [], validator: { endpoint: "", wasm: "" } });
  // @ts-expect-error: the host knows the machine
  void host.validateLicense("k", "m");
}
`;

const PRELOAD = `
import "whop-license/electron/preload";
export {};
`;

const RENDERER = `
import {
  type ElectronLoadOptions,
  type ElectronValidator,
  type InvalidVerdict,
  type LeaseStore,
  LicenseError,
  licenseStore,
  loadElectronValidator,
  loadMainValidator,
  type MachineId,
  type Verdict,
} from "whop-license/electron/renderer";

export async function check(options: ElectronLoadOptions): Promise<Verdict | string | undefined> {
  const { machineId, validateLicense }: ElectronValidator = await loadElectronValidator(options);
  const own: MachineId = machineId;
  const store: LeaseStore = licenseStore;
  await store.set("whop-license-key", own.id);
  const main = await loadMainValidator({ onChange: ({ message }: InvalidVerdict) => message });
  await main.validateLicense("k", undefined, { timeoutMs: 1 });
  // @ts-expect-error: the module comes from the main process
  await loadElectronValidator({ endpoint: "", wasm: "" });
  // @ts-expect-error: the main process has these
  await loadMainValidator({ endpoint: "" });
  return validateLicense("k").catch((error) => (error instanceof LicenseError ? error.code : ""));
}
`;

const GATE = `
import { type GateTextsInput, LicenseError, type Verdict, WhopLicenseGate } from "whop-license/element";

export function gate(texts: GateTextsInput): Verdict | undefined {
  const gate: WhopLicenseGate = document.createElement("whop-license-gate");
  gate.texts = texts;
  gate.validator = { validateLicense: () => Promise.reject(new LicenseError("aborted", "")) };
  // @ts-expect-error: a validator is an object, a promise or a function
  gate.validator = "https://license.example.com";
  gate.addEventListener("whop-license-valid", ({ detail }) => detail.membership.id);
  // @ts-expect-error: a refusal has no membership
  gate.addEventListener("whop-license-refused", ({ detail }) => detail.membership);
  return gate.verdict;
}
`;

function linkElectron(): void {
  const link = join(project, "node_modules/electron");
  if (!existsSync(link))
    symlinkSync(join(packageFolder, "node_modules/electron"), link, "junction");
}

const bundler = ["--module", "esnext", "--moduleResolution", "bundler"];
const page = [...bundler, "--lib", "es2022,dom", "--types", ""];
// Electron's own types also use the DOM's.
const electron = ["--lib", "es2022,dom", "--types", "node"];

// Pages don't need Electron's types, so they are checked before those are installed.
for (const [name, file, text, options] of [
  ["Electron's pages, bundled", "renderer.ts", RENDERER, page],
  ["Electron's pages by nodenext", "renderer.mts", RENDERER, ["--module", "nodenext", ...electron]],
  ["Electron's pages, CommonJS", "renderer.cts", RENDERER, ["--module", "node16", ...electron]],
  ["the gate, an ES module", "gate.mts", GATE, ["--module", "nodenext", ...electron]],
  ["the gate, CommonJS", "gate.cts", GATE, ["--module", "node16", ...electron]],
  ["a bundled preload", "preload.ts", PRELOAD, page],
  ["a preload in CommonJS", "preload.cts", PRELOAD, ["--module", "node16", ...electron]],
  ["Electron, an ES module", "electron.mts", ELECTRON_MAIN, ["--module", "nodenext", ...electron]],
  ["Electron, CommonJS", "electron.cts", ELECTRON_MAIN, ["--module", "node16", ...electron]],
  ["Electron, bundled", "electron.ts", ELECTRON_MAIN, [...bundler, ...electron]],
  ["an ES module for Node", "esm.mts", NODE_CONSUMER, ["--module", "node16"]],
  ["CommonJS for Node", "cjs.cts", NODE_CONSUMER, ["--module", "node16"]],
  ["nodenext", "next.mts", NODE_CONSUMER, ["--module", "nodenext"]],
  ["a bundler for pages", "page.ts", CONSUMER, page],
  ["a bundler for Electron's main process", "main.ts", NODE_CONSUMER, bundler],
] as const) {
  test(`types for ${name}`, () => {
    writeFileSync(join(project, file), text);
    if (text === ELECTRON_MAIN) linkElectron();
    const forNode = options.includes("--types" as never)
      ? []
      : ["--lib", "es2022", "--types", "node"];
    const types = ["--typeRoots", join(packageFolder, "node_modules/@types")];
    run(
      process.execPath,
      [
        tsc,
        ...["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false"],
        ...["--target", "es2022", ...options, ...forNode, ...types, file],
      ],
      project,
    );
  });
}
