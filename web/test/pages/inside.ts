// Runs in a page of Firefox or WebKit, as one script that is put there: finds
// elements as Playwright does, through shadow trees, and makes the time.
import { type Clock, install } from "@sinonjs/fake-timers";
import { computeAccessibleName, getRole } from "dom-accessibility-api";

export type Step =
  | { css: string; hasText?: string | RegExp | undefined }
  | { role: string; name?: string | RegExp | undefined; level?: number | undefined }
  | { text: string | RegExp; exact?: boolean | undefined }
  | { nth: number };

type Root = Document | Element;

/** Each element within, those of shadow trees too, in order. */
function* within(root: Root | ShadowRoot): Generator<Element> {
  const inside = root instanceof Element ? root.shadowRoot : null;
  if (inside) yield* within(inside);
  for (const child of root.children) {
    yield child;
    yield* within(child);
  }
}

const spaced = (text: string): string => text.replace(/\s+/g, " ").trim();

function matches(text: string, pattern: string | RegExp, exact = false): boolean {
  if (pattern instanceof RegExp) return pattern.test(text);
  if (exact) return text === spaced(pattern);
  return text.toLowerCase().includes(spaced(pattern).toLowerCase());
}

const textOf = (element: Element): string =>
  ["SCRIPT", "STYLE", "NOSCRIPT", "HEAD"].includes(element.tagName)
    ? ""
    : spaced(element.textContent ?? "");

/** Whether screen readers see it. */
const isTold = (element: Element): boolean =>
  element.checkVisibility({ visibilityProperty: true }) && !element.closest("[aria-hidden=true]");

const levelOf = (element: Element): number =>
  Number(element.getAttribute("aria-level") ?? element.localName.slice(1));

function find(roots: Root[], step: Step): Element[] {
  if ("nth" in step) {
    const found = (roots as Element[]).at(step.nth);
    return found ? [found] : [];
  }
  const all = [...new Set(roots.flatMap((root) => [...within(root)]))];
  if ("css" in step) {
    const { css, hasText } = step;
    return all.filter((e) => e.matches(css) && (!hasText || matches(textOf(e), hasText)));
  }
  if ("role" in step) {
    const { role, name, level } = step;
    return all.filter(
      (e) =>
        getRole(e) === role &&
        isTold(e) &&
        (level === undefined || levelOf(e) === level) &&
        (name === undefined || matches(spaced(computeAccessibleName(e)), name)),
    );
  }
  const { text, exact } = step;
  const has = (e: Element): boolean => matches(textOf(e), text, exact);
  all.push(...roots.filter((root) => root instanceof Element));
  return all.filter((e) => has(e) && ![...e.children].some(has));
}

export function locate(steps: Step[]): Element[] {
  return steps.reduce<Root[]>(find, [document]) as Element[];
}

export function isVisible(element: Element): boolean {
  const { width, height } = element.getBoundingClientRect();
  return width > 0 && height > 0 && element.checkVisibility({ visibilityProperty: true });
}

/** Where to click it, or undefined while it can't be. */
export function point(element: Element, force: boolean): { x: number; y: number } | undefined {
  const disabled = element.matches(":disabled, [aria-disabled=true]");
  if (!isVisible(element) || (disabled && !force)) return undefined;
  element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  const { x, y, width, height } = element.getBoundingClientRect();
  return { x: x + width / 2, y: y + height / 2 };
}

/** Enters a text in place of the one that is there, as by a paste. */
export function fill(element: HTMLInputElement, text: string): void {
  element.focus();
  element.select();
  insert(text);
}

export function insert(text: string): void {
  document.execCommand(text === "" ? "delete" : "insertText", false, text);
}

/** The page's clock, once it has been replaced. */
let clock: Clock | undefined;

export function startClock(): void {
  clock = install({ shouldAdvanceTime: true, toNotFake: ["nextTick", "queueMicrotask"] });
}

export async function moveClock(how: keyof typeof moves, value: number): Promise<void> {
  if (!clock) throw new Error("the clock has not been replaced");
  await moves[how](clock, value);
}

const moves = {
  pauseAt(clock: Clock, time: number) {
    clock.setTickMode({ mode: "manual" });
    clock.jump(Math.max(0, time - clock.Date.now()));
  },
  async runFor(clock: Clock, ms: number) {
    await clock.tickAsync(ms);
  },
  fastForward(clock: Clock, ms: number) {
    clock.jump(ms);
  },
  setSystemTime(clock: Clock, time: number) {
    clock.setSystemTime(time);
  },
};
