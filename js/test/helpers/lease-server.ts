// A license server whose leases jose (npm) signs, and servers that misbehave.
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
} from "jose";
import type { LeaseStore } from "whop-license";
import { serve } from "./support.js";

export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** A request, as the server has read it. */
export interface Asked {
  licenseKey: string;
  metadata: Record<string, string>;
  nonce: string;
}

export type Answer = (
  response: ServerResponse,
  asked: Asked,
  server: LeaseServer,
) => void | Promise<void>;

export interface LeaseServer {
  endpoint: string;
  publicKey: string;
  answer: Answer;
  asked: Asked[];
  /** The lease that answers the request. */
  sign(asked: Asked, claims?: JWTPayload, key?: SigningKey): Promise<string>;
  /** The proof that the request is refused. */
  prove(asked: Asked, code: string, claims?: JWTPayload, key?: SigningKey): Promise<string>;
}

export interface SigningKey {
  privateKey: CryptoKey;
  kid: string;
  x: string;
}

export async function newKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
  const jwk = await exportJWK(publicKey);
  return { privateKey, kid: await calculateJwkThumbprint(jwk), x: jwk.x as string };
}

// The server's clock is right, whatever a test does to the program's clock.
const rightTime = Date.now;

export const seconds = () => Math.floor(rightTime() / 1000);

export const HOUR = 3600;
export const DAY = 24 * HOUR;

export async function startLeaseServer(): Promise<LeaseServer> {
  const ownKey = await newKey();
  const server: LeaseServer = {
    endpoint: await serve((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        const asked = JSON.parse(body);
        asked.licenseKey = decodeURIComponent(request.url?.split("/").at(-2) ?? "");
        server.asked.push(asked);
        server.answer(response, asked, server);
      });
    }),
    publicKey: ownKey.x,
    answer: yes(),
    asked: [],
    sign: ({ nonce, ...asked }, claims = {}, key = ownKey) => {
      const iat = claims.iat ?? seconds();
      const dates = { iat, nbf: iat, exp: iat + DAY, grace: 7 * DAY };
      const own = { sub: "mem_1", aud: "prod_1", nonce, ...hashes(asked) };
      return sign("whop-license-lease+jwt", { iss: "gateway", ...dates, ...own, ...claims }, key);
    },
    prove: ({ nonce, ...asked }, code, claims = {}, key = ownKey) => {
      const own = { iat: seconds(), nonce, ...hashes(asked), code };
      return sign("whop-license-refusal+jwt", { iss: "gateway", ...own, ...claims }, key);
    },
  };
  return server;
}

const hashes = ({ licenseKey, metadata }: Omit<Asked, "nonce">) => ({
  lic: sha256(licenseKey),
  hwm: sha256(JSON.stringify(metadata)),
});

function sign(typ: string, claims: JWTPayload, { privateKey, kid }: SigningKey): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "EdDSA", kid, typ }).sign(privateKey);
}

/** Answers valid, with a lease in which a test may change some claims and the key. */
export function yes(claims?: JWTPayload, key?: SigningKey): Answer {
  return async (response, asked, server) => {
    const lease = await server.sign(asked, claims, key);
    send(response, 201, { valid: true, id: "mem_1", email: "someone@example.com", lease });
  };
}

const STATUS = { metadata_mismatch: 400, license_inactive: 403, not_found: 404 };

/** Refuses, with a proof in which a test may change some claims and the key. */
export function no(code: keyof typeof STATUS, claims?: JWTPayload, key?: SigningKey): Answer {
  return async (response, asked, server) => {
    const proof = await server.prove(asked, code, claims, key);
    send(response, STATUS[code], { error: { code, message: "No.", proof } });
  };
}

export const says =
  (status: number, body: object): Answer =>
  (response) =>
    send(response, status, body);

export const down: Answer = (response) => {
  response.destroy();
};
export const notFound = no("not_found");
export const silent: Answer = () => {};

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** A store that shows its content, and returns promises if told to. */
export class TestStore implements LeaseStore {
  readonly texts = new Map<string, string>();
  later = false;
  /** Called after each change, with what it was. */
  onChange: (change: "set" | "remove") => void = () => {};

  get(name: string) {
    const text = this.texts.get(name);
    return this.later ? Promise.resolve(text) : text;
  }

  set(name: string, text: string) {
    this.texts.set(name, text);
    this.onChange("set");
    return this.later ? Promise.resolve() : undefined;
  }

  remove(name: string) {
    this.texts.delete(name);
    this.onChange("remove");
    return this.later ? Promise.resolve() : undefined;
  }

  /** The one record in it. */
  get record(): { lease: string; skew: number; lastSeen: number } {
    if (this.texts.size !== 1) throw new Error(`the store has ${this.texts.size} records`);
    return JSON.parse([...this.texts.values()][0] as string);
  }

  /** Resolves at the next change. */
  changed(): Promise<"set" | "remove"> {
    return new Promise((resolve) => {
      this.onChange = resolve;
    });
  }
}
