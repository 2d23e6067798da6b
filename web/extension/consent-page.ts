// The window that asks the customer. It is a page of the extension, so that no site can
// draw, fill or click it.

/** How long the window must have had the focus, so that nobody clicks what has just appeared. */
const LOOK_MS = 1000;
/** A regular message keeps the browser from ending the background while it waits. */
const AWAKE_MS = 20_000;

const allow = find("allow");
const deny = find("deny");
const port = chrome.runtime.connect({ name: "consent" });
let timer: ReturnType<typeof setTimeout> | undefined;

port.onMessage.addListener(({ origin }: { origin: string | null }) => {
  document.body.dataset.state = origin === null ? "over" : "asking";
  if (origin === null) return;
  const { protocol, host } = new URL(origin);
  find("site").textContent = protocol === "https:" ? host : origin;
  find(SCHEME === "app-scoped" ? "scoped" : "shared").hidden = false;
  look();
});
port.onDisconnect.addListener(() => window.close());
setInterval(() => port.postMessage("awake"), AWAKE_MS);

addEventListener("focus", look);
addEventListener("blur", look);
document.addEventListener("visibilitychange", look);

/** The buttons work only after the window has had the focus for a while. */
function look(): void {
  clearTimeout(timer);
  for (const button of [allow, deny]) button.disabled = true;
  if (!document.hasFocus() || document.visibilityState !== "visible") return;
  timer = setTimeout(() => {
    for (const button of [allow, deny]) button.disabled = false;
  }, LOOK_MS);
}

for (const [button, decision] of [
  [allow, "allowed"],
  [deny, "denied"],
] as const) {
  button.addEventListener("click", (event) => {
    if (!event.isTrusted) return;
    port.postMessage(decision);
    window.close();
  });
}

function find(id: string): HTMLButtonElement {
  return document.getElementById(id) as HTMLButtonElement;
}
