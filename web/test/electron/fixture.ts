// Runs the fixture app, with a gateway and a simulator of Whop behind it.

import { randomUUID } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { Page } from "playwright-core";
import { makeSigningKey, type Servers, sampleProduct, startServers } from "../../servers.js";
import {
  type AppOptions,
  launch,
  openSite,
  packageFolder,
  type RunningApp,
  type Site,
} from "./app.js";
import type { Fixture } from "./fixture/main.js";
import type { Outcome } from "./fixture/page.js";

type InPage = typeof import("./fixture/page.js");

export const origin = "app://fixture";
export const pageUrl = `${origin}/page.html`;

/** A policy under which everything must work. */
export const policy = (endpoint: string): string =>
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; img-src data:; frame-src *; " +
  `connect-src ${endpoint}; base-uri 'none'; form-action 'none'; ` +
  "require-trusted-types-for 'script'; trusted-types 'none'";

/** A folder that is removed when this process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "whop-license-electron-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Installs an app, by default the fixture, with a copy of the package, whose files a test may change. */
export function install(source = join(import.meta.dirname, "fixture")): {
  folder: string;
  package: string;
} {
  const folder = temporaryFolder();
  cpSync(source, folder, { recursive: true });
  const installed = join(folder, "node_modules/whop-license");
  for (const part of ["package.json", "dist"]) {
    cpSync(join(packageFolder, part), join(installed, part), { recursive: true });
  }
  const scoped = join(packageFolder, "node_modules/@whop-license");
  if (existsSync(scoped))
    cpSync(scoped, join(folder, "node_modules/@whop-license"), { recursive: true });
  return { folder, package: installed };
}

/** A gateway that signs leases and serves the fixture's pages, with a simulator of Whop behind it. */
export interface Behind {
  endpoint: string;
  publicKey: string;
  /** Where the fixture is served. There are two, for two apps at once. */
  sites: [Site, Site];
  /** Adds a membership, and returns its license key. */
  addMembership(fields?: object): Promise<string>;
  /** What Whop has stored for a key. */
  metadataOf(licenseKey: string): Promise<unknown>;
  /** Changes what Whop has stored. */
  change(licenseKey: string, fields: object): Promise<void>;
  servers: Servers;
  stop(): Promise<void>;
}

export async function startBehind(appOrigin = origin): Promise<Behind> {
  const sites: Behind["sites"] = [await openSite(), await openSite()];
  const { file, publicKey, remove } = await makeSigningKey();
  const memberships = join(temporaryFolder(), "memberships.json");
  writeFileSync(memberships, "[]");
  const servers = await startServers({
    origins: sites.map((site) => site.originOf(appOrigin)),
    memberships,
    gatewayArgs: [`--signing-key=${file}`, "--cache-ttl=0s"],
  });
  const control = async (path: string, method: string, body?: object): Promise<Response> => {
    const response = await fetch(`${servers.simulator}/sim/${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`whopsim: ${await response.text()}`);
    return response;
  };
  return {
    endpoint: servers.endpoint,
    publicKey,
    sites,
    servers,
    async addMembership(fields = {}) {
      const key = `ELECTRON-${randomUUID().toUpperCase()}`;
      await control("memberships", "POST", { license_key: key, product: sampleProduct, ...fields });
      return key;
    },
    async metadataOf(key) {
      const response = await control(`memberships/${key}`, "GET");
      return ((await response.json()) as { metadata: unknown }).metadata;
    },
    async change(key, fields) {
      await control(`memberships/${key}`, "POST", fields);
    },
    async stop() {
      await Promise.all([servers.stop(), remove(), ...sites.map((site) => site.close())]);
    },
  };
}

export interface Started {
  app: RunningApp;
  page: Page;
  userData: string;
}

/** Starts the fixture app, and quits it when the tests of the file are over. */
export async function start(
  fixture: Omit<Fixture, "url" | "preloads"> & Partial<Fixture>,
  options: Partial<AppOptions> & Pick<AppOptions, "site">,
): Promise<Started> {
  const userData = options.userData ?? temporaryFolder();
  const app = await launch({
    folder: join(import.meta.dirname, "fixture"),
    userData,
    ...options,
    env: {
      FIXTURE: JSON.stringify({ url: pageUrl, preloads: ["ours"], ...fixture }),
      ...options.env,
    },
  });
  after(() => app.quit());
  await app.said(/^loaded$/m);
  return { app, page: await app.window(), userData };
}

/** Calls a function of the fixture's page. */
export function call<Name extends keyof InPage>(
  page: Page,
  name: Name,
  ...given: InPage[Name] extends (...given: infer Given) => unknown ? Given : never[]
): Promise<InPage[Name] extends (...given: never[]) => Promise<infer Value> ? Value : never> {
  return page.evaluate(
    async ({ name, given }) => {
      const page = await import(String("/page.js"));
      return typeof page[name] === "function" ? page[name](...given) : page[name];
    },
    { name: name as string, given: given as unknown[] },
  ) as never;
}

/** What the main process answers to a preload that may send anything. */
export function raw(
  page: Page | import("playwright-core").Frame,
  channel: string,
  ...given: unknown[]
): Promise<{ value?: unknown; error?: { code: string; message: string } }> {
  return page.evaluate(
    ([channel, ...given]) =>
      (
        globalThis as unknown as { raw: { invoke(...given: unknown[]): Promise<never> } }
      ).raw.invoke(channel, ...given),
    [channel, ...given],
  );
}

/** The code of a verdict or error. */
export function codeOf(outcome: Outcome): string {
  return "verdict" in outcome
    ? outcome.verdict.code
    : String(outcome.error.code ?? outcome.error.name);
}
