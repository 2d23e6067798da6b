// `make bench`: checks the budgets of the WebAssembly module and of the sidecar, each a
// ratio of two things measured in this run. Exits 1 if one is not held.
import { inBrowser } from "./browser.js";
import { downloads } from "./download.js";
import { inElectron } from "./electron.js";
import { report } from "./measure.js";
import { packages } from "./packages.js";
import { machineIds } from "./sidecar.js";
import { buildModules, sizes } from "./size.js";

buildModules();
// One after the other: they share the machine's cores.
const rows = [
  ...(await sizes()),
  ...(await downloads()),
  ...packages(),
  ...(await inBrowser()),
  ...(await machineIds()),
  ...(await inElectron()),
];
console.log("WebAssembly module and sidecar (times are medians, taken in turns)\n");
process.exitCode = report(rows) ? 0 : 1;
