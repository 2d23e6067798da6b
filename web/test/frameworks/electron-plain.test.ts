// The docs' recipe in an app without a bundler, in the form of Electron's quick
// start, packed by electron-builder with its settings in package.json.
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { type Behind, startBehind } from "../electron/fixture.js";
import { electronFolder, report, unarchive, useGate, valuesOf } from "./electron.js";
import { locks, newProject, type Project } from "./project.js";
import { readBlocks } from "./recipe.js";

const page = "electron-plain.md";
const content = "known to the preload:";

suite("a plain Electron app", () => {
  let behind: Behind;
  let project: Project;

  before(async () => {
    [behind, project] = await Promise.all([startBehind(), newProject()]);
    await cp(join(locks, "../electron-plain"), project.folder, { recursive: true });
    await project.install("electron-plain");
  });
  after(() => Promise.all([behind?.stop(), project?.remove()]));

  test("follows the recipe and works unpacked", async (t) => {
    const blocks = await readBlocks(page, "The app");
    report(t, "plain", await project.follow(blocks, valuesOf(behind)));
    await useGate({ behind, folder: project.folder, content });
  });

  test("works after electron-builder has packed it", async (t) => {
    report(t, "electron-builder", await project.follow(await readBlocks(page, "electron-builder")));
    const dist = await electronFolder(project);
    // Without electron-builder's own search for programs, because the recipe's line must be enough.
    const settings = [`--config.electronDist=${dist}`, "--config.asar.smartUnpack=false"];
    await project.run("npm", "run", "pack", "--", ...settings);
    const archive = join(project.folder, "dist/linux-unpacked/resources/app.asar");
    await useGate({ behind, folder: await unarchive(project, archive), content });
  });
});
