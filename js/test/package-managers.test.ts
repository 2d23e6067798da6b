// Installed by name from a registry, by each package manager, without scripts.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { test } from "node:test";
import {
  consumers,
  emptyProject,
  npm,
  platformPackage,
  runBeside,
  tarball,
} from "./helpers/packed.js";
import { startRegistry } from "./helpers/registry.js";
import { packageFolder, temporaryFolder } from "./helpers/support.js";

const require = createRequire(import.meta.url);
const { machineIdSync } = require("node-machine-id") as typeof import("node-machine-id");

const registry = await startRegistry();
const { version } = tarball("whop-license").manifest;
const wanted = `whop-license@${version}`;
const other = { os: "win32", cpu: "arm64" };
const otherPackage = `@whop-license/sidecar-${other.os}-${other.cpu}`;

const node = process.execPath;
const bin = (path: string) => join(packageFolder, "node_modules", path);
const pnpm = [bin("pnpm/bin/pnpm.cjs")];
const yarn1 = [bin("yarn/bin/yarn.js"), "--ignore-scripts", "--non-interactive"];
const yarn = [bin("@yarnpkg/cli-dist/bin/yarn.js")];

interface Manager {
  name: string;
  add: string[];
  /** Runs a program; default: Node itself. */
  node?: string[];
  config?: Record<string, string>;
  /** Adds without optional dependencies, if the package manager supports it. */
  without?: string[];
  /** Adds for another platform, if the package manager supports it. */
  elsewhere?: { add?: string[]; config?: Record<string, string> };
}

const berry = (more = "") => `npmRegistryServer: "${registry.url}"
unsafeHttpWhitelist: ["127.0.0.1"]
enableScripts: false
enableTelemetry: false
enableGlobalCache: false
pnpEnableEsmLoader: true
${more}`;
const architectures = `supportedArchitectures:
  os: [${other.os}]
  cpu: [${other.cpu}]
`;

const npmAdd = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund"];
const managers: Manager[] = [
  {
    name: "npm",
    add: npmAdd,
    without: [...npmAdd, "--omit=optional"],
    elsewhere: { add: [...npmAdd, `--os=${other.os}`, `--cpu=${other.cpu}`] },
  },
  {
    name: "pnpm",
    add: [node, ...pnpm, "add", "--ignore-scripts"],
    without: [node, ...pnpm, "add", "--ignore-scripts", "--no-optional"],
    elsewhere: { config: { "pnpm-workspace.yaml": architectures } },
  },
  {
    name: "Yarn 1",
    add: [node, ...yarn1, "add"],
    without: [node, ...yarn1, "add", "--ignore-optional"],
  },
  {
    name: "Yarn with Plug'n'Play",
    add: [node, ...yarn, "add"],
    node: [node, ...yarn, "node"],
    config: { "yarn.lock": "", ".yarnrc.yml": berry() },
    elsewhere: { config: { "yarn.lock": "", ".yarnrc.yml": berry(architectures) } },
  },
  {
    name: "Yarn with node_modules",
    add: [node, ...yarn, "add"],
    config: { "yarn.lock": "", ".yarnrc.yml": berry("nodeLinker: node-modules\n") },
  },
];

/** Nothing from the user: no settings, no caches, no proxy. */
function environment(): Record<string, string> {
  const home = temporaryFolder();
  const path = [dirname(node), process.env.PATH].join(delimiter);
  return {
    ...{ PATH: path, HOME: home, USERPROFILE: home, XDG_CONFIG_HOME: home, XDG_DATA_HOME: home },
    ...{
      XDG_CACHE_HOME: home,
      YARN_GLOBAL_FOLDER: home,
      CI: "1",
      YARN_ENABLE_IMMUTABLE_INSTALLS: "0",
    },
    ...{ npm_config_cache: join(home, "cache"), npm_config_update_notifier: "false" },
  };
}

async function install(add: string[], config: Record<string, string> = {}) {
  const project = emptyProject({
    ".npmrc": `registry=${registry.url}/\n`,
    ...config,
    ...consumers,
  });
  const env = environment();
  const start = async ([command, ...args]: string[], ...more: string[]) =>
    runBeside(command as string, [...args, ...more], project, env);
  await start(add, wanted);
  return { sidecars: sidecarsIn(project), start };
}

/** The platforms' packages that have a program in the project. */
function sidecarsIn(project: string): string[] {
  const manifests = readdirSync(project, { recursive: true, encoding: "utf8" })
    .filter((name) => /bin[\\/]whop-license-sidecar(\.exe)?$/.test(name))
    // pnpm links the same package in several places.
    .map((name) => realpathSync(join(project, name, "../../package.json")));
  return [...new Set(manifests)].map((file) => JSON.parse(readFileSync(file, "utf8")).name);
}

for (const { name, add, node: runner = [node], config, without, elsewhere } of managers) {
  test(`${name}: both forms work, and no other platform's package is there`, async () => {
    const { sidecars, start } = await install(add, config);
    assert.deepEqual(sidecars, [platformPackage]);
    for (const file of Object.keys(consumers)) {
      assert.deepEqual(
        JSON.parse(await start(runner, file)),
        { version, id: machineIdSync(), membership: "mem_1", typed: true },
        file,
      );
    }
  });

  if (without) {
    test(`${name}: without optional dependencies`, async () => {
      const { sidecars, start } = await install(without, config);
      assert.deepEqual(sidecars, []);
      for (const file of Object.keys(consumers)) {
        const { code, message } = JSON.parse(await start(runner, file));
        assert.equal(code, "load_failed", message);
        assert.match(message, /is not installed.*--omit=optional or --no-optional/);
        assert.ok(message.includes(platformPackage));
      }
    });
  }

  if (elsewhere) {
    test(`${name}: for another platform`, async () => {
      const { sidecars } = await install(elsewhere.add ?? add, elsewhere.config ?? config);
      assert.deepEqual(sidecars, [otherPackage]);
    });
  }
}

test("npm: for a 32-bit app on Windows", async () => {
  const { sidecars } = await install([...npmAdd, "--os=win32", "--cpu=ia32"]);
  assert.deepEqual(sidecars, ["@whop-license/sidecar-win32-x64"]);
});

test("nothing else was requested from the registry", () => {
  assert.deepEqual(registry.unknown, []);
});
