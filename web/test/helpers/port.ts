import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/**
 * Returns a port on loopback for a program that can't choose one itself. A
 * connection is left in TIME-WAIT at the port, so that for a minute the system
 * gives the port to nobody who asks for any port, but a server that asks for
 * this one gets it: github.com/Yelp/ephemeral-port-reserve.
 */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect(port, "127.0.0.1");
  const [accepted] = (await once(server, "connection")) as [Socket];
  accepted.destroy(); // first, as TIME-WAIT is on the side that closes first
  await once(client.resume(), "close");
  server.close();
  await once(server, "close");
  return port;
}
