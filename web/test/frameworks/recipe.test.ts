// The recipe reader, with its own pages and projects.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { newProject, type Project } from "./project.js";
import { applyBlock, type Block, parseBlocks, readBlocks } from "./recipe.js";

const fence = (info: string, ...lines: string[]): string =>
  ["```".concat(info), ...lines, "```", ""].join("\n");

const block = (file: string | undefined, ...lines: string[]): Block => ({
  page: "page.md",
  line: 7,
  headings: ["Page"],
  language: file === undefined ? "sh" : "ts",
  file,
  text: `${lines.join("\n")}\n`,
});

suite("recipes", () => {
  let project: Project;

  before(async () => {
    project = await newProject();
  });
  after(() => project?.remove());

  const read = (file: string): Promise<string> => readFile(join(project.folder, file), "utf8");

  async function patched(file: string, text: string, ...lines: string[]): Promise<string> {
    await mkdir(dirname(join(project.folder, file)), { recursive: true });
    await writeFile(join(project.folder, file), text);
    await applyBlock(project.folder, block(file, ...lines));
    return read(file);
  }

  test("a block has its language, its file, and the headings that it is under", async () => {
    const page = [
      "# Page",
      fence("sh", "npm install"),
      "## With `Vite` {#vite}",
      "::: code-group",
      fence("ts{2}:line-numbers [src/main.ts]", "const a = 1;", "\tb();"),
      ":::",
      "## Other",
      "1. In a list:",
      "   ```json",
      "   {}",
      "   ```",
    ].join("\n");
    const blocks = await parseBlocks("page.md", page);
    assert.deepEqual(
      blocks.map(({ line, headings, language, file, text }) => [
        ...[line, headings.join(" > "), language, file, text],
      ]),
      [
        [2, "Page", "sh", undefined, "npm install\n"],
        [8, "Page > With `Vite`", "ts", "src/main.ts", "const a = 1;\n\tb();\n"],
        [16, "Page > Other", "json", undefined, "{}\n"],
      ],
    );
  });

  test("a heading without a block is an error", async () => {
    await assert.rejects(readBlocks("electron.md", "No such heading"), {
      message: 'electron.md: no code block is under "No such heading"',
    });
  });

  test("a block without marks is the whole file", async () => {
    const effort = await applyBlock(project.folder, block("src/new/a.ts", "one", "two"));
    assert.deepEqual(effort, { edits: 1, added: 2, removed: 0 });
    assert.equal(await read("src/new/a.ts"), "one\ntwo\n");
  });

  test("a patch adds and removes lines next to their context", async () => {
    const text = "a\nb\nc\nd\nb\nc\ne\n";
    const lines = ["b", "x // [!code ++]", "c", "// …", "c // [!code --]", "y // [!code ++]", "e"];
    assert.equal(await patched("a.ts", text, ...lines), "a\nb\nx\nc\nd\nb\ny\ne\n");
  });

  test("edits and lines are counted", async () => {
    await writeFile(join(project.folder, "count.ts"), "a\nb\nc\n");
    const lines = ["a // [!code --]", "b", "1 // [!code ++]", "2 // [!code ++]", "c"];
    assert.deepEqual(await applyBlock(project.folder, block("count.ts", ...lines)), {
      edits: 2,
      added: 2,
      removed: 1,
    });
  });

  test("lines without context go to the file's beginning and to its end", async () => {
    const lines = ["first // [!code ++]", "// …", "last // [!code ++]"];
    assert.equal(await patched("ends.ts", "a\nb\n", ...lines), "first\na\nb\nlast\n");
    const only = block("ends.ts", "x // [!code ++]");
    await assert.rejects(applyBlock(project.folder, only), {
      message: "page.md:7: ends.ts: nothing says where its lines go",
    });
  });

  test("each language's comments hold marks", async () => {
    for (const mark of [
      "// [!code ++]",
      "# [!code ++]",
      "<!-- [!code ++] -->",
      "/* [!code ++] */",
      "{/* [!code ++] */}",
    ]) {
      assert.equal(await patched("marks", "a\nb\n", "a", `x ${mark}`, "b"), "a\nx\nb\n", mark);
      const skip = mark.replace("[!code ++]", "…");
      const lines = ["x // [!code ++]", "a", `  ${skip}`, "c", "y // [!code ++]"];
      assert.equal(await patched("marks", "a\nb\nc\n", ...lines), "x\na\nb\nc\ny\n", skip);
    }
  });

  test("the file's own line endings and trailing spaces stay", async () => {
    const lines = ["a", "x // [!code ++]", "b"];
    assert.equal(await patched("crlf.ts", "a \r\nb\r\n", ...lines), "a \r\nx\r\nb\r\n");
  });

  test("lines that the file doesn't have here name the page, the block and the file", async () => {
    const missing = ["a", "z", "x // [!code ++]"];
    await assert.rejects(patched("b.ts", "a\nb\n", ...missing), {
      message: "page.md:7: b.ts: the file doesn't have these lines here:\na\nz",
    });
    const backwards = ["b", "x // [!code ++]", "// …", "a"];
    await assert.rejects(patched("b.ts", "a\nb\n", ...backwards), {
      message: "page.md:7: b.ts: the file doesn't have these lines here:\na",
    });
    assert.equal(await read("b.ts"), "a\nb\n");
  });

  test("a patch of a file that isn't there, and a file elsewhere, are errors", async () => {
    const lines = ["a", "x // [!code ++]"];
    await assert.rejects(applyBlock(project.folder, block("none.ts", ...lines)), {
      message: "page.md:7: none.ts: the project has no such file",
    });
    await assert.rejects(applyBlock(project.folder, block("../out.ts", "a")), {
      message: "page.md:7: ../out.ts: the file is outside of the project",
    });
  });

  test("following a recipe installs the packed packages, and puts values in", async () => {
    await project.run("npm", "init", "--yes");
    const blocks = [
      block(undefined, "npm install whop-license", "echo done > done.txt"),
      block("config.ts", 'const endpoint = "https://license.example.com";'),
    ];
    const effort = await project.follow(blocks, { "https://license.example.com": "http://[::1]" });
    assert.deepEqual(effort, { edits: 1, added: 1, removed: 0 });
    assert.equal(await read("done.txt"), "done\n");
    assert.equal(await read("config.ts"), 'const endpoint = "http://[::1]";\n');
    const { dependencies } = JSON.parse(await read("package.json"));
    const sidecar = `@whop-license/sidecar-${process.platform}-${process.arch}`;
    assert.deepEqual(Object.keys(dependencies).sort(), [sidecar, "whop-license"]);
    assert.match(dependencies["whop-license"], /^file:/);
    await assert.rejects(project.follow(blocks, { "YOUR-KEY": "a" }), {
      message: "page.md: no block of the recipe says YOUR-KEY",
    });
  });

  test("a command that fails, and a block that is neither a file nor a command, are errors", async () => {
    await assert.rejects(project.follow([block(undefined, "false", "true")]), /Command failed/);
    await assert.rejects(project.follow([{ ...block(undefined, "a"), language: "js" }]), {
      message: "page.md:7: is neither a file nor commands",
    });
  });
});
