// `make launcher-helper`: opens the launcher page in Chromium with the browser helper, in
// a throwaway profile, and prints what to try. It ends with the browser.
import { launcherPage } from "./launcher-page.js";
import { sampleKeys, startServers } from "./servers.js";
import { listen } from "./static-server.js";
import { HelperBrowser } from "./test/helpers/extension-browser.js";

const { DISPLAY, WAYLAND_DISPLAY } = process.env;
if (process.platform === "win32") stop("it works on Linux and macOS only");
if (process.platform === "linux" && !DISPLAY && !WAYLAND_DISPLAY) {
  stop("it opens a window, and there is no display: set DISPLAY, or run it under xvfb-run");
}

const browser = await HelperBrowser.start({ visible: true }).catch((error: Error) =>
  stop(`the browser can't be started with the extension: ${error.message}`),
);
const closed = new Promise<void>((done) => {
  browser.context.once("close", () => done());
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => done());
});
const { program } = await browser.user.install("chromium");

const server = await listen();
const servers = await startServers({ origins: [server.origin] });
server.handle(launcherPage(servers.endpoint));
const [first] = browser.context.pages();
await (first ?? (await browser.context.newPage())).goto(server.origin);

console.log(`${server.origin} is open in a Chromium that has the browser helper, for a user whose
home is ${browser.user.home}. Try this:

  1. Enter ${sampleKeys.good}. A window of the extension asks whether the site may know
     this computer's license id. Allow it: the license is valid, and bound to the id.
  2. Reload the page, and enter the key again. You are not asked again.
  3. Open ${server.origin}/#machine-id=from-an-app. The id in the address takes
     precedence, so the same key is in use on another machine.
  4. Press Forget on the extension's own page, ${browser.extension}/options.html,
     and check again: you are asked again. Don't allow it, and see what the launcher says.
  5. Remove the program, and reload the page: the launcher says what to install, and
     continues automatically once the file is back.
       mv '${program}' '${program}.away'
       mv '${program}.away' '${program}'

Other keys: ${sampleKeys.elsewhere} is in use on another machine, and
${sampleKeys.canceled} was canceled.
Close the browser or press Ctrl-C to stop. Everything that was made is then removed.`);

await closed;
await Promise.all([browser.close(), server.close(), servers.stop()]);

function stop(why: string): never {
  console.error(`launcher-helper: ${why}`);
  process.exit(1);
}
