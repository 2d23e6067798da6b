// Sends over a text channel what Electron's IPC can send: values that the
// structured clone algorithm accepts. Each function is self-contained, because its text
// is also run in pages.

type Node = [kind: string, ...content: unknown[]];

/** Writes a value as text. Throws on functions and symbols, as a structured clone would. */
export function encode(value: unknown): string {
  const nodes: Node[] = [];
  const known = new Map<unknown, number>();
  const add = (value: unknown): number => {
    const index = known.get(value);
    if (index !== undefined) return index;
    const at = nodes.length;
    known.set(value, at);
    nodes.push(["undefined"]);
    nodes[at] = describe(value);
    return at;
  };
  const describe = (value: unknown): Node => {
    switch (typeof value) {
      case "undefined":
        return ["undefined"];
      case "number":
      case "bigint":
        return [typeof value, Object.is(value, -0) ? "-0" : String(value)];
      case "string":
      case "boolean":
        return ["plain", value];
      case "function":
      case "symbol":
        throw new DOMException("An object could not be cloned.", "DataCloneError");
    }
    if (value === null) return ["plain", null];
    if (Array.isArray(value)) return ["array", ...value.map(add)];
    if (value instanceof Map) return ["map", ...[...value].flat().map(add)];
    if (value instanceof Set) return ["set", ...[...value].map(add)];
    if (value instanceof Date) return ["date", value.getTime()];
    if (value instanceof Error) return ["error", value.name, value.message];
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
      const bytes =
        value instanceof ArrayBuffer
          ? new Uint8Array(value)
          : new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      let text = "";
      for (let i = 0; i < bytes.length; i += 8192) {
        text += String.fromCharCode(...bytes.subarray(i, i + 8192));
      }
      return ["bytes", btoa(text)];
    }
    return ["object", ...Object.entries(value as object).flatMap(([k, v]) => [k, add(v)])];
  };
  add(value);
  return JSON.stringify(nodes);
}

/** Reads what {@link encode} wrote. */
export function decode(text: string): unknown {
  const nodes = JSON.parse(text) as Node[];
  const made = new Map<number, unknown>();
  const get = (at: unknown): unknown => {
    const index = at as number;
    if (!made.has(index)) make(index, nodes[index] as Node);
    return made.get(index);
  };
  const bytesOf = (text: string): Uint8Array => {
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  };
  const make = (index: number, [kind, ...content]: Node): void => {
    const keep = <T>(value: T): T => {
      made.set(index, value);
      return value;
    };
    const [first, second] = content;
    switch (kind) {
      case "plain":
        return void keep(first);
      case "number":
        return void keep(Number(first));
      case "bigint":
        return void keep(BigInt(first as string));
      case "date":
        return void keep(new Date(first as number));
      case "error":
        return void keep(Object.assign(new Error(second as string), { name: first }));
      case "bytes":
        return void keep(bytesOf(atob(first as string)));
      case "array": {
        const array = keep<unknown[]>([]);
        for (const at of content) array.push(get(at));
        return;
      }
      case "set": {
        const set = keep(new Set());
        for (const at of content) set.add(get(at));
        return;
      }
      case "map": {
        const map = keep(new Map());
        for (let i = 0; i < content.length; i += 2) map.set(get(content[i]), get(content[i + 1]));
        return;
      }
      case "object": {
        const object = keep<Record<string, unknown>>({});
        for (let i = 0; i < content.length; i += 2) {
          const value = get(content[i + 1]);
          Object.defineProperty(object, content[i] as string, {
            value,
            enumerable: true,
            writable: true,
            configurable: true,
          });
        }
        return;
      }
      default:
        keep(undefined);
    }
  };
  return get(0);
}
