// SvelteKit's and Next's templates, built as the docs say, run by their own
// servers and used in a browser.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { sampleKeys } from "../../servers.js";
import { newProject } from "./project.js";
import { type Block, readBlocks } from "./recipe.js";
import { openSite, passTo, type Site, startServer } from "./site.js";

const page = "frameworks.md";

/** The blocks with which every example begins, with the file in this framework's place. */
async function beginning(file: string): Promise<Block[]> {
  const blocks = (await readBlocks(page)).filter(({ headings }) => headings.length === 1);
  return blocks.map((block) => ({ ...block, file: block.file && file }));
}

suite("templates with a server", () => {
  let site: Site;

  before(async () => {
    site = await openSite();
  });
  after(() => site?.close());

  test("SvelteKit", async (t) => {
    const project = await newProject();
    t.after(() => project.remove());
    const flags = ["--no-add-ons", "--no-install", "--no-dir-check", "--no-download-check"];
    await project.generate("sv", "create", ".", "--template=minimal", "--types=ts", ...flags);
    await project.install("sveltekit");
    const recipe = await readBlocks(page, "SvelteKit");
    const blocks = [...(await beginning("src/lib/license.ts")), ...recipe];
    t.diagnostic(JSON.stringify(await project.follow(blocks, site.values)));
    await project.run("npm", "run", "check");
    await project.run("npm", "run", "build");
    const preview = ["npm", "run", "preview", "--", "--host=127.0.0.1", "--port=0"];
    const server = await startServer(project, ...preview);
    t.after(() => server.stop());
    site.handle(passTo(server.url));
    await site.use("Welcome to SvelteKit");
  });

  test("Next", async (t) => {
    const project = await newProject();
    t.after(() => project.remove());
    // The template with content uses Google's fonts, which every build downloads.
    const flags = ["--ts", "--app", "--empty", "--no-tailwind", "--no-eslint", "--no-src-dir"];
    const more = ["--import-alias=@/*", "--no-react-compiler", "--no-agents-md", "--disable-git"];
    await project.generate("create-next-app", "new", ...flags, ...more, "--skip-install");
    await project.run("sh", "-c", "mv new/.[!.]* new/* .");
    await project.install("next");
    const recipe = await readBlocks(page, "Next");
    const blocks = [...(await beginning("license.ts")), ...recipe];
    t.diagnostic(JSON.stringify(await project.follow(blocks, site.values)));
    await project.run("npm", "run", "build");
    const start = ["npm", "run", "start", "--", "--hostname=127.0.0.1", "--port=0"];
    const server = await startServer(project, ...start);
    t.after(() => server.stop());
    site.handle(passTo(server.url));
    await site.use("Hello world!");
    const ask = async (licenseKey: string): Promise<unknown> => {
      const body = JSON.stringify({ licenseKey, machineId: "a browser" });
      const response = await fetch(new URL("/content", server.url), { method: "POST", body });
      return response.json();
    };
    assert.deepEqual(await ask(sampleKeys.good), { content: "What the customer paid for." });
    assert.deepEqual(await ask(sampleKeys.unknown), { code: "not_found" });
    assert.deepEqual(await ask(""), { code: "invalid_argument" });
  });
});
