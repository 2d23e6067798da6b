// A page that asks the browser helper, in Chromium.
import type { Page } from "playwright-core";
import { packagePath } from "./page.js";

type Helper = typeof import("whop-license/helper");

/** The outcome of a call: an id, or why there is none. */
export interface Asked {
  id?: string;
  scheme?: string;
  code?: string;
  reason?: string;
  message?: string;
}

/** Asks the helper, as after a click in the page. */
export function askHelper(page: Page, options: object = {}): Promise<Asked> {
  return page.evaluate(
    async ({ path, options }): Promise<Asked> => {
      const { helperMachineId }: Helper = await import(path);
      return helperMachineId(options).catch(({ code, reason, message }) => ({
        ...{ code, reason, message },
      }));
    },
    { path: `${packagePath}/helper/index.js`, options },
  );
}

/** Sends raw messages to the content script, or whoever listens, and gathers what answers until the last is answered. */
export function sendRaw(
  page: Page,
  messages: unknown[],
): Promise<{ id: string; answer: object }[]> {
  return page.evaluate(
    (messages) =>
      new Promise((resolve) => {
        const answers: { id: string; answer: object }[] = [];
        const last = (messages.at(-1) as { id: string }).id;
        addEventListener("message", function listen({ data }) {
          if (data?.to !== "page" || "received" in data.answer) return;
          answers.push({ id: data.id, answer: data.answer });
          if (data.id !== last) return;
          removeEventListener("message", listen);
          resolve(answers);
        });
        for (const message of messages) window.postMessage(message, "*");
      }),
    messages,
  );
}

/** A request as whop-license/helper makes it, with something else in it. */
export const request = (id: string, other: object = {}): object => ({
  protocol: "whop-license-helper/1",
  to: "extension",
  id,
  ask: "state",
  scheme: "app-scoped",
  ...other,
});
