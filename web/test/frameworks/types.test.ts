// The types, in the oldest supported TypeScript and in newer ones, with
// each module resolution and each framework's own types.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { newProject, packages } from "./project.js";

const react = `
import "whop-license/element/react";
import type { ReactElement } from "react";
import { loadValidator } from "whop-license";

const validator = () => loadValidator({ endpoint: "https://license.example.com" });

export const gate: ReactElement = (
  <whop-license-gate
    key="gate"
    className="gate"
    store="local"
    buy-url="https://example.com"
    machineId={() => "m"}
    texts={{ title: "Hi" }}
    validator={validator}
    onwhop-license-valid={({ detail }) => detail.membership.id}
    ref={(element) => {
      if (element) element.validator = validator;
    }}
  >
    <p slot="fields" />
  </whop-license-gate>
);
// @ts-expect-error: a validator is an object, a promise or a function
export const wrong: ReactElement = <whop-license-gate validator="https://license.example.com" />;
`;

const preact = react
  .replace("/element/react", "/element/preact")
  .replace('{ ReactElement } from "react"', '{ JSX } from "preact"')
  .replaceAll("ReactElement", "JSX.Element")
  .replace("className", "class");

const solid = `
import "whop-license/element/solid";
import type { JSX } from "solid-js";
import { loadValidator } from "whop-license";

const validator = () => loadValidator({ endpoint: "https://license.example.com" });

export const gate: JSX.Element = (
  <whop-license-gate
    class="gate"
    store="local"
    prop:machineId={() => "m"}
    prop:validator={validator}
    on:whop-license-valid={({ detail }) => detail.membership.id}
  />
);
// @ts-expect-error: a validator is an object, a promise or a function
export const wrong: JSX.Element = <whop-license-gate prop:validator="x" />;
`;

const vue = `
import "whop-license/element/vue";
import type { GlobalComponents } from "vue";

type Props = InstanceType<GlobalComponents["whop-license-gate"]>["$props"];
export const props: Props = { store: "local", machineId: () => "m", class: "gate" };
// @ts-expect-error: a validator is an object, a promise or a function
export const wrong: Props = { validator: "x" };
`;

const svelte = `
import "whop-license/element/svelte";
import type { SvelteHTMLElements } from "svelte/elements";

type Props = SvelteHTMLElements["whop-license-gate"];
export const props: Props = {
  store: "local",
  machineId: () => "m",
  "onwhop-license-valid": ({ detail }) => detail.membership.id,
};
// @ts-expect-error: a validator is an object, a promise or a function
export const wrong: Props = { validator: "x" };
`;

/** Every entry that has types. */
const entries = `
import { loadValidator, LicenseError, type Verdict } from "whop-license";
import { WhopLicenseGate, type GateTextsInput } from "whop-license/element";
import { loadMainValidator } from "whop-license/electron/renderer";
import { createSidecar, type Sidecar } from "whop-license/sidecar";
import { preloadPath, registerLicenseHost } from "whop-license/electron/main";
import "whop-license/electron/preload";

export const sidecar: Sidecar = createSidecar();
export const path: string = preloadPath;
registerLicenseHost({ origins: ["app://my-app"] });
export async function check(gate: WhopLicenseGate, texts: GateTextsInput): Promise<Verdict | string> {
  gate.texts = texts;
  await loadMainValidator();
  // @ts-expect-error: the endpoint is needed
  await loadValidator({});
  const { validateLicense } = await loadValidator({ endpoint: "https://license.example.com" });
  return validateLicense("k").catch((error) => (error instanceof LicenseError ? error.code : ""));
}
`;

const bundler = ["--module", "esnext", "--moduleResolution", "bundler"];
const node10 = ["--module", "commonjs", "--moduleResolution", "node", "--esModuleInterop"];
const node16 = ["--module", "node16", "--moduleResolution", "node16"];
const jsx = (source: string): string[] => ["--jsx", "react-jsx", "--jsxImportSource", source];

interface Case {
  file: string;
  text: string;
  options: string[];
  /** The compilers that support the options. Default: all. */
  compilers?: RegExp;
}

const cases: Record<"types" | "types-older", Case[]> = {
  types: [
    { file: "react.tsx", text: react, options: [...bundler, ...jsx("react")] },
    { file: "preact.tsx", text: preact, options: [...bundler, ...jsx("preact")] },
    {
      file: "solid.tsx",
      text: solid,
      options: [...bundler, "--jsx", "preserve", "--jsxImportSource", "solid-js"],
    },
    { file: "vue.ts", text: vue, options: bundler },
    { file: "svelte.ts", text: svelte, options: bundler },
    { file: "entries.ts", text: entries, options: bundler },
    { file: "node10.ts", text: entries, options: node10, compilers: /-5/ },
    { file: "node16.cts", text: entries, options: node16 },
    { file: "node16.mts", text: entries, options: node16 },
  ],
  "types-older": [
    { file: "react.tsx", text: react, options: [...bundler, ...jsx("react")] },
    { file: "preact.tsx", text: preact, options: [...bundler, ...jsx("preact")] },
    { file: "svelte.ts", text: svelte, options: bundler },
    { file: "react10.tsx", text: react, options: [...node10, ...jsx("react")] },
  ],
};

for (const lock of ["types", "types-older"] as const) {
  suite(lock, () => {
    test("each compiler", async (t) => {
      const project = await newProject();
      t.after(() => project.remove());
      await project.install(lock);
      await project.run("npm", "install", "--offline", ...(await packages()));
      const dependencies = JSON.parse(
        await project.run("npm", "pkg", "get", "devDependencies"),
      ) as Record<string, string>;
      const compilers = Object.keys(dependencies).filter((name) => name.startsWith("typescript-"));
      for (const { file, text, options, compilers: these = /./ } of cases[lock]) {
        await writeFile(join(project.folder, file), text);
        for (const compiler of compilers.filter((name) => these.test(name))) {
          await t.test(`${file} with ${compiler}`, async () => {
            const tsc = join("node_modules", compiler, "bin/tsc");
            const strict = ["--noEmit", "--strict", "--target", "es2022", "--skipLibCheck"];
            const lib = ["--lib", "es2022,dom,dom.iterable", "--types", "node"];
            await project.run("node", tsc, ...strict, ...lib, ...options, file);
          });
        }
      }
    });
  });
}
