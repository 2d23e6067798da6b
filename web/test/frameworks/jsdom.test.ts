// The package in its users' tests: in jsdom, whose objects come from another
// realm than Node's, under Vitest and Jest.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import {
  makeSigningKey,
  type Servers,
  type SigningKey,
  sampleKeys,
  startServers,
} from "../../servers.js";
import { newProject, packages } from "./project.js";

/** The same test for both, except for how it is loaded. */
const body = `
const endpoint = process.env.ENDPOINT;
const publicKey = process.env.PUBLIC_KEY;
const [good, unknown] = process.env.KEYS.split(" ");

test("a check is answered, with a proof", async () => {
  expect(globalThis.window.navigator.userAgent).toMatch(/jsdom/);
  const { validateLicense } = await loadValidator({ endpoint, publicKey, leases: "local" });
  const verdict = await validateLicense(good, "a browser");
  expect(verdict.code).toBe("valid");
  expect(verdict.source).toBe("server");
  expect((await validateLicense(unknown, "a browser")).code).toBe("not_found");
});

test("a server that can't be reached is a typed error", async () => {
  const { validateLicense } = await loadValidator({ endpoint: "http://127.0.0.1:9", publicKey });
  const error = await validateLicense(good, "a browser", { maxAttempts: 1 }).catch((e) => e);
  expect(error).toBeInstanceOf(LicenseError);
  expect(error.code).toBe("unavailable");
});

test("the gate opens", async () => {
  const gate = document.createElement("whop-license-gate");
  gate.machineId = "a browser";
  gate.validator = () => loadValidator({ endpoint, publicKey });
  const valid = new Promise((done) => gate.addEventListener("whop-license-valid", done));
  document.body.append(gate);
  gate.shadowRoot.querySelector("input").value = good;
  gate.shadowRoot.querySelector("button[type=submit]").click();
  await valid;
  expect(gate.state).toBe("open");
});
`;

suite("jsdom", () => {
  let servers: Servers;
  let signing: SigningKey;
  let given: Record<string, string>;

  before(async () => {
    signing = await makeSigningKey();
    servers = await startServers({
      // Of the pages that the two runners make of a test.
      origins: ["http://localhost", "http://localhost:3000"],
      gatewayArgs: [`--signing-key=${signing.file}`],
    });
    given = {
      ENDPOINT: servers.endpoint,
      PUBLIC_KEY: signing.publicKey,
      KEYS: `${sampleKeys.good} ${sampleKeys.unknown}`,
    };
  });
  after(() => Promise.all([servers?.stop(), signing?.remove()]));

  for (const { runner, command, file, head } of [
    {
      runner: "vitest",
      command: ["npx", "vitest", "run", "--environment=jsdom"],
      file: "license.test.js",
      head: `
        import { expect, test } from "vitest";
        import { LicenseError, loadValidator } from "whop-license";
        import "whop-license/element";
      `,
    },
    {
      runner: "vitest",
      command: ["npx", "vitest", "run", "--environment=jsdom", "--pool=vmThreads"],
      file: "license.test.js",
      head: `
        import { expect, test } from "vitest";
        import { LicenseError, loadValidator } from "whop-license";
        import "whop-license/element";
      `,
    },
    {
      runner: "jest",
      command: ["npx", "jest", "--env=jsdom"],
      file: "license.test.js",
      head: `
        require("whatwg-fetch");
        const { LicenseError, loadValidator } = require("whop-license");
        require("whop-license/element");
      `,
    },
  ]) {
    test(command.slice(1).join(" "), async (t) => {
      const project = await newProject();
      t.after(() => project.remove());
      await project.install(runner);
      await project.run("npm", "install", "--offline", ...(await packages()));
      await writeFile(join(project.folder, file), head + body);
      Object.assign(project.env, given);
      const [program = "", ...args] = command;
      // Both give a test five seconds, which a busy machine may need to compile the module.
      t.diagnostic(await project.run(program, ...args, "--testTimeout=60000"));
    });
  }
});
