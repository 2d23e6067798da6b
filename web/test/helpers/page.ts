import { type LocalServer, listen, staticFiles } from "../../static-server.js";
import type { Page } from "../engines/engine.js";
import type { Answer } from "../pages/harness.js";

type Harness = typeof import("../pages/harness.js");

/** A policy under which the package must work. */
export const strictPolicy = (endpoint: string): string =>
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; " +
  `connect-src 'self' ${endpoint}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; ` +
  "require-trusted-types-for 'script'; trusted-types 'none'";

/** Serves everything that was built, launcher, package and test pages, at one origin. */
export async function servePages(policy?: string): Promise<LocalServer> {
  const server = await listen();
  const headers: Record<string, string> = policy ? { "Content-Security-Policy": policy } : {};
  server.handle(staticFiles(`${import.meta.dirname}/../..`, { headers }));
  return server;
}

export const blankPage = "/test/pages/blank.html";
export const packagePath = "/launcher/whop-license";

/** Everything that a page must not report: policy violations, errors, exceptions. */
export function complaints(page: Page): string[] {
  const list: string[] = [];
  page.on("pageerror", (error) => list.push(`exception: ${error.message}`));
  page.on("console", (message) => {
    const text = message.text();
    // The browser itself reports every failed request and every status from 400.
    if (message.type() === "error" && !text.startsWith("Failed to load resource")) list.push(text);
  });
  return list;
}

export interface Question {
  key: string;
  hwid?: string | Record<string, string>;
  options?: Record<string, unknown>;
}

/** Asks through the package in a page, all at once, and returns the answers in order. */
export function askAll(page: Page, endpoint: string, questions: Question[]): Promise<Answer[]> {
  return page.evaluate(
    async ({ endpoint, questions, path }) => {
      const { answerOf, load }: Harness = await import(path);
      const { validateLicense } = await load(endpoint);
      return Promise.all(
        questions.map(({ key, hwid, options }) => answerOf(validateLicense(key, hwid, options))),
      );
    },
    { endpoint, questions, path: "/test/pages/harness.js" },
  );
}

export async function ask(page: Page, endpoint: string, question: Question): Promise<Answer> {
  const [answer] = await askAll(page, endpoint, [question]);
  if (!answer) throw new Error("no answer");
  return answer;
}

/** The code of a verdict or error. */
export function codeOf(answer: Answer | undefined): string | undefined {
  return answer?.verdict?.code ?? answer?.error?.code;
}
