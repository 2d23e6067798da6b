// Records in dist/ what the module and this machine's sidecar are known by. It
// runs after the compiler, as it uses the package's own digest.
import { fileURLToPath } from "node:url";
import { packageOf, programOf, writeChecksums } from "./platforms.mjs";

const here = `${process.platform}-${process.arch}`;
const program = `../node_modules/${packageOf(here)}/bin/${programOf(here)}`;
await writeChecksums(fileURLToPath(new URL("../dist", import.meta.url)), {
  [here]: fileURLToPath(new URL(program, import.meta.url)),
});
