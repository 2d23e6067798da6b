// A platform's package that is missing, or not as it was published.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { installed, platform, platformPackage, programFile } from "./helpers/packed.js";

const project = installed();
const folder = join(project, "node_modules", platformPackage);
const program = join(folder, programFile);
const kept = join(project, "kept");
copyFileSync(program, kept);

const REPLACED = /is not the program that this package was published with\. Install/;

const ASK = `
  machineId().then(
    ({ id }) => console.log(JSON.stringify({ id: id.length })),
    ({ name, code, message }) => console.log(JSON.stringify({ name, code, message })),
  );
`;
const asks = {
  "ask.mjs": `import { machineId } from "whop-license/sidecar"; SET ${ASK}`,
  "ask.cjs": `const { machineId } = require("whop-license/sidecar"); SET ${ASK}`,
};

interface Answer {
  id?: number;
  name?: string;
  code?: string;
  message?: string;
}

function ask(set = "", before = () => {}): Answer[] {
  return Object.entries(asks).map(([file, text]) => {
    before();
    writeFileSync(join(project, file), text.replace("SET", set));
    // In its own process group: a stray signal must end this test, not the whole run.
    const options = { cwd: project, detached: true, encoding: "utf8", timeout: 60_000 } as const;
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [file], options);
    assert.equal(signal ?? status, 0, `${file}: ${stdout}${stderr}`);
    return JSON.parse(stdout);
  });
}

function refused(message: RegExp, set?: string): void {
  for (const answer of ask(set)) {
    assert.equal(answer.name, "LicenseError", JSON.stringify(answer));
    assert.equal(answer.code, "load_failed");
    assert.match(answer.message as string, message);
  }
}

function restore(): void {
  rmSync(program, { force: true });
  copyFileSync(kept, program);
  chmodSync(program, 0o755);
  assert.deepEqual(ask(), [{ id: 64 }, { id: 64 }]);
}

const changes: [name: string, change: () => void, message: RegExp][] = [
  [
    "one byte changed",
    () => {
      const bytes = readFileSync(program);
      const at = bytes.length >> 1;
      bytes[at] = (bytes[at] as number) ^ 1;
      writeFileSync(program, bytes);
    },
    REPLACED,
  ],
  ["something appended", () => appendFileSync(program, "\0"), REPLACED],
  ["cut short", () => writeFileSync(program, readFileSync(kept).subarray(0, 4_096)), REPLACED],
  ["empty", () => writeFileSync(program, ""), REPLACED],
  ["Node itself in its place", () => copyFileSync(process.execPath, program), REPLACED],
  [
    "a script that asks the real one",
    () => writeFileSync(program, `#!/bin/sh\nexec '${kept}'\n`),
    REPLACED,
  ],
  [
    "the program gone",
    () => rmSync(program),
    new RegExp(
      `There is no sidecar for ${platform} .*antivirus.*install the app again.*sidecar-\\*`,
    ),
  ],
  ["not executable", () => chmodSync(program, 0o644), /may not be run/],
];
const scripts = { skip: process.platform === "win32" && "Windows runs no scripts" };
for (const [name, change, message] of changes) {
  const skip = name === "not executable" && process.platform === "win32";
  test(name, { skip: skip && "Windows runs every file" }, () => {
    try {
      change();
      refused(message);
    } finally {
      restore();
    }
  });
}

test("a program that is stripped, as rpmbuild does it", (t) => {
  const { error } = spawnSync("strip", ["--version"]);
  if (error || process.platform !== "linux") return t.skip("strip is not installed");
  try {
    assert.equal(spawnSync("strip", [program]).status, 0);
    assert.ok(!readFileSync(program).equals(readFileSync(kept)));
    assert.deepEqual(ask(), [{ id: 64 }, { id: 64 }]);
  } finally {
    restore();
  }
});

test("a program that replaces itself with the real one", scripts, () => {
  const script = `#!/bin/sh\ncp '${kept}' "$0.new"; mv "$0.new" "$0"; exec cat >/dev/null\n`;
  const change = () => {
    rmSync(program);
    writeFileSync(program, script, { mode: 0o755 });
  };
  try {
    for (const { code, message } of ask("", change)) {
      assert.equal(code, "load_failed");
      assert.match(message as string, REPLACED);
    }
  } finally {
    restore();
  }
});

test("the package is not installed", () => {
  const aside = join(project, "aside");
  renameSync(folder, aside);
  try {
    refused(
      new RegExp(
        `${platformPackage} is not installed.*--omit=optional.*--os.*Architectures.*lock file`,
      ),
    );
  } finally {
    renameSync(aside, folder);
  }
});

test("a platform that has no package", () => {
  for (const [name, value] of [
    ["platform", "freebsd"],
    ["arch", "ia32"],
  ] as const) {
    const set = `Object.defineProperty(process, "${name}", { value: "${value}" });`;
    refused(new RegExp(`There is no sidecar for .*${value}.*WHOP_LICENSE_SIDECAR`), set);
  }
});

test("a 32-bit app on Windows takes the 64-bit program", () => {
  const set =
    'Object.defineProperties(process, { platform: { value: "win32" }, arch: { value: "ia32" } });';
  refused(/The package @whop-license\/sidecar-win32-x64 is not installed/, set);
});

test("the seller may use any program", scripts, () => {
  const own = join(project, "own.sh");
  writeFileSync(own, `#!/bin/sh\nexec '${kept}'\n`);
  chmodSync(own, 0o755);
  const set = `process.env.WHOP_LICENSE_SIDECAR = ${JSON.stringify(own)};`;
  assert.deepEqual(ask(set), [{ id: 64 }, { id: 64 }]);
});
