// Preloaded into the Node process that stands in for Electron's main process:
// provides the module `electron`, for import and for require.
import Module, { register } from "node:module";
import * as electron from "./stand-in.js";

const standIn = new URL("./stand-in.js", import.meta.url).href;
const hooks = `
  export function resolve(specifier, context, next) {
    if (specifier === "electron") return { url: ${JSON.stringify(standIn)}, shortCircuit: true };
    return next(specifier, context);
  }
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

const loader = Module as unknown as { _load(request: string, ...rest: unknown[]): unknown };
const load = loader._load;
loader._load = (request, ...rest) =>
  request === "electron" ? electron : load.call(loader, request, ...rest);
