import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitepress";
import { slug } from "./slug.mjs";

const repository = "https://github.com/whop-license/whop-license";
const icon = readFileSync(join(import.meta.dirname, "../../launcher/favicon.svg"), "utf8");

// Shows lines that are marked as added or removed. VitePress's own transformer doesn't
// remove the marks in JSX and in Svelte's markup.
const MARK = /\s*(?:\/\/|#|<!--|\{?\/\*)\s*\[!code (\+\+|--)\]\s*(?:-->|\*\/\}?)?\s*$/;
const diffMarks = {
  name: "diff-marks",
  preprocess(code) {
    const lines = code.split("\n");
    this.meta.marks = lines.map((line) => MARK.exec(line)?.[1]);
    return lines.map((line) => line.replace(MARK, "")).join("\n");
  },
  pre(node) {
    if (this.meta.marks.some(Boolean)) this.addClassToHast(node, "has-diff");
  },
  line(node, number) {
    const mark = this.meta.marks[number - 1];
    if (mark) this.addClassToHast(node, mark === "++" ? "diff add" : "diff remove");
  },
};

const page = (text, link) => ({ text, link });

export default defineConfig({
  lang: "en-US",
  title: "whop-license",
  description: "The license check for apps sold on Whop.",
  head: [["link", { rel: "icon", href: `data:image/svg+xml,${encodeURIComponent(icon)}` }]],
  markdown: { anchor: { slugify: slug }, codeTransformers: [diffMarks] },
  themeConfig: {
    search: { provider: "local" },
    outline: [2, 3],
    socialLinks: [{ icon: "github", link: repository }],
    editLink: { pattern: `${repository}/edit/main/web/docs/:path`, text: "Edit this page" },
    sidebar: [
      {
        text: "Use it",
        items: [
          page("Pages, workers and Node", "/javascript"),
          page("The gate", "/element"),
          page("Frameworks", "/frameworks"),
          page("Electron", "/electron"),
          page("Plain Electron and electron-builder", "/electron-plain"),
          page("electron-vite", "/electron-vite"),
          page("Electron Forge", "/electron-forge"),
          page("The sidecar", "/sidecar"),
          page("The sidecar's packages", "/packaging"),
          page("The browser helper", "/helper"),
          page("Verdicts and errors", "/errors"),
          page("Leases", "/leases"),
        ],
      },
      {
        text: "Run the gateway",
        items: [
          page("Deploying", "/deploying"),
          page("Hosting recipes", "/hosting"),
          page("Settings", "/settings"),
          page("Operating", "/operating"),
          page("How it works", "/gateway"),
          page("Moving from v2", "/v2"),
        ],
      },
      {
        text: "Help",
        items: [
          page("Troubleshooting", "/troubleshooting"),
          page("A customer can't get in", "/customers"),
        ],
      },
      {
        text: "Work on it",
        items: [page("Architecture", "/architecture"), page("Releasing", "/releasing")],
      },
    ],
  },
});
