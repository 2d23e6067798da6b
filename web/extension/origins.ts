// Which pages get answers.

/**
 * The origin of a page that may ask: one over https or on a loopback address, and, if the
 * extension was built for some origins, one of those. Otherwise undefined.
 */
export function askingOrigin(address: string | undefined): string | undefined {
  if (address === undefined || !URL.canParse(address)) return undefined;
  const { protocol, hostname, origin } = new URL(address);
  const loopback = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  if (protocol !== "https:" && !(protocol === "http:" && loopback)) return undefined;
  return ORIGINS.length === 0 || ORIGINS.includes(origin) ? origin : undefined;
}
