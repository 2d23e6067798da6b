// How a page without modules uses the WebAssembly file directly.
window.started = (async () => {
  const go = new Go();
  go.env.WHOP_LICENSE_ENDPOINT = new URLSearchParams(location.search).get("endpoint");
  const { instance } = await WebAssembly.instantiateStreaming(
    fetch("/launcher/whop-license/whop-license.wasm"),
    go.importObject,
  );
  go.run(instance);
})();
