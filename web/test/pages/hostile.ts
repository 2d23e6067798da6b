// Values that no caller should pass, made in the page since few of them could
// be sent there. Each case names the argument that the error must name.
type Ask = (...args: unknown[]) => Promise<unknown>;

export interface Case {
  name: string;
  argument: string;
  args: unknown[];
}

const key = "HOSTILE";
const megabytes = "x".repeat(10 << 20);
const thrower = {
  get a(): string {
    throw new Error("from a getter");
  },
};
const polluted = JSON.parse('{"__proto__": {"HWID": "from a prototype"}, "constructor": 1}');
const cyclic: Record<string, unknown> = {};
cyclic.self = cyclic;

function trap(): object {
  return new Proxy(
    {},
    {
      get() {
        throw new Error("from a proxy");
      },
      ownKeys() {
        throw new Error("from a proxy");
      },
      getPrototypeOf() {
        throw new Error("from a proxy");
      },
    },
  );
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

const noString: [string, unknown][] = [
  ["a number", 7],
  ["NaN", Number.NaN],
  ["a boolean", true],
  ["null", null],
  ["a bigint", 7n],
  ["a symbol", Symbol("s")],
  ["a function", () => "x"],
  ["an array", ["x"]],
  ["a String object", new String("x")],
  [
    "an object whose toString throws",
    {
      toString: () => {
        throw new Error("toString");
      },
    },
  ],
  ["a proxy that throws", trap()],
  ["a revoked proxy", revoked()],
];

const badKeys: [string, unknown][] = [
  ...noString,
  ["undefined", undefined],
  ["an object", {}],
  ["empty", ""],
  ["white space", " \t\n\u00a0"],
  ["10 MB", megabytes],
  ["201 characters", "x".repeat(201)],
  ["a lone high surrogate", "A\ud800"],
  ["a lone low surrogate", "\udc00A"],
  ...["/", "?", "#", "%", "\\", " ", "\0", "\n", "\u007f", "\u0085"].map((c): [string, unknown] => [
    `containing ${JSON.stringify(c)}`,
    `A${c}B`,
  ]),
  ["a dot", "."],
  ["two dots", ".."],
];

const badHwids: [string, unknown][] = [
  ...noString,
  ["10 MB", megabytes],
  ["a lone surrogate", "A\ud800"],
  ["an object with a getter that throws", thrower],
  ["an object with a number", { HWID: 7 }],
  ["an object with undefined", { HWID: undefined }],
  ["an object with an object", { HWID: {} }],
  ["an object with a symbol as value", { HWID: Symbol("s") }],
  ["an object with a symbol as name", { [Symbol("s")]: "x" }],
  ["an object with a lone surrogate as name", { "\ud800": "x" }],
  ["an object with 10 MB", { HWID: megabytes }],
  ["an object with 51 members", Object.fromEntries(Array.from({ length: 51 }, (_, i) => [i, "x"]))],
  [
    "an object with a million members",
    Object.fromEntries(Array.from({ length: 1e6 }, (_, i) => [i, ""])),
  ],
  ["a cyclic object", cyclic],
  ["a polluted object", polluted],
  ["a date", new Date()],
  ["a map", new Map([["HWID", "x"]])],
  [
    "an instance of a class",
    new (class Machine {
      HWID = "x";
    })(),
  ],
];

const badOptions: [string, string, unknown][] = [
  ...noString.map(([name, value]): [string, string, unknown] => ["options", name, value]),
  ["options", "a string", "x"],
  ["options", "an unknown option", { timeout: 1 }],
  ["options", "a getter that throws", thrower],
  ["options", "a polluted object", polluted],
  ["options", "a symbol as name", { [Symbol("s")]: 1 }],
  ["endpoint", "a number", { endpoint: 7 }],
  ["endpoint", "no URL", { endpoint: "nowhere" }],
  ["endpoint", "http elsewhere", { endpoint: "http://example.com" }],
  ["endpoint", "another scheme", { endpoint: "javascript:alert(1)" }],
  ["endpoint", "10 MB", { endpoint: `https://${megabytes}` }],
  ["apiKey", "a number", { apiKey: 7 }],
  ["apiKey", "empty", { apiKey: "" }],
  ["apiKey", "a line feed", { apiKey: "a\nX-Header: b", dangerouslyAllowBrowser: true }],
  ["apiKey", "not allowed here", { apiKey: "secret" }],
  ["apiKey", "expressly not allowed", { apiKey: "secret", dangerouslyAllowBrowser: false }],
  ["dangerouslyAllowBrowser", "a string", { apiKey: "secret", dangerouslyAllowBrowser: "true" }],
  ["dangerouslyAllowBrowser", "a number", { apiKey: "secret", dangerouslyAllowBrowser: 1 }],
  ["timeoutMs", "zero", { timeoutMs: 0 }],
  ["timeoutMs", "negative", { timeoutMs: -1 }],
  ["timeoutMs", "a fraction", { timeoutMs: 0.5 }],
  ["timeoutMs", "NaN", { timeoutMs: Number.NaN }],
  ["timeoutMs", "infinite", { timeoutMs: Number.POSITIVE_INFINITY }],
  ["timeoutMs", "a string", { timeoutMs: "1000" }],
  ["timeoutMs", "a bigint", { timeoutMs: 1000n }],
  ["maxAttempts", "zero", { maxAttempts: 0 }],
  ["maxAttempts", "a thousand", { maxAttempts: 1000 }],
  ["maxAttempts", "null", { maxAttempts: null }],
  ["signal", "an object", { signal: {} }],
  ["signal", "a controller", { signal: new AbortController() }],
  ["signal", "a proxy that throws", { signal: trap() }],
];

export const cases: Case[] = [
  ...badKeys.map(([name, value]) => ({ name, argument: "licenseKey", args: [value, "one"] })),
  ...badHwids.map(([name, value]) => ({ name, argument: "hwid", args: [key, value] })),
  ...badOptions.map(([argument, name, value]) => ({ name, argument, args: [key, "one", value] })),
];

/** Calls with each, and tells for each what is wrong with the outcome, if anything. */
export async function trySomeHarm(validateLicense: Ask): Promise<string[]> {
  const wrong: string[] = [];
  for (const { name, argument, args } of cases) {
    let outcome: string;
    try {
      outcome = `resolved with ${JSON.stringify(await validateLicense(...args))}`;
    } catch (thrown) {
      const { name, code, message } = thrown as Error & { code: string };
      const good =
        name === "LicenseError" &&
        code === "invalid_argument" &&
        message.startsWith(`${argument}: `) &&
        message.length < 500;
      if (good) continue;
      outcome = `rejected with ${name} ${code}: ${message?.slice(0, 200)}`;
    }
    wrong.push(`${argument}, ${name}: ${outcome}`);
  }
  return wrong;
}
