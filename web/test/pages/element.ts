// Runs in the page: gates with a validator whose answers the test gives.
import {
  type GateTextsInput,
  type GateValidator,
  type KeyStore,
  LicenseError,
  type LicenseErrorCode,
  type LicenseErrorReason,
  type Verdict,
  type WhopLicenseGate,
} from "../../launcher/whop-license/element/index.js";
import type {
  HelperAnswer,
  HelperRequest,
  HelperState,
} from "../../launcher/whop-license/helper/index.js";
import { loadValidator } from "../../launcher/whop-license/index.js";

// An app's own colors, as those that engines give are not all easy to read.
const looks = new CSSStyleSheet();
looks.replaceSync(`
  :root { background: light-dark(#fff, #17171c); color: light-dark(#17171c, #fff) }
  button { background: inherit; color: inherit }
`);
document.adoptedStyleSheets.push(looks);

/** What a check comes to, as plain data. */
export type Plan =
  | { verdict: unknown }
  | {
      error: LicenseErrorCode;
      message?: string;
      retryAfterMs?: number;
      argument?: string;
      reason?: LicenseErrorReason;
      retryable?: boolean;
      cause?: unknown;
    }
  /** The name of something odd to throw. */
  | { throws: keyof typeof odd };

const odd = {
  undefined: () => undefined,
  null: () => null,
  string: () => "a string",
  symbol: () => Symbol("a symbol"),
  "an error": () => new Error("an error"),
  "an object without a prototype": () => Object.create(null),
  "an object whose members throw": () =>
    new Proxy(new Error("x"), {
      get() {
        throw new Error("thrown by the test");
      },
    }),
  "a foreign error": () =>
    Object.assign(new Error("foreign"), { name: "LicenseError", code: "unavailable" }),
  "an error with an unknown code": () =>
    Object.assign(new Error("newer"), { name: "LicenseError", code: "on_strike" }),
  "an error with a verdict's code": () =>
    Object.assign(new Error("sly"), { name: "LicenseError", code: "valid" }),
};

interface Call {
  key: string;
  hwid: string | undefined;
  argumentCount: number;
  signal: AbortSignal;
  settle: (plan: Plan) => void;
}

export const calls: Call[] = [];
export const events: { type: string; target: string; detail: Record<string, unknown> }[] = [];
export const storeCalls: string[] = [];

/** The members of a cause, which an Error would lose on its way to the test. */
function plain(cause: unknown): object | undefined {
  return cause instanceof Error ? { ...cause, message: cause.message } : undefined;
}

for (const type of ["whop-license-valid", "whop-license-refused", "whop-license-error"] as const) {
  document.addEventListener(type, (event) => {
    const { detail } = event;
    events.push({
      type,
      target: (event.composedPath()[0] as Element).id,
      detail:
        detail instanceof LicenseError
          ? { ...detail, message: detail.message, cause: plain(detail.cause), own: true }
          : structuredClone({ ...detail }),
    });
  });
}

export function validator(): GateValidator {
  return {
    validateLicense: (...args) =>
      new Promise<Verdict>((resolve, reject) => {
        const [key, hwid, options] = args;
        if (!options?.signal) throw new Error("no signal");
        calls.push({
          key,
          hwid,
          argumentCount: args.length,
          signal: options.signal,
          settle(plan) {
            if ("verdict" in plan) resolve(plan.verdict as Verdict);
            else if ("throws" in plan) reject(odd[plan.throws]());
            else reject(new LicenseError(plan.error, plan.message ?? "for the test", plan));
          },
        });
      }),
  };
}

const stores: Record<string, () => KeyStore> = {
  map: () => mapStore(new Map()),
  filled: () => mapStore(new Map([["whop-license-key", "STORED-KEY"]])),
  corrupt: () => ({ get: () => ({ not: "a string" }), set: () => {}, remove: () => {} }),
  huge: () => ({ get: () => "x".repeat(1_000_000), set: () => {}, remove: () => {} }),
  throwing: () => ({
    get() {
      throw new Error("get");
    },
    set() {
      throw new Error("set");
    },
    remove() {
      throw new Error("remove");
    },
  }),
  rejecting: () => ({
    get: () => Promise.reject(new Error("get")),
    set: () => Promise.reject(new Error("set")),
    remove: () => Promise.reject(new Error("remove")),
  }),
  hanging: () => {
    const never = (): Promise<never> => new Promise(() => {});
    return { get: never, set: never, remove: never };
  },
};

function mapStore(map: Map<string, string>): KeyStore {
  return {
    async get(name) {
      return map.get(name);
    },
    async set(name, value) {
      storeCalls.push(`set ${value}`);
      map.set(name, value);
    },
    async remove(name) {
      storeCalls.push("remove");
      map.delete(name);
    },
  };
}

export interface GateOptions {
  id?: string;
  attributes?: Record<string, string>;
  store?: string;
  texts?: GateTextsInput;
  machineId?: string;
  /** How the validator is given. */
  validator?: "object" | "promise" | "function" | "rejected" | "later" | "none";
  content?: string;
}

/** What stands in for the browser helper's extension. */
export const helper = {
  /** How it stands; without the extension, nothing answers. */
  state: "no_extension" as HelperState,
  /** Whether it answers what it is asked for the id. */
  answers: true,
  /** What it says when it is asked for the id, if that is not its state. */
  says: undefined as HelperState | undefined,
  id: "ab".repeat(32),
  asked: [] as { ask: string; scheme: string }[],
};

addEventListener("message", ({ data }: MessageEvent<HelperRequest>) => {
  if (data.to !== "extension" || helper.state === "no_extension") return;
  const { id, ask, scheme } = data;
  helper.asked.push({ ask, scheme });
  const reply = (answer: HelperAnswer) =>
    postMessage({ protocol: data.protocol, to: "page", id, answer }, self.origin);
  reply({ received: true });
  if (ask === "state") reply({ state: helper.state });
  else if (helper.answers) {
    const reason = helper.says ?? helper.state;
    if (reason !== "ready") reply({ error: { reason, message: `for the test: ${reason}` } });
    else reply({ machineId: { id: helper.id, scheme, warnings: [] } });
  }
});

/** Resolves once all questions that were sent to the helper before have reached it. */
export function delivered(): Promise<void> {
  return new Promise((done) => {
    const last = Math.random();
    addEventListener("message", function hear({ data }) {
      if (data.last !== last) return;
      removeEventListener("message", hear);
      done();
    });
    postMessage({ last }, self.origin);
  });
}

/** Adds a gate, as a page would. */
export function add(options: GateOptions = {}): WhopLicenseGate {
  const gate = document.createElement("whop-license-gate");
  gate.id = options.id ?? "gate";
  for (const [name, value] of Object.entries(options.attributes ?? {})) {
    gate.setAttribute(name, value);
  }
  const content = document.createElement("p");
  content.className = "content";
  content.textContent = options.content ?? "What the customer paid for. ";
  const button = document.createElement("button");
  button.textContent = "Inside";
  content.append(button);
  gate.append(content);
  if (options.texts) gate.texts = options.texts;
  if (options.machineId !== undefined) gate.machineId = options.machineId;
  const made = options.store && stores[options.store];
  if (made) gate.store = made();
  else if (options.store) gate.store = options.store as "local";
  document.querySelector("#place")?.append(gate);
  setValidator(gate, options.validator ?? "object");
  return gate;
}

export function setValidator(gate: WhopLicenseGate, how: GateOptions["validator"]): void {
  if (how === "object") gate.validator = validator();
  if (how === "promise") gate.validator = Promise.resolve(validator());
  if (how === "function") gate.validator = () => Promise.resolve(validator());
  if (how === "rejected") {
    gate.validator = Promise.reject(new LicenseError("load_failed", "not loaded"));
  }
}

/** Gives a gate the package's own validator, which may ask the simulator of Whop by itself. */
export function useReal(gate: WhopLicenseGate, endpoint: string, apiKey: string): void {
  gate.validator = async () => {
    const { validateLicense } = await loadValidator({ endpoint });
    return {
      validateLicense: (licenseKey, hwid, options) =>
        validateLicense(licenseKey, hwid, { ...options, apiKey, dangerouslyAllowBrowser: true }),
    };
  };
}
