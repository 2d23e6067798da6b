// Importing the package on a server does nothing.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { makeProject, type Project } from "./helpers/project.js";

const entries = [
  "whop-license",
  "whop-license/element",
  "whop-license/helper",
  "whop-license/sidecar",
  "whop-license/electron/renderer",
];

// Reports the side effects of an import.
const probe = `
import childProcess from "node:child_process";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const done = [];
function watch(object, names, quiet = () => false) {
  for (const name of names) {
    const original = object[name];
    object[name] = (...args) => {
      if (!quiet(...args)) done.push(\`\${name} \${args[0]}\`);
      return original.apply(object, args);
    };
  }
}
// Node reads modules by these, too.
const isCode = (path) => /\\.([cm]?js|json)$/.test(String(path));
watch(fs, ["readFile", "readFileSync", "createReadStream"], isCode);
watch(fs.promises, ["readFile"], isCode);
watch(childProcess, ["spawn", "spawnSync", "exec", "execSync", "execFile", "execFileSync", "fork"]);
watch(globalThis, ["setTimeout", "setInterval", "setImmediate", "fetch"]);
syncBuiltinESMExports();

const names = () => Reflect.ownKeys(globalThis).map(String);
const before = new Set(names());
const listeners = process.eventNames().length;
const made = await import(process.argv[2]);
if (process.argv[3] === "misbehave") {
  globalThis.added = true;
  setTimeout(() => {}, 0);
  fs.readFileSync(process.execPath);
  childProcess.spawnSync("true");
}
done.push(...names().filter((name) => !before.has(name)).map((name) => \`global \${name}\`));
if (process.eventNames().length !== listeners) done.push("listeners of the process");
console.log(JSON.stringify({ exports: Object.keys(made).length, done }));
`;

suite("on a server, an import does nothing", () => {
  let project: Project;

  before(async () => {
    project = await makeProject("bundlers");
    await writeFile(join(project.folder, "probe.mjs"), probe);
  });
  after(() => project?.remove());

  async function imported(specifier: string, ...args: string[]) {
    const output = await project.run(process.execPath, "probe.mjs", specifier, ...args);
    return JSON.parse(output) as { exports: number; done: string[] };
  }

  for (const entry of entries) {
    test(entry, async () => {
      const { exports, done } = await imported(entry);
      assert.ok(exports > 0);
      assert.deepEqual(done, []);
    });
  }

  test("whop-license/electron/main needs electron, and does nothing outside of it", async () => {
    const entry = "whop-license/electron/main";
    await assert.rejects(imported(entry), /Cannot find package 'electron'/);
    // In Node, the package of that name is the path of a program.
    const stub = join(project.folder, "node_modules/electron");
    await mkdir(stub);
    await writeFile(join(stub, "index.js"), 'module.exports = "/somewhere/electron";\n');
    const { exports, done } = await imported(entry);
    assert.ok(exports > 0);
    assert.deepEqual(done, []);
  });

  for (const kind of ["external", "bundled"]) {
    test(`in Vite's build for servers, ${kind}`, async () => {
      const lines = entries.map((entry, i) => `export * as m${i} from "${entry}";`);
      await writeFile(join(project.folder, "src/server.js"), lines.join("\n"));
      const config = kind === "bundled" ? { ssr: { noExternal: true } } : {};
      const text = `export default ${JSON.stringify(config)};\n`;
      await writeFile(join(project.folder, "vite.server.js"), text);
      await project.run("vite", "build", "--config=vite.server.js", "--ssr=src/server.js");
      const built = await readFile(join(project.folder, "dist/server.js"), "utf8");
      assert.equal(/from ?"whop-license/.test(built), kind === "external");
      const { exports, done } = await imported("./dist/server.js");
      assert.equal(exports, entries.length);
      assert.deepEqual(done, []);
    });
  }

  test("the probe notices side effects", async () => {
    const { done } = await imported("whop-license", "misbehave");
    assert.deepEqual(done, [
      "setTimeout () => {}",
      `readFileSync ${process.execPath}`,
      "spawnSync true",
      "global added",
    ]);
  });
});
