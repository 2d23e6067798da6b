import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, resolve, sep } from "node:path";

const types: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface LocalServer {
  /** Such as `http://127.0.0.1:49152`. */
  origin: string;
  /** Sets what answers from now on. Until it is called, answers are 503. */
  handle(handler: Handler): void;
  /** Ends the server and the connections it has. */
  close(): Promise<void>;
}

/** Opens an HTTP server on a free loopback port. Its origin is known before its content is set. */
export async function listen(): Promise<LocalServer> {
  let handler: Handler = (_, response) => response.writeHead(503).end();
  const server = createServer((request, response) => handler(request, response));
  await new Promise<void>((done, failed) => {
    server.once("error", failed);
    server.listen(0, "127.0.0.1", done);
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    handle(next) {
      handler = next;
    },
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

export interface StaticOptions {
  /** Sent with every answer. */
  headers?: Record<string, string>;
  /** Changes an HTML page on its way out. */
  html?: (text: string) => string;
}

/** Serves the files of a folder for GET and HEAD. A path that ends in `/` means its index.html. */
export function staticFiles(folder: string, options: StaticOptions = {}): Handler {
  const root = resolve(folder);
  return (request, response) => {
    void serve(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { Allow: "GET, HEAD" }).end();
      return;
    }
    const file = locate(request.url ?? "/");
    const content = file && (await readFile(file).catch(() => undefined));
    if (!file || !content) {
      response.writeHead(404, options.headers).end();
      return;
    }
    const extension = extname(file);
    const body =
      options.html && extension === ".html"
        ? Buffer.from(options.html(content.toString("utf8")))
        : content;
    response.writeHead(200, {
      "Content-Type": types[extension] ?? "application/octet-stream",
      "Content-Length": body.length,
      "Cache-Control": "no-cache",
      "X-Content-Type-Options": "nosniff",
      ...options.headers,
    });
    response.end(request.method === "HEAD" ? undefined : body);
  }

  function locate(url: string): string | undefined {
    let path: string;
    try {
      path = decodeURIComponent(new URL(url, "http://localhost").pathname);
    } catch {
      return undefined;
    }
    if (path.endsWith("/")) path += "index.html";
    const file = resolve(root, `.${path}`);
    return file.startsWith(root + sep) && !file.includes("\0") ? file : undefined;
  }
}
