// Runs in a page and in Node: asks with a kept lease, with none, and without a public key.
import type { LeaseStore, loadValidator } from "../../launcher/whop-license/index.js";
import { type Answer, answerOf } from "./harness.js";

/** The license keys to ask about, and the endpoint that something stands in front of. */
export interface Case {
  kept: string;
  none: string;
  plain: string;
  endpoint?: string;
}

export interface Given {
  load: typeof loadValidator;
  /** Where a lease can be had. */
  endpoint: string;
  publicKey: string;
  leases: "local" | LeaseStore;
}

export interface Outcomes {
  /** What the server said before anything stood in front of it. */
  first: Answer;
  kept: Answer;
  none: Answer;
  plain: Answer;
}

export async function outcomesOf(given: Given, cases: Case[]): Promise<Outcomes[]> {
  const { load, endpoint, publicKey, leases } = given;
  const keyed = await load({ endpoint, publicKey, leases });
  const plain = await load({ endpoint });
  const ask = ({ validateLicense }: typeof plain, key: string, at = endpoint): Promise<Answer> =>
    answerOf(validateLicense(key, "m1", { endpoint: at, maxAttempts: 1, timeoutMs: 60_000 }));
  return Promise.all(
    cases.map(async (of) => ({
      first: await ask(keyed, of.kept),
      kept: await ask(keyed, of.kept, of.endpoint),
      none: await ask(keyed, of.none, of.endpoint),
      plain: await ask(plain, of.plain, of.endpoint),
    })),
  );
}
