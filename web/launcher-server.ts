// `make launcher`: the launcher page, with a gateway and a simulator of Whop
// behind it, until interrupted.
import { createSidecar } from "whop-license/sidecar";
import { launcherPage } from "./launcher-page.js";
import { sampleKeys, startServers } from "./servers.js";
import { listen } from "./static-server.js";

const interrupted = new Promise<void>((done) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => done());
});

const sidecar = createSidecar();
const { id } = await sidecar.machineId();
sidecar.close();

const page = await listen();
const servers = await startServers({ origins: [page.origin] });
page.handle(launcherPage(servers.endpoint));

console.log(`${page.origin}/#machine-id=${id}

The address contains this machine's id. Without the # and what follows it, the page asks
the browser helper for the id. Keys to try:

  ${sampleKeys.good}   works, and is then bound to this machine
  ${sampleKeys.elsewhere}   is in use on another machine
  ${sampleKeys.canceled}   was canceled
  anything else                  is unknown

To reset a key, as on Whop: curl -X POST ${servers.simulator}/sim/reset/KEY
Press Ctrl-C to stop.`);

await interrupted;
await Promise.all([page.close(), servers.stop()]);
