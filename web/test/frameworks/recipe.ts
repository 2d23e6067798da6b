// Reads the code blocks of a page of the docs, and applies them to a project as
// a reader of the page does. web/README.md says how such a page is written.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { createMarkdownRenderer } from "vitepress";

export const docs = join(import.meta.dirname, "../../../docs");

/** A fenced code block of a page. */
export interface Block {
  /** The page's file name, such as `electron.md`, and the line where the block begins. */
  page: string;
  line: number;
  /** The headings that the block is under, from the page's title down. */
  headings: string[];
  /** The first word of the info string, such as `ts`. */
  language: string;
  /** The file that the block is for, relative to the project's folder. */
  file: string | undefined;
  text: string;
}

/** The effort of following a recipe: edits or new files, and lines added and removed. */
export interface Effort {
  edits: number;
  added: number;
  removed: number;
}

/** Lists the blocks of a page in `web/docs`, or those under one of its headings. */
export async function readBlocks(page: string, heading?: string): Promise<Block[]> {
  const blocks = await parseBlocks(page, await readFile(join(docs, page), "utf8"));
  if (heading === undefined) return blocks;
  const under = blocks.filter(({ headings }) => headings.includes(heading));
  if (under.length === 0) throw new Error(`${page}: no code block is under "${heading}"`);
  return under;
}

/** Lists the code blocks of a page's Markdown, read by the parser that renders the docs. */
export async function parseBlocks(page: string, markdown: string): Promise<Block[]> {
  const parser = await createMarkdownRenderer(docs, { highlight: (text) => text });
  const tokens = parser.parse(markdown, {});
  const blocks: Block[] = [];
  const headings: string[] = [];
  for (const [i, { type, tag, info, map, content }] of tokens.entries()) {
    if (type === "heading_open") {
      const level = Number(tag.slice(1));
      headings.splice(level - 1);
      headings[level - 1] = tokens[i + 1]?.content.replace(/ *\{#[^}]*\}$/, "") ?? "";
    } else if (type === "fence") {
      blocks.push({
        page,
        line: (map?.[0] ?? 0) + 1,
        headings: headings.filter(Boolean),
        language: /^[\w-]*/.exec(info)?.[0] ?? "",
        file: /\[([^\]]+)\]/.exec(info)?.[1],
        text: content,
      });
    }
  }
  return blocks;
}

/** Writes or patches the file that a block is for. */
export async function applyBlock(folder: string, block: Block): Promise<Effort> {
  const { file, text } = block;
  if (file === undefined) throw complaint(block, "it names no file");
  const path = resolve(folder, file);
  if (relative(folder, path).split(sep)[0] === "..") {
    throw complaint(block, "the file is outside of the project");
  }
  const lines = text.replace(/\n$/, "").split("\n").map(readLine);
  if (lines.every(({ mark }) => mark === " ")) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    return { edits: 1, added: lines.length, removed: 0 };
  }
  const before = await readFile(path, "utf8").catch(() => {
    throw complaint(block, "the project has no such file");
  });
  await writeFile(path, patch(before, lines, block));
  return effortOf(lines);
}

interface Line {
  /** `+` is added, `-` is removed, ` ` must be there, `…` stands for any lines. */
  mark: "+" | "-" | " " | "…";
  text: string;
}

const MARK = /\s*(?:\/\/|#|<!--|\{?\/\*)\s*\[!code (\+\+|--)\]\s*(?:-->|\*\/\}?)?\s*$/;
const SKIP = /^\s*(?:\/\/|#|<!--|\{?\/\*)\s*…\s*(?:-->|\*\/\}?)?\s*$/;

function readLine(line: string): Line {
  if (SKIP.test(line)) return { mark: "…", text: "" };
  const mark = MARK.exec(line);
  if (!mark) return { mark: " ", text: line };
  return { mark: mark[1] === "++" ? "+" : "-", text: line.slice(0, mark.index) };
}

function patch(before: string, lines: Line[], block: Block): string {
  // Keep the file's line endings.
  const end = before.includes("\r\n") ? "\r\n" : "\n";
  const old = before.split(end);
  const result: string[] = [];
  let at = 0;
  const hunks = hunksOf(lines);
  for (const [i, hunk] of hunks.entries()) {
    const wanted = hunk.filter(({ mark }) => mark !== "+").map(({ text }) => text);
    const found = wanted.length > 0 ? find(old, wanted, at) : edgeOf(old, i, hunks.length);
    if (found === undefined) throw notFound(block, wanted);
    result.push(...old.slice(at, found));
    // Context stays as it is in the file, with its trailing spaces.
    let next = found;
    for (const { mark, text } of hunk) {
      if (mark === "+") result.push(text);
      else if (mark === "-") next++;
      else result.push(old[next++] ?? "");
    }
    at = next;
  }
  return [...result, ...old.slice(at)].join(end);
}

/** Splits the lines at those that stand for skipped lines. A part without lines is empty. */
function hunksOf(lines: Line[]): Line[][] {
  const hunks: Line[][] = [[]];
  for (const line of lines) {
    if (line.mark === "…") hunks.push([]);
    else hunks.at(-1)?.push(line);
  }
  return hunks;
}

/** Where `wanted` is in the file, from a line on. */
function find(old: string[], wanted: string[], from: number): number | undefined {
  for (let at = from; at + wanted.length <= old.length; at++) {
    if (wanted.every((text, i) => old[at + i]?.trimEnd() === text.trimEnd())) return at;
  }
  return undefined;
}

/** Where lines without context go: the file's beginning before the first "…", its end after the last one. */
function edgeOf(old: string[], hunk: number, hunks: number): number | undefined {
  if (hunk === 0 && hunks > 1) return 0;
  // The text ends with a line ending, after which there is an empty line.
  if (hunk > 0 && hunk === hunks - 1) return old.at(-1) === "" ? old.length - 1 : old.length;
  return undefined;
}

function effortOf(lines: Line[]): Effort {
  const effort = { edits: 0, added: 0, removed: 0 };
  let editing = false;
  for (const { mark } of lines) {
    const edits = mark === "+" || mark === "-";
    if (edits && !editing) effort.edits++;
    editing = edits;
    if (mark === "+") effort.added++;
    if (mark === "-") effort.removed++;
  }
  return effort;
}

/** An error that names the page, the block's line and its file. */
export function complaint({ page, line, file }: Block, problem: string): Error {
  return new Error(`${page}:${line}${file ? `: ${file}` : ""}: ${problem}`);
}

function notFound(block: Block, wanted: string[]): Error {
  if (wanted.length === 0) return complaint(block, "nothing says where its lines go");
  return complaint(block, `the file doesn't have these lines here:\n${wanted.join("\n")}`);
}
