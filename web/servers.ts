import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");

/** The path of a program that the build put into bin/. */
export function program(name: string): string {
  return join(root, "bin", process.platform === "win32" ? `${name}.exe` : name);
}

/** The memberships that the demo and the launcher start with. */
export const sampleMemberships = join(root, "web/memberships.json");
export const sampleProduct = "prod_demo";
export const sampleKeys = {
  good: "BETA-18DCE6-E146E733-5C8655W",
  elsewhere: "BETA-2B7D10-9F04C2AA-71E3D0W",
  canceled: "BETA-3C91F5-40B8E6D1-A2C47FW",
  unknown: "BETA-000000-00000000-000000W",
};

/** A program that has started and printed its URL. */
export interface Running {
  url: string;
  process: ChildProcess;
  /** Ends the program and waits until it has exited. */
  stop(): Promise<void>;
}

/**
 * Starts a program whose first line of output is the URL it listens on. The program ends
 * with this process. If it exits without printing a URL, this rejects with what it wrote
 * to stderr, which is also written to `log`.
 */
export async function start(
  name: string,
  args: string[],
  env: Record<string, string> = {},
  log?: NodeJS.WritableStream,
): Promise<Running> {
  const child = spawn(program(name), args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
  const kill = (): boolean => child.kill("SIGKILL");
  process.once("exit", kill);
  let lastWords = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-4000);
    log?.write(text);
  });
  const ended = new Promise<string>((done) => {
    child.once("error", (error) => done(error.message));
    child.once("close", (code, signal) => done(`ended with ${signal ?? code}\n${lastWords}`));
  });
  void ended.then(() => process.off("exit", kill));
  const lines = createInterface(child.stdout);
  const url = await Promise.race([
    once(lines, "line").then(([line]: string[]) => line ?? ""),
    ended.then((reason) => {
      throw new Error(`${name}: ${reason}`);
    }),
  ]);
  if (!URL.canParse(url)) {
    kill();
    throw new Error(`${name}: its first line of output is not a URL: ${url}`);
  }
  return {
    url,
    process: child,
    stop: async () => {
      kill();
      await ended;
    },
  };
}

export interface SigningKey {
  /** What `--signing-key` takes. */
  file: string;
  /** What apps are built with. */
  publicKey: string;
  remove(): Promise<void>;
}

/** Makes a key for leases, as an operator does. */
export async function makeSigningKey(): Promise<SigningKey> {
  const folder = await mkdtemp(join(tmpdir(), "whop-license-"));
  const file = join(folder, "signing-key.json");
  const publicKey = await keygen(file);
  return { file, publicKey, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Writes a new signing key to a file, and returns its public half. */
export async function keygen(file: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program("whop-license-gateway"), ["keygen", file]);
  const publicKey = /^public key +(\S+)$/m.exec(stdout)?.[1];
  if (publicKey === undefined) throw new Error(`keygen printed no public key: ${stdout}`);
  return publicKey;
}

export interface Servers {
  /** What a client is given as its endpoint. */
  endpoint: string;
  /** The simulator of Whop behind it. */
  simulator: string;
  stop(): Promise<void>;
}

export interface ServersOptions extends Omit<GatewayOptions, "simulator" | "apiKey"> {
  memberships?: string;
  /** Further flags of the simulator; `gatewayArgs` are the gateway's. */
  simulatorArgs?: string[];
}

export interface GatewayOptions {
  /** The simulator of Whop behind it, and the API key that it takes. */
  simulator: string;
  apiKey: string;
  product?: string;
  /** The gateway's port; default: a free one. */
  port?: number;
  /** The origins whose pages may call the endpoint. */
  origins?: string[];
  gatewayArgs?: string[];
  /** Gets the gateway's log as it is written. */
  log?: NodeJS.WritableStream;
}

/** Starts the gateway in front of a simulator, on a free loopback port. */
export function startGateway(options: GatewayOptions): Promise<Running> {
  return start(
    "whop-license-gateway",
    [
      `--listen=127.0.0.1:${options.port ?? 0}`,
      "--drain=0",
      `--upstream-url=${options.simulator}/api/v1`,
      `--product=${options.product ?? sampleProduct}`,
      ...(options.origins ?? []).map((origin) => `--allowed-origin=${origin}`),
      ...(options.gatewayArgs ?? []),
    ],
    { WHOP_API_KEY: options.apiKey },
    options.log,
  );
}

/** Starts the simulator and, in front of it, the gateway, on free loopback ports. */
export async function startServers(options: ServersOptions = {}): Promise<Servers> {
  const apiKey = randomBytes(16).toString("hex");
  const simulator = await start("whopsim", [
    "--listen=127.0.0.1:0",
    `--api-key=${apiKey}`,
    `--memberships=${options.memberships ?? sampleMemberships}`,
    ...(options.simulatorArgs ?? []),
  ]);
  try {
    const gateway = await startGateway({ ...options, simulator: simulator.url, apiKey });
    return {
      endpoint: gateway.url,
      simulator: simulator.url,
      stop: async () => {
        await Promise.all([gateway.stop(), simulator.stop()]);
      },
    };
  } catch (error) {
    await simulator.stop();
    throw error;
  }
}
