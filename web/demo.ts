// `make demo`: shows every outcome once, on this machine, through the real parts: the
// sidecar's machine id, the WebAssembly module, the gateway, and a simulator in Whop's
// place. Exits 1 unless each outcome is the expected one.
import { createServer } from "node:http";
import { LicenseError, loadValidator, type ValidateLicense, type Verdict } from "whop-license";
import { createSidecar, type MachineId } from "whop-license/sidecar";
import { makeSigningKey, sampleKeys, startServers } from "./servers.js";
import { pageId } from "./test/helpers/extension.js";
import { HelperBrowser } from "./test/helpers/extension-browser.js";
import { askHelper } from "./test/helpers/extension-page.js";
import { blankPage, servePages } from "./test/helpers/page.js";

interface Step {
  name: string;
  expected: Verdict["code"] | LicenseError["code"];
  source?: "server" | "lease";
  ask: () => ReturnType<ValidateLicense>;
}

const sidecar = createSidecar();
const machine = await sidecar.machineId();
sidecar.close();

// Runs in the meantime, because a browser takes a while to start.
const helped = throughHelper();

const { file, publicKey, remove } = await makeSigningKey();
const servers = await startServers({ gatewayArgs: [`--signing-key=${file}`] });
const forger = await startForger();

const { endpoint } = servers;
const { validateLicense, version } = await loadValidator({ endpoint, publicKey });
const unsigned = await loadValidator({ endpoint });
const forged = await loadValidator({ endpoint: forger.url, publicKey });

const { good, unknown, canceled } = sampleKeys;
const steps: Step[] = [
  { name: "a good key", expected: "valid", ask: () => validateLicense(good, machine.id) },
  {
    name: "a second machine",
    expected: "metadata_mismatch",
    ask: () => validateLicense(good, "the id of a second machine"),
  },
  {
    name: "an unknown key",
    expected: "not_found",
    ask: () => validateLicense(unknown, machine.id),
  },
  {
    name: "a canceled key",
    expected: "inactive",
    ask: () => validateLicense(canceled, machine.id),
  },
  {
    name: "a forged server",
    expected: "untrusted_response",
    ask: () => forged.validateLicense(good, machine.id),
  },
  {
    name: "an outage",
    expected: "unavailable",
    ask: async () => {
      await servers.stop();
      return unsigned.validateLicense(good, machine.id);
    },
  },
  {
    name: "with a lease",
    expected: "valid",
    source: "lease",
    ask: () => validateLicense(good, machine.id),
  },
];

console.log(`whop-license ${version}

  machine id  ${shortened(machine)}
  endpoint    ${endpoint}, a gateway with a simulator of Whop behind it
`);
let unexpected = 0;
for (const { name, expected, source = "server", ask } of steps) {
  const outcome = await settle(ask);
  const good = outcome.code === expected && (outcome.source ?? source) === source;
  if (!good) unexpected++;
  const mark = good ? "✔" : `✘ expected ${expected}:`;
  console.log(`  ${mark} ${name.padEnd(17)} ${outcome.code.padEnd(18)} ${outcome.text}`);
}
const { mark, text, failed } = await helped;
if (failed) unexpected++;
console.log(`  ${mark} ${"a page's id".padEnd(17)} ${text}`);
await Promise.all([servers.stop(), forger.stop(), remove()]);
console.log(
  unexpected === 0
    ? "\nAll outcomes as expected. `make launcher` shows them in a page."
    : `\n${unexpected} of ${steps.length + 1} outcomes were not the expected ones.`,
);
process.exitCode = unexpected === 0 ? 0 : 1;

interface Outcome {
  code: string;
  text: string;
  source?: string;
}

async function settle(ask: Step["ask"]): Promise<Outcome> {
  try {
    const verdict = await ask();
    const { code, source } = verdict;
    if (!verdict.valid) return { code, source, text: `“${verdict.message}”` };
    return source === "lease"
      ? { code, source, text: `no connection; works offline until ${verdict.leaseExpiresAt}` }
      : { code, source, text: `status ${verdict.membership.status}, bound to this machine` };
  } catch (error) {
    if (!(error instanceof LicenseError)) throw error;
    const { code } = error;
    return code === "untrusted_response"
      ? { code, text: "it says valid, but can't prove it" }
      : { code, text: "an error, which says nothing about the license" };
  }
}

/** A fake server, to which anyone could point an app. It says that every license is valid. */
async function startForger(): Promise<{ url: string; stop: () => Promise<void> }> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(201, { "Content-Type": "application/json" }).end('{"valid":true}');
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** A page's id of this machine, through the browser helper in a Chromium with a throwaway profile. */
async function throughHelper(): Promise<{ mark: string; text: string; failed?: true }> {
  if (process.platform === "win32") {
    return {
      mark: "–",
      text: "not shown: the helper is tried with a throwaway user, which works on Linux and macOS",
    };
  }
  let browser: HelperBrowser;
  try {
    browser = await HelperBrowser.start();
  } catch (error) {
    const [why] = (error as Error).message.split("\n");
    return { mark: "–", text: `not shown: ${why}` };
  }
  const pages = await servePages();
  try {
    await browser.user.install("chromium");
    const page = await browser.open(pages.origin + blankPage);
    const asked = await browser.decide("Allow", () => askHelper(page));
    const { id, message } = asked;
    if (id !== (await pageId(pages.origin))) {
      return { mark: "✘", text: `the helper gave no id or a wrong one: ${message}`, failed: true };
    }
    return {
      mark: "✔",
      text: `${short(id)} through the browser helper, for ${pages.origin} only`,
    };
  } catch (error) {
    return { mark: "✘", text: `the helper failed: ${(error as Error).message}`, failed: true };
  } finally {
    await Promise.all([browser.close(), pages.close()]);
  }
}

function short(id: string): string {
  return `${id.slice(0, 8)}…${id.slice(-4)}`;
}

function shortened({ id, scheme, source, warnings }: MachineId): string {
  const origin = `(${scheme}, from ${source})`;
  return [`${short(id)} ${origin}`, ...warnings].join("\n              ");
}
