// A folder as a zip file (PKWARE's APPNOTE 6.3.10) whose bytes depend on the names, the contents and which files are programs,
// and on nothing else: entries are sorted and have one date.
//
//     node zip.mjs FOLDER FILE
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { constants, crc32, deflateRawSync } from "node:zlib";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
/** Names are UTF-8. */
const UTF8 = 1 << 11;
const DEFLATED = 8;
/** The first date that a zip file can say: 1 January 1980. */
const DATE = (1 << 5) | 1;
const VERSION = 20;
const UNIX = 3 << 8;
const REGULAR = 0o100000;

/** Numbers of two or four bytes, in the order of the format. */
function fields(...pairs) {
  const bytes = Buffer.alloc(pairs.reduce((sum, [size]) => sum + size, 0));
  let at = 0;
  for (const [size, value] of pairs) at = bytes.writeUIntLE(value, at, size);
  return bytes;
}

/** The zip file of entries `{ name, data, isProgram }`. */
export function zip(entries) {
  const parts = [];
  const directory = [];
  let at = 0;
  const sorted = [...entries].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { name, data, isProgram } of sorted) {
    const path = Buffer.from(name);
    const packed = deflateRawSync(data, { level: constants.Z_BEST_COMPRESSION });
    // What both places say of an entry.
    const about = [[2, VERSION], [2, UTF8], [2, DEFLATED], [2, 0], [2, DATE], [4, crc32(data)], [4, packed.length], [4, data.length], [2, path.length], [2, 0]];
    const mode = REGULAR | (isProgram ? 0o755 : 0o644);
    directory.push(fields([4, CENTRAL], [2, UNIX | VERSION], ...about, [2, 0], [2, 0], [2, 0], [4, mode * 0x10000], [4, at]), path);
    const local = [fields([4, LOCAL], ...about), path, packed];
    parts.push(...local);
    at += local.reduce((sum, part) => sum + part.length, 0);
  }
  const central = Buffer.concat(directory);
  const { length } = entries;
  return Buffer.concat([...parts, central, fields([4, END], [2, 0], [2, 0], [2, length], [2, length], [4, central.length], [4, at], [2, 0])]);
}

/** The files of a folder as entries. */
export function entriesOf(folder) {
  const names = readdirSync(folder, { recursive: true }).map(String).filter((name) => statSync(join(folder, name)).isFile());
  return names.map((name) => {
    const file = join(folder, name);
    return { name: name.replaceAll("\\", "/"), data: readFileSync(file), isProgram: (statSync(file).mode & 0o100) !== 0 };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder, file] = process.argv.slice(2);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, zip(entriesOf(folder)));
}
