// What can be between an app and the gateway, and how a check then ends. The table
// is between.json. Its outcomes are written as `told` below returns them.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
} from "jose";
import { type Handler, type LocalServer, listen } from "../../static-server.js";
import type { Page } from "../engines/engine.js";
import type { Case, Outcomes } from "../pages/between.js";
import type { Answer } from "../pages/harness.js";
import { packagePath } from "./page.js";

type Between = typeof import("../pages/between.js");
type Package = typeof import("whop-license");

/** The outcomes of a check: with a stored lease, without one, and without a public key. */
export interface Expected {
  kept: string;
  none: string;
  plain: string;
}

export interface AnswerRow extends Expected {
  name: string;
  /** In Firefox and WebKit, which let a page read an answer that Chromium and Node hide. */
  readable?: Expected;
  answer: {
    status: number;
    headers: Record<string, string>;
    body: string;
    /** In a browser, a service worker gives this answer, because there is no network. */
    serviceWorker?: true;
    /** The code for which `error.proof` is signed. A forged proof is signed with another key. */
    proof?: { code: string; forged?: true };
  };
}

export interface ProxyRow extends Expected {
  name: string;
  proxy: "nginx" | "haproxy";
  path: string;
  status: number;
}

export const table = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../test/between.json"), "utf8"),
) as { answers: AnswerRow[]; proxies: ProxyRow[] };

interface Reason {
  code: string;
  status?: number | undefined;
}

/** The code, and the status if a client can see it: a page can't see a redirect's. */
const reason = ({ code, status }: Reason): string =>
  status && (status < 300 || status > 399) ? `${code} ${status}` : code;

/** An outcome in the table's format. */
export function told({ verdict, error }: Answer): string {
  if (error) return reason(error) + (error.retryable ? ", retryable" : "");
  if (!verdict?.valid) return verdict ? reason(verdict) : "nothing";
  const { error: unheard } = verdict as { error?: Reason };
  return `valid by ${verdict.source}${unheard ? ` (${reason(unheard)})` : ""}`;
}

/** The outcomes of a row, for comparison with the table. */
export function toldOf({ kept, none, plain }: Outcomes, leaseKept: boolean): Expected {
  return {
    kept: `${told(kept)}; ${leaseKept ? "lease kept" : "no lease"}`,
    none: told(none),
    plain: told(plain),
  };
}

export const expectedOf = ({ kept, none, plain }: Expected): Expected => ({ kept, none, plain });

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const machine = '{"HWID":"m1"}';

/** The name under which the package keeps a license's lease. */
export const leaseName = (key: string): string => `whop-license:${sha256(key)}.${sha256(machine)}`;

/** A store for leases in Node. */
export function memoryStore() {
  const kept = new Map<string, string>();
  return {
    names: () => [...kept.keys()],
    get: (name: string) => kept.get(name),
    set: (name: string, text: string) => void kept.set(name, text),
    remove: (name: string) => void kept.delete(name),
  };
}

/** Checks in a page that keeps its leases in localStorage, and returns the leases that are then there. */
export function outcomesInPage(
  page: Page,
  given: { endpoint: string; publicKey: string },
  cases: Case[],
): Promise<{ outcomes: Outcomes[]; leases: string[] }> {
  return page.evaluate(
    async ({ given, cases, paths }) => {
      const { outcomesOf }: Between = await import(paths.between);
      const { loadValidator: load }: Package = await import(paths.package);
      const outcomes = await outcomesOf({ load, leases: "local", ...given }, cases);
      return { outcomes, leases: Object.keys(localStorage) };
    },
    {
      given,
      cases,
      paths: { between: "/test/pages/between.js", package: `${packagePath}/index.js` },
    },
  );
}

/** The outcome of every row if a page may not read the answer. */
export const unheard: Expected = {
  kept: "valid by lease (unavailable); lease kept",
  none: "unavailable, retryable",
  plain: "unavailable, retryable",
};

/** A request to {@link serveBetween}: the way to ask, and the row's number. */
export const keysOf = (row: number): Expected => ({
  kept: `KEPT-${row}`,
  none: `NONE-${row}`,
  plain: `PLAIN-${row}`,
});

interface SigningKey {
  privateKey: CryptoKey;
  kid: string;
  publicKey: string;
}

async function newKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
  const jwk = await exportJWK(publicKey);
  return { privateKey, kid: await calculateJwkThumbprint(jwk), publicKey: jwk.x as string };
}

const sign = ({ privateKey, kid }: SigningKey, typ: string, claims: JWTPayload): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", kid, typ }).sign(privateKey);

export interface BetweenServer extends LocalServer {
  publicKey: string;
}

export interface BetweenOptions {
  /** Whether a page may read the answers of what is in between. */
  readable?: boolean;
  /** Whether the client has the service worker that its rows are about. */
  serviceWorker?: boolean;
}

/**
 * A gateway, and the table's answers in its place: the first check of a key that
 * begins with KEPT gets a lease, all others get their row's answer.
 */
export async function serveBetween(options: BetweenOptions = {}): Promise<BetweenServer> {
  const { readable = true, serviceWorker = false } = options;
  const [own, another] = [await newKey(), await newKey()];
  const seen = new Set<string>();
  const server = await listen();

  async function answer(path: string, body: string, response: ServerResponse): Promise<void> {
    const key = path.split("/").at(-2) ?? "";
    const { nonce } = JSON.parse(body) as { nonce?: string };
    const iat = Math.floor(Date.now() / 1000);
    const claims = { iss: "gateway", iat, nonce, lic: sha256(key), hwm: sha256(machine) };
    if (key.startsWith("KEPT") && !seen.has(key)) {
      seen.add(key);
      const times = { nbf: iat, exp: iat + 24 * 3600, grace: 7 * 24 * 3600 };
      const more = { sub: "mem_1", aud: "prod_1", ...times };
      const lease = await sign(own, "whop-license-lease+jwt", { ...claims, ...more });
      const good = JSON.stringify({ valid: true, id: "mem_1", lease });
      response.writeHead(201, { ...cors, "content-type": "application/json" }).end(good);
      return;
    }
    const row = table.answers[Number(key.split("-")[1])]?.answer;
    if (!row || (row.serviceWorker && serviceWorker)) {
      response.destroy();
      return;
    }
    response.writeHead(row.status, { ...(readable ? cors : {}), ...headersOf(row.headers) });
    response.end(await bodyOf(row, claims));
  }

  async function bodyOf({ body, proof }: AnswerRow["answer"], claims: JWTPayload): Promise<string> {
    if (body === "{70 KB}") return `<!doctype html><p>${"x".repeat(70 << 10)}</p>`;
    if (!proof || claims.nonce === undefined) return body;
    const content = JSON.parse(body) as { error: { proof?: string } };
    const key = proof.forged ? { ...another, kid: own.kid } : own;
    content.error.proof = await sign(key, "whop-license-refusal+jwt", {
      ...claims,
      code: proof.code,
    });
    return JSON.stringify(content);
  }

  const headersOf = (headers: Record<string, string>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [
        name,
        value.replace("{origin}", server.origin),
      ]),
    );

  const handler: Handler = (request, response) => {
    if (request.method === "OPTIONS") {
      response.writeHead(204, cors).end();
      return;
    }
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => {
      body += text;
    });
    request.on("end", () => {
      answer(request.url ?? "", body, response).catch((error) => response.destroy(error));
    });
  };
  server.handle(handler);
  return { ...server, publicKey: own.publicKey };
}

const cors = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "content-type",
};
