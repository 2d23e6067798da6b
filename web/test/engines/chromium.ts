import { launchBrowser } from "../helpers/browser.js";
import { type Engine, result, source } from "./engine.js";

export async function chromium(): Promise<Engine> {
  const browser = await launchBrowser();
  return {
    close: () => browser.close(),
    async open() {
      const context = await browser.newContext();
      const page = await context.newPage();
      return {
        goto: async (url) => {
          await page.goto(url);
        },
        evaluate: async <A, R>(run: (argument: A) => R | Promise<R>, argument?: A): Promise<R> =>
          result(await page.evaluate<string>(source(run, argument))),
        type: (text) => page.keyboard.type(text),
        press: (key) => page.keyboard.press(key),
        close: () => context.close(),
      };
    },
  };
}
