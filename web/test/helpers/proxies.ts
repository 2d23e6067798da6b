// Real nginx and HAProxy in front of a gateway, set up as sellers do, and wrongly.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { freePort } from "./port.js";

export interface Proxies {
  nginx: string;
  haproxy: string;
  /** An nginx that takes hardly any headers. */
  strictNginx: string;
  stop(): Promise<void>;
}

/** Starts both in front of a gateway, with the paths that between.json names. */
export async function startProxies(gateway: string): Promise<Proxies> {
  const folder = await mkdtemp(join(tmpdir(), "whop-license-proxies-"));
  const silent = await startSocket(() => {});
  const garbage = await startSocket((say) => say("This is not HTTP\r\n\r\n"));
  const ports = { nginx: await freePort(), strict: await freePort(), haproxy: await freePort() };
  const behind: Behind = {
    gateway: new URL(gateway).host,
    silent: silent.address,
    garbage: garbage.address,
    dead: `127.0.0.1:${await freePort()}`,
  };
  await mkdir(join(folder, "site"));
  await writeFile(join(folder, "site/index.html"), "<!doctype html><title>A site</title>");
  await writeFile(join(folder, "nginx.conf"), nginxSettings(ports, behind));
  await writeFile(join(folder, "haproxy.cfg"), haproxySettings(ports.haproxy, behind));
  const nginx = run("nginx", ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", "stderr"]);
  const haproxy = run("haproxy", ["-db", "-f", join(folder, "haproxy.cfg")]);
  const stop = async (): Promise<void> => {
    await Promise.all([nginx, haproxy, silent, garbage].map((each) => each.stop()));
    await rm(folder, { recursive: true });
  };
  const url = (port: number): string => `http://127.0.0.1:${port}`;
  try {
    for (const port of [ports.nginx, ports.strict]) await nginx.answers(url(port));
    await haproxy.answers(url(ports.haproxy));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...{ nginx: url(ports.nginx), strictNginx: url(ports.strict), haproxy: url(ports.haproxy) },
    stop,
  };
}

/** What the proxies forward to. */
interface Behind {
  gateway: string;
  silent: string;
  garbage: string;
  dead: string;
}

// One process that runs as whoever runs the tests, and writes into its folder only.
const nginxSettings = (ports: { nginx: number; strict: number }, to: Behind): string => `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  server {
    listen 127.0.0.1:${ports.nginx};
    location / { proxy_pass http://${to.gateway}; }
    location /down/ { proxy_pass http://${to.dead}; }
    location /silent/ { proxy_pass http://${to.silent}; proxy_read_timeout 300ms; }
    location /small/ { proxy_pass http://${to.gateway}; client_max_body_size 10; }
    location /basic/ { auth_basic "Members"; auth_basic_user_file nobody; proxy_pass http://${to.gateway}; }
    location /denied/ { deny all; }
    location /static/ { root site; try_files /index.html =404; }
    location /missing/ { root site; }
    location /none/ { return 503; }
    location /proxy-auth/ { return 407; }
    location /hang-up/ { return 444; }
    location /moved/ { return 301 https://$host$request_uri; }
    location /kept/ { return 308 https://$host$request_uri; }
  }
  server {
    listen 127.0.0.1:${ports.strict};
    connection_pool_size 128;
    client_header_buffer_size 128;
    large_client_header_buffers 1 128;
    location / { proxy_pass http://${to.gateway}; }
  }
}
`;

const haproxySettings = (port: number, to: Behind): string => `
defaults
  mode http
  retries 0
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend apps
  bind 127.0.0.1:${port}
  http-request auth realm Members if { path_beg /basic/ }
  http-request deny if { path_beg /denied/ }
  http-request deny deny_status 400 if { path_beg /bad/ }
  http-request deny deny_status 404 if { path_beg /missing/ }
  http-request deny deny_status 407 if { path_beg /proxy-auth/ }
  http-request deny deny_status 408 if { path_beg /late/ }
  http-request deny deny_status 429 if { path_beg /limited/ }
  http-request deny deny_status 500 if { path_beg /failing/ }
  http-request redirect scheme https code 302 if { path_beg /moved/ }
  http-request redirect scheme https code 307 if { path_beg /kept/ }
  use_backend dead if { path_beg /down/ }
  use_backend garbage if { path_beg /garbage/ }
  use_backend silent if { path_beg /silent/ }
  default_backend gateway
backend gateway
  server gateway ${to.gateway}
backend dead
  server dead ${to.dead}
backend garbage
  server garbage ${to.garbage}
backend silent
  timeout server 300ms
  server silent ${to.silent}
`;

interface Child {
  /** Resolves once something answers at that URL; rejects if the program has ended. */
  answers(url: string): Promise<void>;
  stop(): Promise<void>;
}

function run(name: string, args: string[]): Child {
  const child: ChildProcess = spawn(find(name), args, { stdio: ["ignore", "ignore", "pipe"] });
  const kill = (): boolean => child.kill("SIGKILL");
  process.once("exit", kill);
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-4000);
  });
  const ended = new Promise<string>((done) => {
    child.once("error", (error) => done(error.message));
    child.once("close", (code, signal) => done(`ended with ${signal ?? code}\n${log}`));
  });
  let why: string | undefined;
  void ended.then((reason) => {
    why = reason;
    process.off("exit", kill);
  });
  return {
    async answers(url) {
      for (;;) {
        const answer = await fetch(`${url}/healthz`).catch(() => undefined);
        if (answer) return;
        if (why !== undefined) throw new Error(`${name}: ${why}`);
        await new Promise((done) => setTimeout(done, 20));
      }
    },
    stop: async () => {
      kill();
      await ended;
    },
  };
}

// Debian has them where only root's PATH leads.
function find(name: string): string {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  for (const folder of folders) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here.
    }
  }
  throw new Error(`no ${name}: install it and put it on PATH`);
}

/** Listens, and says something to whoever has sent something. */
async function startSocket(
  answer: (say: (text: string) => void) => void,
): Promise<{ address: string; stop(): Promise<void> }> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => answer((text) => socket.end(text)));
  });
  const open = new Set<{ destroy(): unknown }>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const at = server.address();
  if (at === null || typeof at === "string") throw new Error("no port");
  return {
    address: `127.0.0.1:${at.port}`,
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of open) socket.destroy();
      }),
  };
}
