import type { Net } from "electron";
import { textOf } from "../errors.js";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * Chromium's `fetch`, which goes through the system's proxy and trusts what the
 * system trusts; undefined before Electron 25. Electron fails at a redirect that
 * is not to be followed. As in a page, it is an answer here that says nothing,
 * and no lost connection.
 */
export function netFetch(net: Pick<Net, "fetch"> | undefined): Fetch | undefined {
  if (typeof net?.fetch !== "function") return undefined;
  return async (url, init) => {
    try {
      return await net.fetch(url, init);
    } catch (thrown) {
      if (/^Redirect was cancell?ed$/.test(textOf(thrown))) return Response.error();
      throw thrown;
    }
  };
}
