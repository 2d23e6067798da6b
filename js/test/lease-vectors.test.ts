// The vectors of shared/testdata/lease, through the package and the real module.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  LicenseError,
  type LoadOptions,
  loadValidator,
  type ValidateOptions,
  type Verdict,
} from "whop-license";
import { rejects, serve, vectors } from "./helpers/support.js";

interface Vector {
  about: string;
  call:
    | "verify"
    | "verifyRefusal"
    | "standIn"
    | "parsePublicKey"
    | "hashMetadata"
    | "hashLicenseKey";
  token?: string;
  publicKey?: string;
  publicKeys?: string[];
  licenseKey?: string;
  metadata?: Record<string, string>;
  issuer?: string;
  audience?: string;
  subject?: string;
  nonce?: string;
  code?: string;
  nowMs?: number;
  skewMs?: number;
  lastSeenMs?: number;
  want: { reason?: string; claims?: Claims; standsInUntil?: number; kid?: string; hash?: string };
}

interface Claims {
  iss: string;
  sub: string;
  aud: string;
  iat: number;
}

const all = vectors<Vector>("lease");
const of = (call: Vector["call"]) => all.filter(([, vector]) => vector.call === call);

let answer = {};
let status = 201;
const endpoint = await serve((request, response) => {
  request.resume().on("end", () => {
    response.writeHead(status).end(JSON.stringify(answer));
  });
});
const { validateLicense } = await loadValidator({ endpoint });

/** The options of a call in which a vector's lease is checked. */
function optionsOf(vector: Vector): ValidateOptions {
  const { publicKeys, issuer, audience } = vector;
  return {
    publicKey: publicKeys,
    issuer: issuer || undefined,
    audience: audience || undefined,
    maxAttempts: 1,
  };
}

const MAX_TIME = 8.64e15;

test("does this lease answer the request just made?", async (t) => {
  let tried = 0;
  for (const [name, vector] of of("verify")) {
    const nonce = Buffer.from(vector.nonce ?? "", "base64url");
    // No call of the package can lead to this.
    if (nonce.length !== 16 || !vector.publicKeys?.length) continue;
    tried++;
    await t.test(`${name}: ${vector.about}`, async (t) => {
      const { want, nowMs, subject } = vector;
      t.mock.method(crypto, "getRandomValues", (array: Uint8Array) => array.set(nonce));
      t.mock.method(Date, "now", () => nowMs ?? 0);
      status = 201;
      answer = { valid: true, id: subject || undefined, lease: vector.token };
      const call = validateLicense(
        vector.licenseKey as string,
        vector.metadata ?? {},
        optionsOf(vector),
      );
      if (want.reason) {
        await rejects(call, "untrusted_response");
        return;
      }
      assertVerdict(await call, "server", vector);
    });
  }
  assert.ok(tried > 150, `only ${tried} vectors`);
});

const STATUS: Record<string, number> = {
  metadata_mismatch: 400,
  license_inactive: 403,
  not_found: 404,
};

test("does this proof of a refusal answer the request just made?", async (t) => {
  let tried = 0;
  for (const [name, vector] of of("verifyRefusal")) {
    const { want, code = "", token: proof, publicKeys } = vector;
    const nonce = Buffer.from(vector.nonce ?? "", "base64url");
    if (nonce.length !== 16 || !publicKeys?.length || !STATUS[code]) continue;
    tried++;
    await t.test(`${name}: ${vector.about}`, async (t) => {
      t.mock.method(crypto, "getRandomValues", (array: Uint8Array) => array.set(nonce));
      status = STATUS[code] as number;
      answer = { error: { code, message: "No.", proof } };
      const options = optionsOf(vector);
      delete options.audience;
      const call = validateLicense(vector.licenseKey as string, vector.metadata ?? {}, options);
      if (want.reason) {
        await rejects(call, "untrusted_response");
        return;
      }
      const verdict = await call;
      assert.equal(verdict.code, code.replace("license_", ""));
      assert.ok(!verdict.valid);
      assert.equal(verdict.message, "No.");
    });
  }
  assert.ok(tried > 150, `only ${tried} vectors`);
});

test("may this stored lease stand in for the server?", async (t) => {
  let tried = 0;
  for (const [name, vector] of of("standIn")) {
    const { token, nowMs = 0, skewMs: skew = 0, lastSeenMs: lastSeen = 0, want } = vector;
    if (!vector.publicKeys?.length || lastSeen < 0 || Math.max(nowMs, lastSeen) > MAX_TIME) {
      continue;
    }
    tried++;
    await t.test(`${name}: ${vector.about}`, async (t) => {
      t.mock.method(Date, "now", () => nowMs);
      const call = validateLicense(vector.licenseKey as string, vector.metadata ?? {}, {
        ...optionsOf(vector),
        ...{ lease: token, clock: { lastSeen, skew }, endpoint: "http://127.0.0.1:9" },
      });
      if (want.reason) {
        const { cause } = await rejects(call, "unavailable");
        const { reason } = cause as { reason?: string };
        assert.equal(reason === "clock", want.reason === "clock");
        return;
      }
      const verdict = await call;
      assertVerdict(verdict, "lease", vector);
      assert.ok(verdict.valid);
      assert.equal(verdict.error?.code, "unavailable");
      assert.equal(Date.parse(verdict.checkedAt), (want.claims as Claims).iat * 1000);
    });
  }
  assert.ok(tried >= 60, `only ${tried} vectors`);
});

function assertVerdict(verdict: Verdict, source: string, { token, want }: Vector): void {
  assert.ok(verdict.valid);
  assert.equal(verdict.source, source);
  assert.equal(verdict.lease, token);
  assert.equal(Date.parse(verdict.leaseExpiresAt ?? ""), (want.standsInUntil as number) * 1000);
  if (source === "server") return;
  const { sub, aud } = want.claims as Claims;
  assert.deepEqual(verdict.membership, { valid: true, id: sub, product: aud });
}

test("is this a public key?", async (t) => {
  for (const [name, { about, publicKey = "", want }] of of("parsePublicKey")) {
    await t.test(`${name}: ${about}`, async () => {
      const load = loadValidator({ endpoint, publicKey });
      if (want.kid) await load;
      else await rejects(load, "invalid_argument", /^publicKey: /);
    });
  }
});

test("names in a store", async (t) => {
  const publicKey = of("parsePublicKey").find(([, { want }]) => want.kid)?.[1].publicKey;
  let asked = "";
  const leases = {
    get: (name: string) => {
      asked = name;
      return null;
    },
    set() {},
    remove() {},
  };
  const options = { endpoint, publicKey, leases } as LoadOptions;
  const { validateLicense } = await loadValidator(options);
  answer = {};
  status = 201;
  const nameOf = async (licenseKey: string, metadata: Record<string, string>) => {
    await rejects(validateLicense(licenseKey, metadata), "bad_response");
    return asked.split(/[:.]/);
  };
  for (const [name, { metadata = {}, want }] of of("hashMetadata")) {
    if ("" in metadata) continue; // Whop takes no such name.
    await t.test(name, async () => {
      assert.equal((await nameOf("K", metadata))[2], want.hash);
    });
  }
  for (const [name, { licenseKey = "", want }] of of("hashLicenseKey")) {
    await t.test(name, async () => {
      assert.equal((await nameOf(licenseKey, {}))[1], want.hash);
    });
  }
});

test("without a public key no lease can be given", async () => {
  const call = validateLicense("K", {}, { lease: "x" });
  assert.ok((await rejects(call, "invalid_argument", /^publicKey: /)) instanceof LicenseError);
});
