// The steps to try the generic helper from a checkout, followed word for word.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { promisify } from "node:util";
import { enter } from "../helpers/customer.js";
import { HelperBrowser } from "../helpers/extension-browser.js";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../../../..");

/** The commands of a make target, without its dependencies. */
async function recipe(target: string): Promise<string> {
  const makefile = await readFile(join(root, "Makefile"), "utf8");
  const [, lines] = new RegExp(`^${target}:.*\\n((?:\\t.*\\n)+)`, "m").exec(makefile) ?? [];
  return lines ?? assert.fail(`there is no make ${target}`);
}

test("the steps to try the generic helper end in a valid license", async (t) => {
  const helper = await readFile(join(root, "web/docs/helper.md"), "utf8");
  const [, part = ""] = /^### Try the generic helper\n(.*?)^### /ms.exec(helper) ?? [];
  const commands = [...part.matchAll(/Run `([^`]+)`/g)].map(([, command]) => command);
  assert.deepEqual(commands, [
    "make extension",
    "bin/whop-license-sidecar install-helper",
    "make launcher",
  ]);

  // In another folder, so that the checkout doesn't change.
  const folder = await mkdtemp(join(tmpdir(), "whop-license-steps-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  assert.match(await recipe("extension"), /^\t@node web\/extension\/build\.mjs extension /m);
  await run(process.execPath, [join(root, "web/extension/build.mjs"), join(folder, "extension")]);
  const [, unpacked = ""] = /choose the folder `([^`]+)`/.exec(part) ?? [];
  const browser = await HelperBrowser.start({ folder: join(folder, unpacked) });
  t.after(() => browser.close());

  const [program = "", ...args] = commands[1]?.split(" ") ?? [];
  await run(join(root, program), args, { env: browser.user.env });

  assert.match(await recipe("launcher"), /cd web && npm run --silent launcher$/m);
  const { scripts } = JSON.parse(await readFile(join(root, "web/package.json"), "utf8"));
  const [, script = ""] = /^node (\S+)$/.exec(scripts.launcher) ?? [];
  const launcher = spawn(process.execPath, [script], { cwd: join(root, "web") });
  t.after(async () => {
    launcher.kill();
    await once(launcher, "close");
  });
  const said: string[] = [];
  for await (const line of createInterface(launcher.stdout)) {
    said.push(line);
    if (/works, and is then bound/.test(line)) break;
  }
  const [address = ""] = said;
  const [key = ""] = said.at(-1)?.trim().split(" ") ?? [];
  assert.match(
    part,
    /without the `#` and what follows it\. Enter the first key, and press \*Allow\* in the window/,
  );
  const page = await browser.open(address.replace(/#.*/, ""));
  await browser.decide("Allow", () => enter(page, key));
  await page.getByRole("heading", { name: "Your license is valid" }).waitFor();
});
