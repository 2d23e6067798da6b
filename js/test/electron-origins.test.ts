// Which pages an Electron app's license host answers.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { isListed, notListed, readOrigins } from "../dist/electron/origins.js";
import { revokedProxy } from "./helpers/support.js";

const folder = process.platform === "win32" ? "C:\\apps\\my-app" : "/apps/my-app";
const file = (...parts: string[]) => pathToFileURL(join(folder, ...parts)).href;

test("origins that can be an app's own", () => {
  for (const origin of [
    ...["app://my-app", "APP://my-app", "my.scheme-1://x", "file://"],
    ...["https://app.example.com", "https://app.example.com:8443"],
    ...["http://localhost:5173", "http://127.0.0.1:5173", "http://[::1]:5173", "http://localhost"],
  ]) {
    assert.doesNotThrow(() => readOrigins([origin]), origin);
  }
});

test("origins that can't be an app's own", () => {
  const sparse: unknown[] = [];
  sparse.length = 2;
  for (const origins of [
    ...[
      undefined,
      null,
      new Set(["app://my-app"]),
      {},
      [],
      [undefined],
      [1],
      [null],
      [["app://my-app"]],
    ],
    ...[sparse, new Array(101).fill("app://x"), revokedProxy()],
    ...["", "*", "app", "app:", "app://", "app://*", "my-app", "null", "//my-app"].map((o) => [o]),
    ...["app://my-app/", "app://my-app/page", "app://my-app?x", "app://my-app#x"].map((o) => [o]),
    ...["https://user@example.com", "https://example.com/", " https://example.com"].map((o) => [o]),
    ...[
      "http://example.com",
      "http://127.0.0.1.example.com",
      "http://localhost.",
      "http://0.0.0.0",
    ],
    ...["file:///", "file:///apps", "file://server", "data:text/html,x", "blob:app://my-app/1"],
    ...["about:blank", "javascript:alert(1)", "chrome-extension://abc", "devtools://devtools"],
    ...["ws://localhost", "ftp://example.com", "https://example.com:443"],
  ].map((o) => (typeof o === "string" ? [o] : o))) {
    assert.throws(
      () => readOrigins(origins),
      (thrown: Error & { code?: string }) =>
        thrown.code === "invalid_argument" && /^origins: /.test(thrown.message),
      inspect(origins).slice(0, 100),
    );
  }
});

const cases: [origins: string[], url: string, origin: string | undefined, listed: boolean][] = [
  [["app://my-app"], "app://my-app/index.html?x#y", "app://my-app", true],
  [["app://my-app"], "app://MY-APP/", "app://my-app", true],
  [["app://my-app"], "app://my-app/", undefined, true],
  [["app://my-app"], "app://my-app.evil/", "app://my-app.evil", false],
  [["app://my-app"], "app://evil/my-app", "app://evil", false],
  [["app://my-app"], "app://my-app@evil/", "app://evil", false],
  [["app://my-app"], "app://my-app:80/", "app://my-app:80", false],
  [["app://my-app"], "apps://my-app/", "apps://my-app", false],
  [["app://my-app"], "https://my-app/", "https://my-app", false],
  // Its address is listed, but a policy has sandboxed it, or its scheme has no origins.
  [["app://my-app"], "app://my-app/", "null", false],
  // It has inherited the origin, but is another document.
  [["app://my-app"], "about:blank", "app://my-app", false],
  [["app://my-app"], "blob:app://my-app/1", "app://my-app", false],
  [["app://my-app"], "data:text/html,x", "null", false],
  [["app://my-app"], "", "", false],
  [["app://my-app"], "not a URL", "app://my-app", false],
  [["http://localhost:5173"], "http://localhost:5173/", "http://localhost:5173", true],
  [["http://localhost:5173"], "http://localhost:5174/", "http://localhost:5174", false],
  [["https://example.com"], "https://example.com:443/x", "https://example.com", true],
  [["app://my-app"], file("index.html"), "file://", false],
  [["file://"], file("index.html"), "file://", true],
  [["file://"], `${file("deep", "index.html")}?x#y`, "file://", true],
  [["file://"], file("index.html"), "null", false],
  [["file://"], file("..", "other", "index.html"), "file://", false],
  [["file://"], `${file()}/../my-app-2/index.html`, "file://", false],
  [["file://"], `${file()}/%2e%2e/other/index.html`, "file://", false],
  [["file://"], `${file()}/..%2fother/index.html`, "file://", false],
  [["file://"], `${file()}-2/index.html`, "file://", false],
  [["file://"], file(), "file://", false],
  [["file://"], `${file("..foo", "index.html")}`, "file://", true],
  [["file://"], "app://my-app/", "app://my-app", false],
];
for (const [origins, url, origin, listed] of cases) {
  test(`${origins} ${listed ? "lists" : "does not list"} ${url} of ${origin}`, () => {
    assert.equal(isListed(readOrigins(origins), url, origin, folder), listed);
  });
}

test("a page that is not listed is told where it comes from, and what is listed", () => {
  const many = Array.from({ length: 12 }, (_, i) => `app://page-${i}`);
  for (const [origins, url, origin, message] of [
    [
      ["app://my-app", "http://localhost:5173"],
      "http://localhost:5174/x?secret",
      "http://localhost:5174",
      "its origin http://localhost:5174 is not in `origins` (app://my-app, http://localhost:5173)",
    ],
    [["file://"], "app://x/", undefined, "its origin app://x is not in `origins` (file://)"],
    [["app://x"], file("x"), "file://", "its origin file:// is not in `origins` (app://x)"],
    [
      ["file://"],
      file("..", "x"),
      "file://",
      "its file is not in the app's folder, and so not in `origins` (file://)",
    ],
    [
      ["app://x"],
      "app://x/",
      "null",
      "its address (app://x) and its origin (null) differ, and so it is not in `origins` (app://x)",
    ],
    [["app://x"], "about:blank", undefined, "its origin about: is not in `origins` (app://x)"],
    [["app://x"], "", undefined, "its origin none is not in `origins` (app://x)"],
    [
      many,
      `app://${"y".repeat(200)}/`,
      undefined,
      `its origin app://${"y".repeat(94)}… is not in \`origins\` (${many.slice(0, 10).join(", ")}, …)`,
    ],
  ] as const) {
    assert.equal(notListed(readOrigins(origins), url, origin), message);
  }
});

test("files that are unpacked from an archive are the app's own", () => {
  const files = readOrigins(["file://"]);
  const archive = join(folder, "app.asar");
  for (const [path, listed] of [
    [["app.asar", "index.html"], true],
    [["app.asar.unpacked", "index.html"], true],
    [["app.asar.unpacked-by-others", "index.html"], false],
    [["index.html"], false],
  ] as const) {
    assert.equal(isListed(files, file(...path), "file://", archive), listed, path.join("/"));
  }
  assert.equal(isListed(files, file("..", "my-app.unpacked", "x"), "file://", folder), false);
});
