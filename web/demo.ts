// `make demo`: every outcome once, on this machine, through the real parts:
// the sidecar's machine id, the WebAssembly module, the gateway, and a
// simulator in Whop's place. Exits 1 unless each outcome is the expected one.
import { LicenseError, loadValidator, type Verdict } from "whop-license";
import { createSidecar, type MachineId } from "whop-license/sidecar";
import { sampleKeys, startServers } from "./servers.js";

interface Step {
  name: string;
  expected: Verdict["code"] | LicenseError["code"];
  key: string;
  hwid: string;
  before?: () => Promise<void>;
}

const sidecar = createSidecar();
const machine = await sidecar.machineId();
sidecar.close();

const servers = await startServers();
const { validateLicense, version } = await loadValidator({ endpoint: servers.endpoint });

const steps: Step[] = [
  { name: "a good key", expected: "valid", key: sampleKeys.good, hwid: machine.id },
  {
    name: "a second machine",
    expected: "metadata_mismatch",
    key: sampleKeys.good,
    hwid: "the id of a second machine",
  },
  { name: "an unknown key", expected: "not_found", key: sampleKeys.unknown, hwid: machine.id },
  { name: "a cancelled key", expected: "inactive", key: sampleKeys.cancelled, hwid: machine.id },
  {
    name: "an outage",
    expected: "unavailable",
    key: sampleKeys.good,
    hwid: machine.id,
    before: servers.stop,
  },
];

console.log(`whop-license ${version}

  machine id  ${shortened(machine)}
  endpoint    ${servers.endpoint}, a gateway with a simulator of Whop behind it
`);
let unexpected = 0;
for (const { name, expected, key, hwid, before } of steps) {
  await before?.();
  const { code, text } = await outcome(key, hwid);
  if (code !== expected) unexpected++;
  const mark = code === expected ? "✔" : `✘ expected ${expected}:`;
  console.log(`  ${mark} ${name.padEnd(17)} ${code.padEnd(18)} ${text}`);
}
await servers.stop();
console.log(
  unexpected === 0
    ? "\nAll outcomes as expected. `make launcher` shows them in a page."
    : `\n${unexpected} of ${steps.length} outcomes were not the expected ones.`,
);
process.exitCode = unexpected === 0 ? 0 : 1;

async function outcome(key: string, hwid: string): Promise<{ code: string; text: string }> {
  try {
    const verdict = await validateLicense(key, hwid);
    return {
      code: verdict.code,
      text: verdict.valid
        ? `status ${verdict.membership.status}, bound to this machine`
        : `“${verdict.message}”`,
    };
  } catch (error) {
    if (!(error instanceof LicenseError)) throw error;
    return { code: error.code, text: "an error, not an invalid licence: nothing was found out" };
  }
}

function shortened({ id, scheme, source, warnings }: MachineId): string {
  const origin = `(${scheme}, from ${source})`;
  return [`${id.slice(0, 8)}…${id.slice(-4)} ${origin}`, ...warnings].join("\n              ");
}
