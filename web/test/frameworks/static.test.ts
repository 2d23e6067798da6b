// Angular, Parcel and a page without either, built as the docs say and used in a browser.
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { staticFiles } from "../../static-server.js";
import { newProject, type Project } from "./project.js";
import { type Block, readBlocks } from "./recipe.js";
import { openSite, type Site } from "./site.js";

const page = "frameworks.md";

/** The blocks that every example begins with: the package, and `src/license.ts`. */
async function beginning(): Promise<Block[]> {
  return (await readBlocks(page)).filter(({ headings }) => headings.length === 1);
}

suite("templates that are built into files", () => {
  let site: Site;
  let project: Project;

  before(async () => {
    site = await openSite();
  });
  after(() => site?.close());

  async function newApp(t: test.TestContext): Promise<void> {
    project = await newProject();
    t.after(() => project.remove());
  }

  test("Angular", async (t) => {
    await newApp(t);
    const flags = ["--skip-install", "--skip-git", "--defaults", "--skip-tests"];
    await project.generate("ng", "new", "app", "--directory=.", "--ai-config=none", ...flags);
    await project.install("angular");
    const [install] = await beginning();
    const blocks = [...(install ? [install] : []), ...(await readBlocks(page, "Angular"))];
    t.diagnostic(JSON.stringify(await project.follow(blocks, site.values)));
    await project.run("npm", "run", "build");
    site.handle(staticFiles(join(project.folder, "dist/app/browser")));
    await site.use("Congratulations! Your app is running.");
  });

  test("Parcel", async (t) => {
    await newApp(t);
    await project.install("parcel");
    const blocks = [...(await beginning()), ...(await readBlocks(page, "Parcel"))];
    t.diagnostic(JSON.stringify(await project.follow(blocks, site.values)));
    await project.run("npm", "run", "build");
    site.handle(staticFiles(join(project.folder, "dist")));
    await site.use("What the customer paid for.");
  });

  test("no bundler", async (t) => {
    await newApp(t);
    await project.run("npm", "init", "--yes");
    const [install] = await beginning();
    const recipe = await readBlocks(page, "No framework, no bundler");
    const blocks = [...(install ? [install] : []), ...recipe];
    t.diagnostic(JSON.stringify(await project.follow(blocks, site.values)));
    site.handle(staticFiles(project.folder));
    await site.use("What the customer paid for.");
  });
});
