// The example of js/examples/web, served as it is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeSigningKey, sampleKeys, startServers } from "../servers.js";
import { listen, staticFiles } from "../static-server.js";
import { launchEngine } from "./engines/launch.js";
import { complaints } from "./helpers/page.js";
import { makeProject } from "./helpers/project.js";

test("the plain page asks, remembers, opens without a connection, and forgets", async (t) => {
  const project = await makeProject("web");
  t.after(() => project.remove());
  const signing = await makeSigningKey();
  t.after(() => signing.remove());
  const server = await listen();
  t.after(() => server.close());
  const servers = await startServers({
    origins: [server.origin],
    gatewayArgs: [`--signing-key=${signing.file}`],
  });
  t.after(() => servers.stop());
  await project.set("index.html", /https:\/\/license\.example\.com/, servers.endpoint);
  await project.set("app.js", /https:\/\/license\.example\.com/, servers.endpoint);
  await project.set("app.js", /YOUR-GATEWAY-PUBLIC-KEY/, signing.publicKey);
  server.handle(staticFiles(project.folder));

  const browser = await launchEngine();
  t.after(() => browser.close());
  const page = await browser.newPage();
  const said = complaints(page);
  const key = page.getByRole("textbox", { name: "License key" });
  const content = page.getByText("This is what you paid for.");
  await page.goto(server.origin);
  await key.fill(sampleKeys.elsewhere);
  await key.press("Enter");
  await page.getByRole("heading", { name: "in use on another machine" }).waitFor();
  assert.equal(await content.isVisible(), false);
  await page.getByRole("button", { name: "Use another key" }).click();
  await key.fill(sampleKeys.good);
  await key.press("Enter");
  await content.waitFor();

  await page.reload();
  await content.waitFor();
  const notice = page.locator("[part=notice]", {
    hasText: /stays valid for .* without a connection/,
  });
  assert.equal(await notice.isVisible(), false);

  await servers.stop();
  await page.reload();
  await content.waitFor();
  await notice.waitFor();

  await page.getByRole("button", { name: "Remove the license" }).click();
  await key.waitFor();
  await page.reload();
  await key.waitFor();
  assert.equal(await content.isVisible(), false);
  assert.deepEqual(said, []);
});
