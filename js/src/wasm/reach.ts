// Finds out why a request failed. A page's fetch says only that it failed. Node's says
// more, in the cause of its cause.
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** A failure of fetch, in our own words. Its cause is what fetch has thrown. */
export class Unreachable extends Error {}

/** How long a page waits to see whether anything answers, in milliseconds. */
const PROBE_MS = 2000;
/** How long the result is reused, so that the attempts of one check probe once. */
const PROBE_HOLDS_MS = 10_000;

/** Explains failed requests. */
export class Reach {
  #probed: { base: string; until: number; answers: Promise<boolean | undefined> } | undefined;

  /** A `fetch` that rejects with {@link Unreachable}, unless it was aborted. */
  explaining(fetch: Fetch): Fetch {
    return async (url, init) => {
      const policy = watchPolicy(url);
      try {
        return await fetch(url, init);
      } catch (cause) {
        if (init.signal?.aborted) throw cause;
        // The rest of the address holds the license key.
        const base = url.slice(0, url.lastIndexOf("/api/v2/memberships/"));
        const code = codeOf(cause);
        const page = code === undefined ? pageOrigin() : undefined;
        const asked = () => this.#ask(fetch, base, init.signal);
        const message =
          page === undefined
            ? inProgram(base, code)
            : await inPage(base, page, policy.violated, asked);
        throw new Unreachable(message, { cause });
      } finally {
        policy.stop();
      }
    };
  }

  /** Whether anything answers at an address whose answers the page can't read; undefined if that isn't known. */
  #ask(fetch: Fetch, base: string, signal: RequestInit["signal"]): Promise<boolean | undefined> {
    const now = performance.now();
    if (this.#probed?.base === base && now < this.#probed.until) return this.#probed.answers;
    const answers = probe(fetch, base, signal);
    this.#probed = { base, until: now + PROBE_HOLDS_MS, answers };
    return answers;
  }
}

async function probe(
  fetch: Fetch,
  base: string,
  signal: RequestInit["signal"],
): Promise<boolean | undefined> {
  const init: RequestInit = {
    ...({ mode: "no-cors", cache: "no-store", credentials: "omit" } as const),
    referrerPolicy: "no-referrer",
    signal: signal ?? null,
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PROBE_MS);
  });
  const asked = Promise.resolve(fetch(`${base}/healthz`, init)).then(() => true);
  try {
    return await Promise.race([asked, late]);
  } catch {
    return signal?.aborted ? undefined : false;
  } finally {
    clearTimeout(timer);
    asked.catch(() => {});
  }
}

async function inPage(
  base: string,
  page: string,
  violated: () => boolean,
  ask: () => Promise<boolean | undefined>,
): Promise<string> {
  if (globalThis.navigator?.onLine === false) return "This device is offline.";
  // The event of a violation comes only after the failure.
  await new Promise((resolve) => setTimeout(resolve, 0));
  const { origin } = new URL(base);
  if (violated()) {
    return `The page's Content Security Policy forbids the request: add ${origin} to its connect-src.`;
  }
  const from = page === "null" ? "a page without an origin" : `a page of ${page}`;
  const check = "check the endpoint, and that the gateway is running";
  const allow =
    page === "null"
      ? "serve the page from a web server or a scheme of its own, and name that in the gateway's --allowed-origin"
      : `start the gateway with --allowed-origin=${page}`;
  const answers = origin === page ? false : await ask();
  if (answers === undefined) {
    return `${base} gave ${from} no answer: ${check}; or ${allow}.`;
  }
  if (!answers) return `Nothing answers at ${base} when asked by ${from}: ${check}.`;
  return (
    `${base} answers, but doesn't let ${from} read it: ${allow}. ` +
    "If it is allowed already, something in front of the gateway answers in its place."
  );
}

function inProgram(base: string, code: string | undefined): string {
  if (code === undefined) return `The endpoint is ${base}.`;
  return `The endpoint is ${base}, and the system says ${code}: ${adviceOn(code)}.`;
}

function adviceOn(code: string): string {
  if (/REFUSED/i.test(code)) return "nothing listens there";
  if (/NOTFOUND|EAI_AGAIN|NAME_NOT_RESOLVED/.test(code)) return "its name can't be resolved";
  if (/CERT|SIGNED|TLS|SSL|UNABLE_TO/.test(code)) {
    return "its certificate isn't trusted here; it may be that of a proxy";
  }
  return "the connection failed";
}

/** The system's code of a failure, from the error or one of its causes. */
export function codeOf(thrown: unknown): string | undefined {
  try {
    let cause = thrown;
    for (let depth = 0; depth < 5 && cause instanceof Object; depth++) {
      const { code, message, cause: next } = cause as Error & { code?: unknown };
      if (typeof code === "string" && /^[A-Za-z]\w{2,60}$/.test(code)) return code;
      // Electron's net.fetch has Chromium's codes in its message.
      const inText = /\bnet::(ERR_\w{1,60})/.exec(String(message))?.[1];
      if (inText) return inText;
      cause = next;
    }
  } catch {
    // What was thrown can't be read.
  }
  return undefined;
}

/** The origin of this page or worker; undefined outside of pages. */
function pageOrigin(): string | undefined {
  const { document, WorkerGlobalScope, origin } = globalThis as Record<string, unknown>;
  if (document === undefined && WorkerGlobalScope === undefined) return undefined;
  return typeof origin === "string" ? origin : undefined;
}

/** Listens for the event that the page's policy forbids a request to an address. */
function watchPolicy(url: string): { violated: () => boolean; stop: () => void } {
  let violated = false;
  const listen = (event: Event): void => {
    const { blockedURI, disposition } = event as SecurityPolicyViolationEvent;
    if (disposition === "enforce" && isAt(blockedURI, url)) violated = true;
  };
  globalThis.addEventListener?.("securitypolicyviolation", listen);
  return {
    violated: () => violated,
    stop: () => globalThis.removeEventListener?.("securitypolicyviolation", listen),
  };
}

function isAt(blocked: unknown, url: string): boolean {
  try {
    return new URL(String(blocked)).origin === new URL(url).origin;
  } catch {
    return false;
  }
}
