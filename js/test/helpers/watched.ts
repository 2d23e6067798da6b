// A program in the real sidecar's place that can be watched and stopped.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { packageFolder, temporaryFolder } from "./support.js";

const windows = process.platform === "win32";
const folder = temporaryFolder();
const stops = join(folder, "stops");
mkdirSync(stops);
let files = 0;

/** The real sidecar's program. */
export const real = join(
  packageFolder,
  `node_modules/@whop-license/sidecar-${process.platform}-${process.arch}/bin`,
  `whop-license-sidecar${windows ? ".exe" : ""}`,
);

export interface Watched {
  path: string;
  /** The process ids under which it was started. */
  pids(): number[];
}

/** The real sidecar, which notes under which process ids it was started. */
export function watched(file = join(folder, `program-${++files}`)): Watched {
  const log = join(folder, `log-${++files}`);
  writeFileSync(log, "");
  const pids = () => readFileSync(log, "utf8").trim().split("\n").filter(Boolean).map(Number);
  if (!windows) {
    writeFileSync(file, `#!/bin/sh\necho $$ >> '${log}'\nexec '${real}'\n`);
    chmodSync(file, 0o755);
    return { path: file, pids };
  }
  return { path: standIn(file, { command: [real], log, stops }), pids };
}

/** A program in JavaScript. */
export function script(code: string, file = join(folder, `program-${++files}`)): string {
  if (windows) {
    writeFileSync(`${file}.cjs`, code);
    const log = join(folder, "scripts");
    writeFileSync(log, "");
    return standIn(file, { command: [process.execPath, `${file}.cjs`], log, stops });
  }
  writeFileSync(file, `#!${process.execPath}\n${code}`);
  chmodSync(file, 0o755);
  return file;
}

/** A program for Windows, which can't run scripts: it reads what to do. */
function standIn(
  file: string,
  settings: { command: string[]; log: string; stops: string },
): string {
  const path = `${file}.exe`;
  copyFileSync(builtStandIn(), path);
  writeFileSync(`${path}.json`, JSON.stringify(settings));
  return path;
}

/** stand-in.go as a program: the one that STAND_IN names, or a new one. */
function builtStandIn(): string {
  const program = process.env.STAND_IN ?? join(folder, "stand-in.exe");
  if (!process.env.STAND_IN) {
    const source = join(packageFolder, "test/helpers/stand-in.go");
    execFileSync("go", ["build", "-o", program, source], { stdio: "inherit" });
    process.env.STAND_IN = program;
  }
  return program;
}

/** Stops a process, and waits until all its threads have stopped: the signal alone may take effect after the next answer. */
export async function stop(pid: number): Promise<void> {
  if (windows) {
    writeFileSync(join(stops, `${pid}`), "");
    return;
  }
  process.kill(pid, "SIGSTOP");
  while (!states(pid).every((state) => state.startsWith("T"))) {
    await new Promise(setImmediate);
  }
}

/** Lets a stopped process continue. */
export function resume(pid: number): void {
  if (windows) rmSync(join(stops, `${pid}`));
  else process.kill(pid, "SIGCONT");
}

function states(pid: number): string[] {
  if (process.platform !== "linux") {
    return [execFileSync("ps", ["-o", "state=", "-p", `${pid}`], { encoding: "utf8" }).trim()];
  }
  // The state stands behind the program's name, which is in parentheses.
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2);
  });
}

/** Waits until a process has exited; the test's timeout is the limit. */
export async function ended(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    // A zombie, which this process or the system has not reaped yet.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
