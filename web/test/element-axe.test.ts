// axe-core checks <whop-license-gate> in every state and style.
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { LicenseErrorReason } from "whop-license";
import { engineName, notIn } from "./engines/launch.js";
import {
  type GatePage,
  gateSuite,
  type OpenOptions,
  type Plan,
  refusal,
  valid,
} from "./helpers/gate.js";

const lacks = (reason: LicenseErrorReason): Plan => ({ error: "no_machine_id", reason });

const states: Record<string, (p: GatePage) => Promise<void>> = {
  idle: async () => {},
  "an empty field": (p) => p.submit(" "),
  checking: (p) => p.submit(),
  "a wrong key": (p) =>
    p.check({ error: "invalid_argument", message: "licenseKey: no", argument: "licenseKey" }),
  metadata_mismatch: async (p) => {
    await p.check(refusal("metadata_mismatch"));
    await p.page.getByText("Details for support").click();
  },
  not_found: (p) => p.check(refusal("not_found")),
  inactive: (p) => p.check(refusal("inactive")),
  unauthorized: (p) => p.check({ error: "unauthorized" }),
  "rate_limited, waiting": (p) => p.check({ error: "rate_limited", retryAfterMs: 60_000 }),
  unavailable: (p) => p.check({ error: "unavailable" }),
  "without the helper": (p) => p.check(lacks("no_extension")),
  "without the helper's program": (p) => p.check(lacks("no_program")),
  "without a consent": (p) => p.check(lacks("no_consent")),
  "refused by the helper": (p) => p.check(lacks("refused")),
  canceled: (p) => p.check({ error: "aborted" }),
  untrusted_response: (p) => p.check({ error: "untrusted_response" }),
  "open from a lease": (p) =>
    p.check(valid({ source: "lease", leaseExpiresAt: "2999-01-01T00:00:00.000Z" })),
  "open from a lease that ends soon": (p) => p.check(valid({ source: "lease" })),
};

const looks: [string, OpenOptions][] = [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["right to left", { dir: "rtl" }],
  [
    "dark, right to left, narrow",
    { colorScheme: "dark", dir: "rtl", viewport: { width: 320, height: 500 } },
  ],
  ["forced colors", { forcedColors: "active" }],
];

suite("the license gate under axe-core", () => {
  const open = gateSuite();

  const attributes = { "buy-url": "/buy", "support-url": "/support", "helper-url": "/helper" };
  for (const [look, options] of looks) {
    // In the others, the last two are enough for all of them.
    const skip =
      (engineName !== "chromium" && !options.viewport && !options.forcedColors) ||
      (!!options.forcedColors && notIn("webkit", "it has no forced colors"));
    test(`axe-core finds nothing: ${look}`, { skip }, async (t) => {
      const p = await open(t, { ...options, gate: false });
      for (const [name, reach] of Object.entries(states)) {
        await p.clear();
        await p.add({ attributes });
        await reach(p);
        assert.deepEqual(await p.violations(), [], name);
        const wide = await p.page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
        assert.equal(wide, false, `${name} must not scroll sideways`);
      }
      await p.clear();
      await p.add({ attributes, store: "filled" });
      assert.equal(await p.input.isVisible(), false);
      // Shown only after a moment.
      await p.gate
        .locator("[part=panel]")
        .evaluate((panel) => Promise.all(panel.getAnimations().map(({ finished }) => finished)));
      assert.deepEqual(await p.violations(), [], "starting");
    });
  }
});
