// The docs' recipe in the templates of electron-vite's generator.
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { type Behind, startBehind } from "../electron/fixture.js";
import {
  electronFolder,
  inDevelopment,
  moveUp,
  report,
  unarchive,
  useGate,
  valuesOf,
} from "./electron.js";
import { newProject, type Project } from "./project.js";
import { readBlocks } from "./recipe.js";

const generator = "@quick-start/create-electron@1.0.30";
const content = "Powered by electron-vite";

for (const [template, heading] of [
  ["react-ts", "React"],
  ["vue-ts", "Vue"],
] as const) {
  suite(`electron-vite's template ${template}`, () => {
    let behind: Behind;
    let project: Project;

    before(async () => {
      [behind, project] = await Promise.all([startBehind(), newProject()]);
      await project.run("npx", "--yes", generator, "my-app", `--template=${template}`, "--skip");
      await moveUp(project, "my-app");
      await project.install(`electron-vite-${template}`);
    });
    after(() => Promise.all([behind?.stop(), project?.remove()]));

    test("follows the recipe, passes its type check, builds and packs", async (t) => {
      const page = "electron-vite.md";
      const everywhere = await readBlocks(page, "Main process, preload and packaging");
      const blocks = [...everywhere, ...(await readBlocks(page, heading))];
      report(t, template, await project.follow(blocks, valuesOf(behind)));
      const dist = await electronFolder(project);
      // Without electron-builder's own search for programs, because the recipe's line must be enough.
      const settings = [`--config.electronDist=${dist}`, "--config.asar.smartUnpack=false"];
      await project.run("npm", "run", "build:unpack", "--", ...settings);
    });

    test("works after packing", async () => {
      const archive = join(project.folder, "dist/linux-unpacked/resources/app.asar");
      await useGate({ behind, folder: await unarchive(project, archive), content });
    });

    test("works in development", async () => {
      await inDevelopment(project, ["npm", "run", "dev"], async (output) => {
        const url = /started in .* for (\S+);/.exec(output)?.[1] ?? "";
        const env = { ELECTRON_RENDERER_URL: url };
        await useGate({ behind, folder: project.folder, content, env });
      });
    });
  });
}
