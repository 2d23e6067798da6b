// Checks the links in every Markdown file of the repository, and in the gateway's alerts
// and dashboard: the linked file must exist, and have the linked heading. Links to other
// sites are not checked, except those to this repository on GitHub.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";
import { slug } from "./docs/.vitepress/slug.mjs";

const root = new URL("..", import.meta.url);
const listed = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
});
const files = new Set(listed.trim().split("\n"));
const site = "web/docs/";
const onGitHub = /^https:\/\/github\.com\/whop-license\/whop-license\/(?:blob|tree|edit)\/main\//;

const read = (file) => readFileSync(new URL(file, root), "utf8");
const fenced = /^( *)(`{3,})[^\n]*\n[\s\S]*?^\1\2 *$/gm;

function anchors(file) {
  const seen = new Map();
  const headings = read(file)
    .replace(fenced, "")
    .matchAll(/^#{1,6} +(.+?) *#*$/gm);
  return new Set(
    Array.from(headings, ([, heading]) => {
      const anchor = slug(heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1"));
      const before = seen.get(anchor) ?? 0;
      seen.set(anchor, before + 1);
      return before ? `${anchor}-${before}` : anchor;
    }),
  );
}

function targets(file) {
  const text = read(file)
    .replace(fenced, "")
    .replace(/`[^`\n]*`/g, "");
  const patterns = [
    /\]\(<?([^()\s>]+)>?\)/g,
    /^\[[^\]]+\]: +(\S+)/gm,
    /\b(?:href|src|srcset)="([^"\s]+)"/g,
    /^ *(?:- *)?(?:link|light|dark|src): +(\/\S*)$/gm, // of the site's first page
    /^ *(?:runbook_url: +|"url": ")([^"\s]+)/gm, // of the alerts and the dashboard
  ];
  return patterns.flatMap((pattern) => Array.from(text.matchAll(pattern), ([, target]) => target));
}

/** The linked file, as a path from the root; undefined if it is on another site. */
function fileOf(target, file) {
  const path = decodeURI(target.split("#")[0]);
  if (onGitHub.test(path)) return path.replace(onGitHub, "");
  if (/^[a-z][a-z0-9+.-]*:/i.test(path)) return undefined;
  if (path === "") return file;
  if (!path.startsWith("/")) return join(dirname(file), path);
  const page = `${site}${path.slice(1) || "index"}.md`;
  return files.has(page) ? page : `${site}public${path}`;
}

const exists = (path) => files.has(path) || [...files].some((f) => f.startsWith(`${path}/`));

let dead = 0;
function complain(file, target, why) {
  dead++;
  console.error(`${file}: ${target}: ${why}`);
}

const pages = [...files].filter((file) => /\.md$|^native\/gateway\/monitoring\//.test(file));
for (const file of pages) {
  for (const target of targets(file)) {
    const path = fileOf(target, file)?.replace(/\/$/, "");
    if (path === undefined) continue;
    const anchor = target.split("#")[1];
    if (!exists(path)) complain(file, target, "there is no such file");
    else if (anchor && path.endsWith(".md") && !anchors(path).has(anchor)) {
      complain(file, target, "there is no such heading");
    }
  }
}
if (dead > 0) process.exit(1);
console.log(`The links of ${pages.length} files are good.`);
