// Runs in the page: what the tests call there, and how they get an answer out.
import {
  LicenseError,
  type LoadOptions,
  loadValidator,
  type Validator,
  type Verdict,
} from "../../launcher/whop-license/index.js";

/** An outcome as plain data, which can leave the page. */
export interface Answer {
  verdict?: Verdict;
  error?: {
    name: string;
    code: string;
    message: string;
    retryable: boolean;
    status?: number | undefined;
    retryAfterMs?: number | undefined;
    /** Whether it is the package's own class. */
    own: boolean;
  };
}

export async function answerOf(promise: Promise<Verdict>): Promise<Answer> {
  try {
    return { verdict: await promise };
  } catch (thrown) {
    const error = thrown as LicenseError;
    return {
      error: {
        name: error.name,
        code: error.code,
        message: error.message,
        retryable: error.retryable,
        status: error.status,
        retryAfterMs: error.retryAfterMs,
        own: error instanceof LicenseError,
      },
    };
  }
}

const loaded = new Map<string, Promise<Validator>>();

/** One validator for each endpoint, as a page would have it. */
export function load(endpoint: string, options: Partial<LoadOptions> = {}): Promise<Validator> {
  let validator = loaded.get(endpoint);
  if (!validator) {
    validator = loadValidator({ endpoint, ...options });
    loaded.set(endpoint, validator);
  }
  return validator;
}

/** Tries to load, and tells the error's code and message. */
export async function loadError(options: LoadOptions): Promise<{ code: string; message: string }> {
  try {
    await loadValidator(options);
  } catch (error) {
    if (error instanceof LicenseError) return { code: error.code, message: error.message };
    throw error;
  }
  return { code: "loaded", message: "" };
}
