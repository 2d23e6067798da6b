// Which parts of the package end up in a bundle.
import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { makeProject, type Project } from "../helpers/project.js";

suite("what is bundled", () => {
  let project: Project;

  before(async () => {
    project = await makeProject("bundlers", ["esbuild", "@rollup/plugin-node-resolve"]);
    // One entry that is never read.
    await writeFile(join(project.folder, "src/worker.js"), "postMessage(0);\n");
  });
  after(() => project?.remove());

  /** All code that a bundler makes from an entry, and the names of its other files. */
  async function bundle(bundler: string, entry: string): Promise<string> {
    const dist = join(project.folder, "dist");
    await rm(dist, { recursive: true, force: true });
    await writeFile(join(project.folder, "src/main.js"), entry);
    await project.run("npm", "run", "--silent", bundler);
    const names = await readdir(dist, { recursive: true });
    const code = names.filter((name) => name.endsWith(".js"));
    assert.ok(code.length > 0);
    const texts = await Promise.all(code.map((name) => readFile(join(dist, name), "utf8")));
    return [...texts, ...names.filter((name) => !code.includes(name))].join("\n");
  }

  for (const bundler of ["vite", "webpack", "esbuild", "rollup"]) {
    test(`${bundler} leaves out what isn't used`, async () => {
      const withValidator = await bundle(
        bundler,
        `import { loadValidator } from "whop-license";
        loadValidator({ endpoint: "https://license.example.com" });`,
      );
      assert.match(withValidator, /_scheduledTimeouts/, "Go's support code");
      assert.doesNotMatch(withValidator, /whop-license-gate/);

      const withElement = await bundle(bundler, `import "whop-license/element";`);
      assert.match(withElement, /whop-license-gate/);
      assert.doesNotMatch(withElement, /_scheduledTimeouts/);

      const errorsOnly = await bundle(
        bundler,
        `import { LicenseError } from "whop-license";
        console.log(new LicenseError("timeout", "No answer.").code);`,
      );
      assert.match(errorsOnly, /LicenseError/);
      assert.doesNotMatch(errorsOnly, /_scheduledTimeouts|whop-license-gate|WebAssembly/);
      // The others still emit the file, but no page loads it.
      if (bundler === "webpack") assert.doesNotMatch(errorsOnly, /\.wasm/);
    });
  }
});
