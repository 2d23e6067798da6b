// What a customer does in the launcher page, and what they are shown.
import type { Page } from "../engines/engine.js";

/** Enters a license key and has it checked; after a valid one, another. */
export async function enter(page: Page, key: string): Promise<void> {
  const another = page.getByRole("button", { name: "Check another license" });
  if (await another.isVisible()) await another.click();
  const other = page.getByRole("button", { name: "Use another key" });
  if (await other.isVisible()) await other.click();
  await page.getByRole("textbox", { name: "License key" }).fill(key);
  await page.keyboard.press("Enter");
}

export interface Shown {
  code: string;
  text: string;
  focused: boolean;
}

/** Waits for the outcome of a check, and reads it. */
export async function outcome(page: Page, timeout = 30_000): Promise<Shown> {
  await page.locator("whop-license-gate:not([state=checking])").waitFor({ timeout });
  return page.evaluate(() => {
    const gate = document.querySelector("whop-license-gate");
    const inside = gate?.shadowRoot;
    if (!gate || !inside) throw new Error("the page has no gate");
    const focused = (part: string): boolean =>
      inside.activeElement?.getAttribute("part") === part && document.activeElement === gate;
    if (gate.getAttribute("state") === "open") {
      const text = document.querySelector<HTMLElement>("#license")?.innerText ?? "";
      return { code: "valid", text, focused: focused("content") };
    }
    const result = inside.querySelector<HTMLElement>("[part=result]");
    if (!result || result.hidden) throw new Error("the page shows no outcome");
    const { code = "" } = result.dataset;
    return { code, text: result.innerText, focused: focused("result-title") };
  });
}
