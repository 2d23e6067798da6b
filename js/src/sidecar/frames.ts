/** The maximum length of a frame from the sidecar, in bytes. */
const MAX_FRAME = 1024 * 1024;

/** Encodes a message as a frame: a 32-bit little-endian length and that many bytes of UTF-8 JSON. */
export function encodeFrame(message: object): Buffer {
  const payload = Buffer.from(JSON.stringify(message), "utf8");
  const frame = Buffer.alloc(4 + payload.length);
  frame.writeUInt32LE(payload.length);
  payload.copy(frame, 4);
  return frame;
}

/**
 * Returns a function that takes the chunks of a pipe, which may be split anywhere,
 * and returns the messages that are complete. It throws if a frame is too long or
 * isn't UTF-8 JSON; nothing can be read after that.
 */
export function frameReader(): (chunk: Buffer) => unknown[] {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const messages: unknown[] = [];
    while (rest.length >= 4) {
      const length = rest.readUInt32LE();
      if (length > MAX_FRAME) throw new Error(`a frame of ${length} bytes is too long`);
      if (rest.length < 4 + length) break;
      messages.push(JSON.parse(decoder.decode(rest.subarray(4, 4 + length))));
      rest = rest.subarray(4 + length);
    }
    return messages;
  };
}
