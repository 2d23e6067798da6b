// `make gateway ORIGIN=…`: a gateway for your own page or app during development, with a
// simulator of Whop behind it, and the lines to paste. They stay valid from one start to
// the next.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { keygen, sampleKeys, startServers } from "./servers.js";

const interrupted = new Promise<void>((done) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => done());
});

const origin = process.env.ORIGIN || undefined;
const keyFile = join(import.meta.dirname, "../../bin/dev-signing-key.json");
const publicKey = existsSync(keyFile)
  ? (JSON.parse(readFileSync(keyFile, "utf8")).x as string)
  : await keygen(keyFile);

const servers = await startServers({
  port: Number(process.env.PORT || 8787),
  origins: origin ? [origin] : [],
  gatewayArgs: [`--signing-key=${keyFile}`],
  log: process.stderr,
}).catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});

console.log(`${servers.endpoint}

${origin ? `Pages of ${origin} may call this gateway.` : "No page may call this gateway: name yours with ORIGIN=http://localhost:5173."} In the page:

  import { loadValidator } from "whop-license";
  import "whop-license/element";

  const gate = document.querySelector("whop-license-gate");
  gate.machineId = () => (localStorage.browserId ??= crypto.randomUUID());
  gate.validator = () =>
    loadValidator({
      endpoint: "${servers.endpoint}",
      publicKey: "${publicKey}",
    });

In its Content Security Policy:

  script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ${servers.endpoint}

In an Electron app, paste this into the main process; its pages then don't call the gateway:

  import { registerLicenseHost } from "whop-license/electron/main";

  registerLicenseHost({
    origins: ["${origin ?? "app://my-app"}"],
    validator: {
      endpoint: "${servers.endpoint}",
      publicKey: "${publicKey}",
    },
  });

And this into the page:

  import { loadMainValidator } from "whop-license/electron/renderer";

  gate.validator = () => loadMainValidator();

Keys to try:

  ${sampleKeys.good}   works, and is then bound to this machine
  ${sampleKeys.elsewhere}   is in use on another machine
  ${sampleKeys.canceled}   was canceled
  anything else                  is unknown

To reset a key, as on Whop: curl -X POST ${servers.simulator}/sim/reset/KEY
Press Ctrl-C to stop. The gateway's log follows.
`);

await interrupted;
await servers.stop();
