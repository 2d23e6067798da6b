// A service worker that shows a page of its own where the network is gone.
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  const status = Number(new URL(location.href).searchParams.get("status"));
  const page = "<!doctype html><title>You are offline</title><h1>You are offline</h1>";
  const offline = () => new Response(page, { status, headers: { "content-type": "text/html" } });
  event.respondWith(fetch(event.request).catch(offline));
});
