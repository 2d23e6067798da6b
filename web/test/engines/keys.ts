// Keys by the names that Playwright gives them, as WebDriver's actions.
import type { InputSource } from "./driver.js";

const codes: Record<string, string> = {
  Shift: "\uE008",
  Control: "\uE009",
  Enter: "\uE007",
  Tab: "\uE004",
  Escape: "\uE00C",
  Space: "\uE00D",
};

const code = (key: string): string => {
  const found = codes[key] ?? key;
  if ([...found].length !== 1) throw new Error(`no key is called ${key}`);
  return found;
};

const down = (key: string): object => ({ type: "keyDown", value: code(key) });
const up = (key: string): object => ({ type: "keyUp", value: code(key) });

const keyboard = (actions: object[]): InputSource[] => [{ type: "key", id: "keyboard", actions }];

/** Presses a key while holding those before it: `Shift+Tab`. */
export function press(keys: string): InputSource[] {
  const names = keys.split("+");
  return keyboard([...names.map(down), ...names.reverse().map(up)]);
}

export function type(text: string): InputSource[] {
  return keyboard([...text].flatMap((key) => [down(key), up(key)]));
}

/** Clicks at a point of the window. */
export function click({ x, y }: { x: number; y: number }): InputSource[] {
  return [
    {
      type: "pointer",
      id: "mouse",
      parameters: { pointerType: "mouse" },
      actions: [
        { type: "pointerMove", x: Math.round(x), y: Math.round(y) },
        { type: "pointerDown", button: 0 },
        { type: "pointerUp", button: 0 },
      ],
    },
  ];
}
