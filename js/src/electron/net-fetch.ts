import type { Net } from "electron";
import { textOf } from "../errors.js";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Returns Chromium's `fetch`, which uses the system's proxy and trusts its
 * certificates. Electron rejects if a redirect must not be followed. A page gets an
 * answer without content then, and not a connection error, so the same is returned
 * here.
 */
export function netFetch(net: Pick<Net, "fetch">): Fetch {
  return async (url, init) => {
    try {
      return await net.fetch(url, init);
    } catch (thrown) {
      if (/^Redirect was cancell?ed$/.test(textOf(thrown))) return Response.error();
      throw thrown;
    }
  };
}
