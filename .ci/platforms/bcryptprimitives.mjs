// Writes bcryptprimitives.dll, which Go's programs need and Wine 8 lacks:
// node bcryptprimitives.mjs FILE. Its one export, ProcessPrng, is forwarded to
// advapi32's SystemFunction036, which also fills a buffer with random bytes.
import { writeFileSync } from "node:fs";

const BASE = 0x1000; // where the only section is in memory
const FILE_START = 0x200; // and in the file
const dll = Buffer.alloc(0x400);

// The DOS header, and the headers that it leads to.
dll.write("MZ");
dll.writeUInt32LE(0x40, 0x3c);
dll.write("PE\0\0", 0x40);
dll.writeUInt16LE(0x8664, 0x44); // x64
dll.writeUInt16LE(1, 0x46); // sections
dll.writeUInt16LE(0xf0, 0x54); // size of the optional header
dll.writeUInt16LE(0x2022, 0x56); // executable, large addresses, DLL

const optional = 0x58;
dll.writeUInt16LE(0x20b, optional); // PE32+
dll.writeUInt32LE(0x200, optional + 8); // size of data
dll.writeBigUInt64LE(0x180000000n, optional + 24); // preferred address
dll.writeUInt32LE(0x1000, optional + 32); // alignment in memory
dll.writeUInt32LE(0x200, optional + 36); // and in the file
dll.writeUInt16LE(6, optional + 40); // Windows 6.0
dll.writeUInt16LE(6, optional + 48);
dll.writeUInt32LE(0x2000, optional + 56); // size in memory
dll.writeUInt32LE(FILE_START, optional + 60); // size of the headers
dll.writeUInt16LE(2, optional + 68); // subsystem: GUI, as DLLs have
dll.writeUInt16LE(0x140, optional + 70); // may be moved; data is not run
dll.writeUInt32LE(16, optional + 108); // directories, of which exports come first
dll.writeUInt32LE(BASE, optional + 112);
dll.writeUInt32LE(0x200, optional + 116);

const section = optional + 0xf0;
dll.write(".edata", section);
dll.writeUInt32LE(0x200, section + 8);
dll.writeUInt32LE(BASE, section + 12);
dll.writeUInt32LE(0x200, section + 16);
dll.writeUInt32LE(FILE_START, section + 20);
dll.writeUInt32LE(0x40000040, section + 36); // initialized data, readable

// The export directory, its three tables of one entry each, and the names.
const at = { functions: 40, names: 44, ordinals: 48, dllName: 64, name: 96, target: 128 };
const put = (value, offset) => dll.writeUInt32LE(value, FILE_START + offset);
put(BASE + at.dllName, 12);
put(1, 16); // the first ordinal
put(1, 20);
put(1, 24);
put(BASE + at.functions, 28);
put(BASE + at.names, 32);
put(BASE + at.ordinals, 36);
put(BASE + at.target, at.functions); // within the directory, so it is a forward
put(BASE + at.name, at.names);
dll.write("bcryptprimitives.dll\0", FILE_START + at.dllName);
dll.write("ProcessPrng\0", FILE_START + at.name);
dll.write("advapi32.SystemFunction036\0", FILE_START + at.target);

writeFileSync(process.argv[2], dll);
