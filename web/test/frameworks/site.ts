// The servers behind a recipe's app, and a customer who opens it.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import type { Browser } from "playwright-core";
import { makeSigningKey, sampleKeys, startServers } from "../../servers.js";
import { type Handler, type LocalServer, listen } from "../../static-server.js";
import { launchBrowser } from "../helpers/browser.js";
import { complaints } from "../helpers/page.js";
import type { Project } from "./project.js";

export interface Site extends LocalServer {
  endpoint: string;
  /** The values in the docs' examples that these replace. */
  values: Record<string, string>;
  browser: Browser;
  /**
   * Opens the app as a customer: enters a wrong key and a good one, sees the
   * content, and sees it again after a reload. The console must have no error.
   */
  use(content: string): Promise<void>;
}

/** Starts a gateway that allows the origin at which the app will be served. */
export async function openSite(): Promise<Site> {
  const server = await listen();
  const signing = await makeSigningKey();
  const servers = await startServers({
    origins: [server.origin],
    gatewayArgs: [`--signing-key=${signing.file}`],
  });
  const browser = await launchBrowser();
  return {
    ...server,
    browser,
    endpoint: servers.endpoint,
    values: {
      "https://license.example.com": servers.endpoint,
      "YOUR-GATEWAY-PUBLIC-KEY": signing.publicKey,
    },
    use: (content) => use(browser, server.origin, content),
    close: async () => {
      await browser.close();
      await Promise.all([server.close(), servers.stop(), signing.remove()]);
    },
  };
}

async function use(browser: Browser, origin: string, content: string): Promise<void> {
  const page = await browser.newPage();
  const said = complaints(page);
  // The license is bound to this browser, so all apps use the same one.
  await page.addInitScript(() => localStorage.setItem("browserId", "a browser"));
  await page.goto(origin);
  const key = page.getByRole("textbox", { name: "License key" });
  const shown = page.getByText(content);
  await key.fill(sampleKeys.unknown);
  await key.press("Enter");
  await page.getByRole("heading", { name: "License key not found" }).waitFor();
  assert.equal(await shown.isVisible(), false);
  await key.fill(sampleKeys.good);
  await key.press("Enter");
  await shown.waitFor();
  await page.reload();
  await shown.waitFor();
  assert.deepEqual(said, []);
  await page.close();
}

/** A server that a project's own tool runs, and what ends it. */
export interface Running {
  url: string;
  stop(): Promise<void>;
}

/** Starts a project's own server, which says its URL, such as `http://localhost:3000`. */
export async function startServer(project: Project, ...command: string[]): Promise<Running> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    cwd: project.folder,
    env: project.env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const ended = once(child, "close");
  const stop = async (): Promise<void> => {
    // Ends the process group, because npm doesn't end what it runs.
    if (child.exitCode === null && child.pid) process.kill(-child.pid);
    await ended;
  };
  try {
    return { url: await urlOf(child, ended), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function urlOf(child: ChildProcess, ended: Promise<unknown>): Promise<string> {
  return new Promise((found, failed) => {
    let text = "";
    for (const pipe of [child.stdout, child.stderr]) {
      pipe?.setEncoding("utf8").on("data", (part: string) => {
        text += part;
        // Something comes after the port's last digit.
        const [url] = /http:\/\/(?:localhost|127\.0\.0\.1):\d+(?=\D)/.exec(text) ?? [];
        if (url) found(url);
      });
    }
    void ended.then(() => failed(new Error(`the server ended: ${text}`)));
  });
}

/** Forwards everything to a server whose address is known only after its start. */
export function passTo(url: string): Handler {
  return (incoming, response) => {
    const { method, headers } = incoming;
    const outgoing = request(new URL(incoming.url ?? "/", url), { method, headers });
    outgoing.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    outgoing.on("error", (error) => response.destroy(error));
    incoming.pipe(outgoing);
  };
}
