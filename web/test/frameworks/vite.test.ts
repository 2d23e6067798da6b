// Vite's templates, built as the docs say and used in a browser.
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { staticFiles } from "../../static-server.js";
import { newProject } from "./project.js";
import { type Block, readBlocks } from "./recipe.js";
import { openSite, type Site } from "./site.js";

const page = "frameworks.md";

/** The blocks that every example begins with: the package, and `src/license.ts`. */
async function beginning(): Promise<Block[]> {
  const blocks = await readBlocks(page);
  return blocks.filter(({ headings }) => headings.length === 1);
}

suite("Vite's templates", () => {
  let site: Site;

  before(async () => {
    site = await openSite();
  });
  after(() => site?.close());

  for (const { name, heading, content, main } of [
    { name: "react", heading: "Vite and React", content: "Get started" },
    { name: "vue", heading: "Vite and Vue", content: "Get started" },
    { name: "preact", heading: "Preact and Solid", content: "Get started", main: "src/main.tsx" },
    { name: "solid", heading: "Preact and Solid", content: "Get started", main: "src/index.tsx" },
  ]) {
    test(name, async (t) => {
      const project = await newProject();
      t.after(() => project.remove());
      await project.generate("create-vite", ".", "--template", `${name}-ts`, "--no-interactive");
      await project.install(name);
      const recipe = (await readBlocks(page, heading)).filter(
        ({ file }) => file !== undefined && (main === undefined || file === main),
      );
      const effort = await project.follow([...(await beginning()), ...recipe], site.values);
      t.diagnostic(JSON.stringify(effort));
      await project.run("npm", "run", "build");
      site.handle(staticFiles(join(project.folder, "dist")));
      await site.use(content);
    });
  }
});
