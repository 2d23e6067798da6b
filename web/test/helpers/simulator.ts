import { randomBytes } from "node:crypto";
import { request as ask } from "node:http";
import { type Running, start } from "../../servers.js";
import { type LocalServer, listen } from "../../static-server.js";

/** A membership of the simulator; its README lists the other fields. */
export interface Membership {
  license_key: string;
  [field: string]: unknown;
}

/** One request that the simulator has seen. */
export interface Seen {
  operation: string;
  method: string;
  path: string;
  key: string;
  origin: string;
  body: string;
  status: number;
}

export interface Simulator extends Running {
  apiKey: string;
  /** Adds memberships. */
  add(...memberships: Membership[]): Promise<void>;
  /** The requests to its API since the start or the last {@link forget}. */
  seen(): Promise<Seen[]>;
  forget(): Promise<void>;
  /** POSTs to its control routes. */
  control(path: string, body?: object): Promise<Response>;
}

/** Starts a simulator without a rate limit that any page may call. */
export async function startSimulator(args: string[] = []): Promise<Simulator> {
  const apiKey = randomBytes(16).toString("hex");
  const running = await start("whopsim", [
    "--listen=127.0.0.1:0",
    `--api-key=${apiKey}`,
    "--cors-origin=*",
    "--rate-limit=0",
    "--rate-limit-v1=0",
    ...args,
  ]);
  const control = (path: string, body: object = {}): Promise<Response> =>
    fetch(`${running.url}/sim/${path}`, { method: "POST", body: JSON.stringify(body) });
  return {
    ...running,
    apiKey,
    control,
    async add(...memberships) {
      for (const membership of memberships) {
        const response = await control("memberships", membership);
        if (response.status !== 201) throw new Error(`whopsim: ${await response.text()}`);
      }
    },
    async seen() {
      return (await fetch(`${running.url}/sim/requests`)).json() as Promise<Seen[]>;
    },
    async forget() {
      await fetch(`${running.url}/sim/requests`, { method: "DELETE" });
    },
  };
}

export interface Front extends LocalServer {
  /** Resolves when the next check arrives. */
  nextCheck(): Promise<void>;
}

/** Stands in front of a simulator, and adds the API key, which a page doesn't have. */
export async function startFront({ url, apiKey }: Simulator): Promise<Front> {
  const server = await listen();
  let arrived = (): void => {};
  server.handle((request, response) => {
    const { method, headers } = request;
    if (method === "POST") arrived();
    const forward = ask(
      url + request.url,
      { method, headers: { ...headers, authorization: `Bearer ${apiKey}` } },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
        answer.on("error", () => response.destroy());
      },
    );
    forward.on("error", () => response.destroy());
    response.on("close", () => forward.destroy());
    request.pipe(forward);
  });
  const nextCheck = (): Promise<void> =>
    new Promise((resolve) => {
      arrived = resolve;
    });
  return { ...server, nextCheck };
}
