// What checking a lease costs in a page, against npm's `jose` in the same page.
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import type { Browser } from "playwright-core";
import { median, milliseconds, type Row } from "./measure.js";
import { openBench, startModule } from "./page.js";

const rounds = 300;
const key = "BETA-18DCE6-E146E733-5C8655W";
const hwid = "0035969ec53f6e7f0fb40f08cc9ed4783aa99c2000cf1ebe4187c10dd0d8370f";

/** A lease as a gateway signs it, and the key that it is checked with. */
function makeLease(): { token: string; publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x = "" } = publicKey.export({ format: "jwk" });
  const hex = (text: string): string => createHash("sha256").update(text).digest("hex");
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const kid = createHash("sha256")
    .update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`)
    .digest("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = [
    part({ alg: "EdDSA", kid, typ: "whop-license-lease+jwt" }),
    part({
      iss: "bench",
      sub: "mem_bench",
      aud: "prod_bench",
      iat: now,
      nbf: now,
      exp: now + 86400,
      nonce: "AAECAwQFBgcICQoLDA0ODw",
      lic: hex(key),
      hwm: hex(JSON.stringify({ HWID: hwid })),
      grace: 604800,
    }),
  ].join(".");
  const signature = sign(null, Buffer.from(signed), privateKey).toString("base64url");
  return { token: `${signed}.${signature}`, publicKey: x };
}

type Validate = (
  key: string,
  hwid: string,
  options: object,
) => Promise<{ code: string; source: string }>;

export async function verifying(browser: Browser, origin: string): Promise<Row> {
  const page = await openBench(browser, origin);
  await startModule(page, origin, "ours");
  const [ours, theirs] = await page.evaluate(
    async ({ token, publicKey, key, hwid, rounds }) => {
      const { validateLicense } = window as unknown as { validateLicense: Validate };
      const jose = await import("/jose/index.js" as string);
      const byModule = async (): Promise<number> => {
        const begin = performance.now();
        const { source } = await validateLicense(key, hwid, {
          publicKey,
          lease: token,
          preferLease: true,
        });
        const taken = performance.now() - begin;
        if (source !== "lease") throw new Error(source);
        return taken;
      };
      const imported = await jose.importJWK({ kty: "OKP", crv: "Ed25519", x: publicKey }, "EdDSA");
      const byJose = async (): Promise<number> => {
        const begin = performance.now();
        await jose.jwtVerify(token, imported, {
          algorithms: ["EdDSA"],
          typ: "whop-license-lease+jwt",
        });
        return performance.now() - begin;
      };
      for (let i = 0; i < 20; i++) {
        await byModule();
        await byJose();
      }
      const times: [number[], number[]] = [[], []];
      for (let i = 0; i < rounds; i++) {
        times[0].push(await byModule());
        times[1].push(await byJose());
      }
      return times;
    },
    { ...makeLease(), key, hwid, rounds },
  );
  await page.context().close();
  return {
    name: `a check answered from a lease, against jose's jwtVerify (${rounds} ×)`,
    measured: milliseconds(median(ours)),
    against: milliseconds(median(theirs)),
    ratio: median(ours) / median(theirs),
  };
}
