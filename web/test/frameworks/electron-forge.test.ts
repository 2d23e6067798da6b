// The docs' recipes in Electron Forge's templates.
import assert from "node:assert/strict";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { type Behind, startBehind } from "../electron/fixture.js";
import {
  electronArchive,
  inDevelopment,
  report,
  unarchive,
  useGate,
  valuesOf,
} from "./electron.js";
import { locks, newProject, type Project } from "./project.js";
import { readBlocks } from "./recipe.js";

const content = "Welcome to your Electron application.";

/** Forge's generator without its downloads: a template's own steps, in a folder that already has its packages. */
const generator = `
  const [name] = process.argv.slice(1);
  const template = require("@electron-forge/template-" + name).default;
  (async () => {
    for (const { task } of await template.initializeTemplate(process.cwd(), {})) await task();
    console.log(JSON.stringify(template.devDependencies));
  })();
`;

async function generate(project: Project, template: string): Promise<void> {
  const lock = `electron-forge-${template}`;
  const file = join(project.folder, "package.json");
  await copyFile(join(locks, lock, "package.json"), file);
  const { private: _, ...packages } = JSON.parse(await readFile(file, "utf8"));
  await project.install(lock);
  const wanted: string[] = JSON.parse(await project.run("node", "-e", generator, template));
  for (const dependency of wanted) {
    const [, name, version] = /^(.+)@(.+)$/.exec(dependency) ?? [];
    assert.equal(packages.devDependencies[name ?? ""], version, `${lock}: ${name}`);
  }
  const manifest = JSON.parse(await readFile(file, "utf8"));
  await writeFile(file, JSON.stringify({ ...manifest, ...packages }, null, 2));
}

for (const [template, heading] of [
  ["vite-typescript", "Vite"],
  ["webpack-typescript", "webpack"],
] as const) {
  suite(`Electron Forge's template ${template}`, () => {
    let behind: Behind;
    let project: Project;

    before(async () => {
      [behind, project] = await Promise.all([startBehind(), newProject()]);
      await generate(project, template);
    });
    after(() => Promise.all([behind?.stop(), project?.remove()]));

    test("follows the recipe, passes a type check and packs", async (t) => {
      const page = "electron-forge.md";
      const blocks = await readBlocks(page, "Packages");
      blocks.push(...(await readBlocks(page, heading)));
      report(t, template, await project.follow(blocks, valuesOf(behind)));
      await project.run("npx", "tsc", "--noEmit");
      // The recipe doesn't say where the packager finds Electron.
      const config = join(project.folder, "forge.config.ts");
      const text = await readFile(config, "utf8");
      const electronZipDir = JSON.stringify(await electronArchive(project));
      const packager = "packagerConfig: {";
      assert.ok(text.includes(packager));
      await writeFile(
        config,
        text.replace(packager, `${packager} electronZipDir: ${electronZipDir},`),
      );
      await project.run("npm", "run", "package");
    });

    test("works after packing", async () => {
      const out = join(project.folder, "out");
      const [packed = ""] = await readdir(out);
      const archive = join(out, packed, "resources/app.asar");
      await useGate({ behind, folder: await unarchive(project, archive), content });
    });

    test("works in development", async () => {
      await inDevelopment(project, ["npm", "start"], async () => {
        await useGate({ behind, folder: project.folder, content });
      });
    });
  });
}
