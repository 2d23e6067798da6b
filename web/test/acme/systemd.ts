// Does what systemd does with the gateway's unit, as far as it matters here: files
// of settings, credentials, restarts. Commands reach it through a `systemctl` that
// it puts into a folder.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listen } from "../../static-server.js";

type Unit = Map<string, string[]>;

export interface Systemd {
  /** What the service has logged since the start. */
  log(): string;
  stop(): Promise<void>;
}

/** Puts `systemctl` into a folder. `place` says where a path of the system is. */
export async function startSystemd(
  bin: string,
  place: (text: string) => string,
  env: Record<string, string>,
): Promise<Systemd> {
  const server = await listen();
  const service = new Service(place, env);
  server.handle((request, response) => {
    const args = new URL(request.url ?? "", server.origin).searchParams.getAll("arg");
    service.command(args).then(
      () => response.end(),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  const script = `#!${process.execPath}
const url = new URL("${server.origin}");
for (const arg of process.argv.slice(2)) url.searchParams.append("arg", arg);
fetch(url).then(async (answer) => {
  if (!answer.ok) { console.error(await answer.text()); process.exit(1); }
});
`;
  writeFileSync(join(bin, "systemctl"), script, { mode: 0o755 });
  return {
    log: () => service.log,
    async stop() {
      await service.end();
      await server.close();
    },
  };
}

class Service {
  log = "";
  #child: ChildProcess | undefined;
  #unit: Unit = new Map();

  constructor(
    readonly place: (text: string) => string,
    readonly env: Record<string, string>,
  ) {}

  async command(args: string[]): Promise<void> {
    const name = "whop-license-gateway";
    switch (args.join(" ")) {
      case "daemon-reload":
        this.#unit = readUnit(this.place(`/etc/systemd/system/${name}.service`));
        return;
      case `enable --now ${name}`:
        return this.#start();
      case `restart ${name}`:
        await this.end();
        return this.#start();
      default:
        throw new Error(`systemctl ${args.join(" ")}: is not known here`);
    }
  }

  async end(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  }

  #start(): void {
    const credentials = this.place("/run/credentials");
    const state = this.place("/var/lib");
    const values = (key: string): string[] => this.#unit.get(key) ?? [];
    const expand = (text: string): string =>
      this.place(text).replaceAll("%d", credentials).replaceAll("%S", state);
    const env: Record<string, string> = { ...this.env, PATH: process.env.PATH ?? "" };
    for (const folder of values("StateDirectory")) {
      env.STATE_DIRECTORY = join(state, folder);
      mkdirSync(env.STATE_DIRECTORY, { recursive: true, mode: 0o700 });
    }
    mkdirSync(credentials, { recursive: true, mode: 0o700 });
    for (const line of values("LoadCredential")) {
      const [id = "", file = ""] = line.split(":");
      copyFileSync(this.place(file), join(credentials, id));
    }
    const lines = values("EnvironmentFile").flatMap((file) =>
      readFileSync(this.place(file), "utf8").split("\n"),
    );
    for (const line of [...values("Environment").map(expand), ...lines]) {
      const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
      if (name !== undefined && value !== undefined) env[name] = value;
    }
    const run = (line: string): [string, string[]] => {
      const [command = "", ...args] = expand(line).split(" ");
      return [command, args];
    };
    const [line = ""] = values("ExecStart");
    this.#child = spawn(...run(line), { env, stdio: ["ignore", "ignore", "pipe"] });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
    });
  }
}

function readUnit(file: string): Unit {
  const unit: Unit = new Map();
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const [, key, value] = /^(\w+)=(.+)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) unit.set(key, [...(unit.get(key) ?? []), value]);
  }
  return unit;
}
