// Programs that a browser may find in place of the sidecar.
import { readFile, rm, writeFile } from "node:fs/promises";

/** Puts a script for Node in a program's place while `act` runs. */
export async function withProgram(
  path: string,
  script: string,
  act: () => Promise<void>,
): Promise<void> {
  const real = await readFile(path);
  await put(path, `#!/bin/sh\nexec '${process.execPath}' '${path}.js' "$@"\n`);
  await writeFile(`${path}.js`, script);
  try {
    await act();
  } finally {
    await put(path, real);
    await rm(`${path}.js`);
  }
}

/** A file of its own, as a program that runs can't be written to. */
async function put(path: string, content: string | Buffer): Promise<void> {
  await rm(path);
  await writeFile(path, content, { mode: 0o755 });
}

/** A script that reads frames, and runs a statement of its own for each `initialize`; an `else` may follow it. */
export const speaks = (statement: string): string => `
  let buffer = Buffer.alloc(0);
  const answer = (id, rest) => {
    const text = Buffer.from(JSON.stringify({ jsonrpc: "2.0", id, ...rest }));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(text.length);
    process.stdout.write(Buffer.concat([head, text]));
  };
  process.stdin.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32LE(0)) {
      const size = buffer.readUInt32LE(0);
      const { id, method } = JSON.parse(buffer.subarray(4, 4 + size));
      buffer = buffer.subarray(4 + size);
      if (method === "initialize") ${statement}
    }
  }).on("end", () => process.exit());`;
