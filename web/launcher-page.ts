import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Handler, staticFiles } from "./static-server.js";

/** Where index.html leaves room for the seller's endpoint. */
const placeholder = "https://license.example.com";

/** Serves the built launcher for one endpoint, as a seller would deploy it. */
export function launcherPage(endpoint: string): Handler {
  const folder = join(import.meta.dirname, "launcher");
  const html = (text: string): string => text.replaceAll(placeholder, endpoint);
  return staticFiles(folder, {
    html,
    headers: {
      "Content-Security-Policy": launcherPolicy(
        html(readFileSync(join(folder, "index.html"), "utf8")),
      ),
      "Referrer-Policy": "no-referrer",
    },
  });
}

/** The page's own policy, and what only a header can say. */
function launcherPolicy(html: string): string {
  const policy = /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/.exec(html)?.[1];
  if (!policy) throw new Error("launcher: index.html has no Content-Security-Policy");
  return `${policy}; frame-ancestors 'none'`;
}
