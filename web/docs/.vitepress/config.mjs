import { readFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vitepress";
import { slug } from "./slug.mjs";

const repository = "https://github.com/whop-license/whop-license";
const icon = readFileSync(join(import.meta.dirname, "../../launcher/favicon.svg"), "utf8");

const page = (text, link) => ({ text, link });

export default defineConfig({
  lang: "en-US",
  title: "whop-license",
  description: "The license check for apps sold on Whop.",
  head: [["link", { rel: "icon", href: `data:image/svg+xml,${encodeURIComponent(icon)}` }]],
  markdown: { anchor: { slugify: slug } },
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
          page("Electron", "/electron"),
          page("electron-vite", "/electron-vite"),
          page("Electron Forge", "/electron-forge"),
          page("The sidecar", "/sidecar"),
          page("The sidecar's packages", "/packaging"),
          page("Verdicts and errors", "/errors"),
          page("Leases", "/leases"),
        ],
      },
      {
        text: "Run the gateway",
        items: [
          page("Deploying", "/deploying"),
          page("Settings", "/settings"),
          page("How it works", "/gateway"),
          page("Moving from v2", "/v2"),
        ],
      },
      { text: "Help", items: [page("Troubleshooting", "/troubleshooting")] },
      {
        text: "Work on it",
        items: [page("Architecture", "/architecture"), page("Releasing", "/releasing")],
      },
    ],
  },
});
