// Writes the checksums of the module and of this machine's sidecar into dist/. It
// runs after the compiler, because it uses the package's own digest function.
import { fileURLToPath } from "node:url";
import { packageOf, programOf, writeChecksums } from "./platforms.mjs";

const here = `${process.platform}-${process.arch}`;
const program = `../node_modules/${packageOf(here)}/bin/${programOf(here)}`;
await writeChecksums(fileURLToPath(new URL("../dist", import.meta.url)), {
  [here]: fileURLToPath(new URL(program, import.meta.url)),
});
