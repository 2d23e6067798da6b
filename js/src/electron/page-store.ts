import { invalid } from "../errors.js";
import { type LeaseStore, MAX_TEXT_LENGTH } from "../leases/store.js";

// The names under which whop-license keeps texts.
const STORE_NAME = /^whop-license[-:][\w.:-]{1,200}$/;

/** Uses the store as a page asks. The request may be anything. */
export async function useStore(
  store: LeaseStore,
  [operation, name, text]: unknown[],
): Promise<unknown> {
  if (typeof name !== "string" || !STORE_NAME.test(name)) {
    throw invalid("name", "is not one that whop-license uses");
  }
  switch (operation) {
    case "get":
      return (await store.get(name)) ?? undefined;
    case "set":
      if (typeof text !== "string" || text.length > MAX_TEXT_LENGTH) {
        throw invalid("text", `must be a string of at most ${MAX_TEXT_LENGTH} characters`);
      }
      await store.set(name, text);
      return undefined;
    case "remove":
      await store.remove(name);
      return undefined;
  }
  throw invalid("operation", "must be get, set or remove");
}
