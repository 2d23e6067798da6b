// `make demo`, `make launcher` and `make gateway` as programs, and the static server under them.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { suite, test } from "node:test";
import { loadValidator } from "whop-license";
import { listen, staticFiles } from "../static-server.js";

const dist = join(import.meta.dirname, "..");

function run(
  name: string,
  env: Record<string, string> = {},
): ChildProcess & { output: () => string } {
  const child = spawn(process.execPath, [join(dist, name)], { env: { ...process.env, ...env } });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
  }
  return Object.assign(child, { output: () => text });
}

suite("programs", () => {
  test("the demo shows every outcome and exits 0", async () => {
    const demo = run("demo.js");
    const [status] = await once(demo, "close");
    const text = demo.output();
    assert.equal(status, 0, text);
    for (const line of [
      /machine id {2}[0-9a-f]{8}….{4} \(node-machine-id, from \w+\)/,
      /✔ a good key +valid/,
      /✔ a second machine +metadata_mismatch/,
      /✔ an unknown key +not_found/,
      /✔ a canceled key +inactive/,
      /✔ an outage +unavailable/,
      /✔ a page's id +[0-9a-f]{8}….{4} through the browser helper, for http:/,
    ]) {
      assert.match(text, line);
    }
    assert.doesNotMatch(text, /[0-9a-f]{64}/, "the whole machine id");
  });

  test("the demo fails without a sidecar", async () => {
    const demo = run("demo.js", { WHOP_LICENSE_SIDECAR: join(dist, "no-such-program") });
    const [status] = await once(demo, "close");
    assert.notEqual(status, 0);
    assert.match(demo.output(), /load_failed/);
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`the launcher serves its page until ${signal}, and leaves nothing behind`, async () => {
      const launcher = run("launcher-server.js");
      assert.ok(launcher.stdout);
      const [url]: string[] = await once(createInterface(launcher.stdout), "line");
      assert.match(url ?? "", /^http:\/\/127\.0\.0\.1:\d+\/#machine-id=[0-9a-f]{64}$/);
      const html = await (await fetch(url ?? "")).text();
      const endpoint = /name="whop-license-endpoint" content="([^"]+)"/.exec(html)?.[1] ?? "";
      assert.match(endpoint, /^http:\/\/127\.0\.0\.1:\d+$/);
      assert.equal((await fetch(`${endpoint}/healthz`)).status, 200);
      launcher.kill(signal);
      const [status] = await once(launcher, "close");
      assert.equal(status, 0, launcher.output());
      for (const gone of [url ?? "", endpoint]) await assert.rejects(fetch(gone));
    });
  }

  test("make gateway answers your own page until it is interrupted", async () => {
    const origin = "http://localhost:5173";
    const gateway = run("dev-gateway.js", { ORIGIN: origin, PORT: "0" });
    assert.ok(gateway.stdout);
    while (!gateway.output().includes("Ctrl-C")) await once(gateway.stdout, "data");
    const said = gateway.output();
    const [endpoint = ""] = /^http:\/\/127\.0\.0\.1:\d+$/m.exec(said) ?? [];
    const [publicKey] = /(?<=publicKey: ")[\w-]{43}/.exec(said) ?? [];
    assert.ok(publicKey, said);
    assert.equal(
      said.split(`endpoint: "${endpoint}",\n      publicKey: "${publicKey}",`).length,
      3,
    );
    assert.ok(said.includes(`connect-src 'self' ${endpoint}\n`));
    const jwks = await fetch(`${endpoint}/.well-known/jwks.json`, { headers: { Origin: origin } });
    assert.equal(jwks.headers.get("access-control-allow-origin"), origin);
    assert.equal(((await jwks.json()) as { keys: { x: string }[] }).keys[0]?.x, publicKey);

    // The printed lines work when they are pasted.
    const { validateLicense } = await loadValidator({ endpoint, publicKey });
    const keys = said.match(/^ {2}BETA-\S+/gm)?.map((key) => key.trim()) ?? [];
    const codes = [];
    for (const key of [...keys, "BETA-NONE"]) codes.push((await validateLicense(key, "m1")).code);
    assert.deepEqual(codes, ["valid", "metadata_mismatch", "inactive", "not_found"]);
    gateway.kill("SIGINT");
    const [status] = await once(gateway, "close");
    assert.equal(status, 0, gateway.output());
    await assert.rejects(fetch(endpoint));
  });

  test("a wrong ORIGIN is named", async () => {
    const gateway = run("dev-gateway.js", { ORIGIN: "localhost:5173", PORT: "0" });
    const [status] = await once(gateway, "close");
    assert.equal(status, 1);
    assert.match(gateway.output(), /--allowed-origin: "localhost:5173" is not an origin/);
  });

  test("the static server stays in its folder and serves right types", async () => {
    const server = await listen();
    assert.equal((await fetch(server.origin)).status, 503);
    server.handle(staticFiles(join(dist, "launcher"), { headers: { "X-Test": "yes" } }));
    try {
      for (const [path, type] of [
        ["/", "text/html; charset=utf-8"],
        ["/launcher.js", "text/javascript; charset=utf-8"],
        ["/launcher.css", "text/css; charset=utf-8"],
        ["/favicon.svg", "image/svg+xml"],
        ["/whop-license/whop-license.wasm", "application/wasm"],
      ] as const) {
        const response = await fetch(server.origin + path);
        assert.equal(response.status, 200, path);
        assert.equal(response.headers.get("content-type"), type);
        assert.equal(response.headers.get("x-test"), "yes");
        assert.equal(response.headers.get("x-content-type-options"), "nosniff");
      }
      const { port } = new URL(server.origin);
      for (const path of [
        ...["/../demo.js", "/%2e%2e/demo.js", "/..%2fdemo.js", "/..%5cdemo.js", "//../demo.js"],
        ...["/%00", "/%", "/whop-license", "/nowhere", "http://127.0.0.1/../demo.js", "*"],
      ]) {
        assert.match(await raw(Number(port), `GET ${path} HTTP/1.1`), /^HTTP\/1\.1 40[04] /, path);
      }
      assert.match(await raw(Number(port), "POST / HTTP/1.1"), /^HTTP\/1\.1 405 /);
      const head = await raw(Number(port), "HEAD / HTTP/1.1");
      assert.match(head, /^HTTP\/1\.1 200 .*\r\n\r\n$/s);
    } finally {
      await server.close();
    }
  });
});

/** One request exactly as written, which fetch would normalize. */
async function raw(port: number, line: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.setEncoding("latin1").on("data", (part: string) => {
    text += part;
  });
  socket.write(`${line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
  await once(socket, "close");
  return text;
}
