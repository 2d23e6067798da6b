// @ts-check
import { join, normalize, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { app, BrowserWindow, net, protocol, session, shell } from "electron";
import { preloadPath, registerLicenseHost } from "whop-license/electron/main";
import { endpoint } from "./renderer/config.js";

const ORIGIN = "app://my-app";

// What pages may load, and what they may be asked for under app://my-app/.
const SERVED = ["renderer", "node_modules/whop-license/dist"];
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  `connect-src ${endpoint}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

protocol.registerSchemesAsPrivileged([
  { scheme: "app", privileges: { standard: true, secure: true, supportFetchAPI: true } },
]);
app.enableSandbox();
registerLicenseHost({ origins: [ORIGIN] });

app.on("web-contents-created", (_event, contents) => {
  contents.on("will-navigate", (event) => {
    if (!event.url.startsWith(`${ORIGIN}/`)) event.preventDefault();
  });
  contents.on("will-attach-webview", (event) => event.preventDefault());
  contents.setWindowOpenHandler(({ url }) => {
    if (/^(https|mailto):/.test(url)) shell.openExternal(url);
    return { action: "deny" };
  });
});

app.on("window-all-closed", () => app.quit());

app.whenReady().then(() => {
  session.defaultSession.setPermissionRequestHandler((_contents, _permission, decide) =>
    decide(false),
  );
  session.defaultSession.setPermissionCheckHandler(() => false);
  protocol.handle("app", serve);
  const window = new BrowserWindow({
    width: 720,
    height: 640,
    webPreferences: { preload: preloadPath },
  });
  window.loadURL(`${ORIGIN}/renderer/index.html`);
});

/** Serves the app's own files, and no others. @param {Request} request */
async function serve(request) {
  const { host, pathname } = new URL(request.url);
  const folder = app.getAppPath();
  const file = join(folder, normalize(decodeURIComponent(pathname)));
  const served = SERVED.some((name) => file.startsWith(join(folder, name) + sep));
  if (`app://${host}` !== ORIGIN || !served) return new Response(null, { status: 404 });
  // It rejects where there is no such file.
  const read = net.fetch(pathToFileURL(file).href).catch(() => Response.error());
  const { ok, body, headers } = await read;
  if (!ok) return new Response(null, { status: 404 });
  return new Response(body, {
    headers: {
      "Content-Type": headers.get("Content-Type") ?? "application/octet-stream",
      "Content-Security-Policy": POLICY,
      "X-Content-Type-Options": "nosniff",
    },
  });
}
