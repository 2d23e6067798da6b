// Let's Encrypt's CA for tests, with a DNS in which every name is this machine's.
import { execFileSync, spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { join } from "node:path";
import { program } from "../../servers.js";
import { freePort } from "../helpers/port.js";

const root = join(import.meta.dirname, "../../../..");

export interface CertificateAuthority {
  /** The URL of its directory. */
  directory: string;
  /** A file with who vouches for it, and for what it certifies. */
  roots: string;
  stop(): void;
}

/** Starts a CA that connects to these ports of a domain. */
export async function startCA(
  folder: string,
  ports: { http: number; tls: number },
): Promise<CertificateAuthority> {
  const [listen, management, dns, control] = await Promise.all(Array.from({ length: 4 }, freePort));
  const sources = execFileSync(
    "go",
    ["list", "-m", "-f", "{{.Dir}}", "github.com/letsencrypt/pebble/v2"],
    {
      cwd: join(root, ".ci/pebble"),
      encoding: "utf8",
    },
  ).trim();
  const own = join(sources, "test/certs/localhost");
  const config = {
    listenAddress: `127.0.0.1:${listen}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: join(own, "cert.pem"),
    privateKey: join(own, "key.pem"),
    httpPort: ports.http,
    tlsPort: ports.tls,
    keyAlgorithm: "ecdsa",
    retryAfter: { authz: 1, order: 1 },
  };
  const file = join(folder, "pebble.json");
  await writeFile(file, JSON.stringify({ pebble: config }));
  const resolver = `-dnsserver=127.0.0.1:${dns}`;
  const others = ["doh", "http01", "https01", "tlsalpn01", "defaultIPv6"].map(
    (name) => `-${name}=`,
  );
  const children = [
    run("pebble-challtestsrv", [resolver, `-management=127.0.0.1:${control}`, ...others]),
    run("pebble", [`-config=${file}`, resolver]),
  ];
  const authority = await readFile(join(sources, "test/certs/pebble.minica.pem"), "utf8");
  const roots = join(folder, "roots.pem");
  await writeFile(roots, authority + (await issuer(management ?? 0, authority)));
  return {
    directory: `https://localhost:${listen}/dir`,
    roots,
    stop: () => {
      for (const child of children) child.kill();
    },
  };
}

function run(name: string, args: string[]): ReturnType<typeof spawn> {
  const env = { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "0" };
  const child = spawn(program(name), args, { env, stdio: "ignore" });
  process.once("exit", () => child.kill());
  return child;
}

/** Who vouches for the CA's certificates, once it has started. */
async function issuer(port: number, ca: string): Promise<string> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; ) {
    const pem = await fetchText(`https://localhost:${port}/roots/0`, ca).catch(() => undefined);
    if (pem !== undefined) return pem;
  }
  throw new Error("the CA did not start");
}

function fetchText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { ca }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => resolve(text)).on("error", reject);
    }).on("error", reject);
  });
}
