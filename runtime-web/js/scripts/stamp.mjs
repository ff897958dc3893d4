// The version of the package inside the WebAssembly files, so that a file of another version is refused in words.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const SECTION = "freeguide";
const CUSTOM = 0;
/** Bytes of what every module begins with. */
const HEADER = 8;

/** Reads an unsigned LEB128 number; returns it and where it ends. */
function readNumber(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

function writeNumber(value) {
  const bytes = [];
  do {
    bytes.push((value & 127) | (value > 127 ? 128 : 0));
    value >>>= 7;
  } while (value > 0);
  return Buffer.from(bytes);
}

/** A WebAssembly file without the custom sections of that name. */
function without(wasm, name) {
  const kept = [wasm.subarray(0, HEADER)];
  for (let at = HEADER; at < wasm.length; ) {
    const [length, content] = readNumber(wasm, at + 1);
    const end = content + length;
    const [nameLength, nameAt] = wasm[at] === CUSTOM ? readNumber(wasm, content) : [0, 0];
    const isNamed = wasm[at] === CUSTOM && wasm.toString("utf8", nameAt, nameAt + nameLength) === name;
    if (!isNamed) kept.push(wasm.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
}

/**
 * Writes the version, and a hash of the glue, into the WebAssembly file of a runtime, whose files begin with `place`. What
 * is returned is what the package has to know of the runtime: its bytes, and that hash.
 */
export function stamp(place, version) {
  const file = `${place}_bg.wasm`;
  const was = readFileSync(file);
  if (was.length === HEADER) return { bytes: 0, glue: "" }; // not built
  const glue = createHash("sha256").update(readFileSync(`${place}.js`)).digest("hex").slice(0, 16);
  const name = Buffer.from(SECTION);
  const content = Buffer.concat([writeNumber(name.length), name, Buffer.from(JSON.stringify({ version, glue }))]);
  const is = Buffer.concat([without(was, SECTION), Buffer.from([CUSTOM]), writeNumber(content.length), content]);
  if (!is.equals(was)) writeFileSync(file, is);
  return { bytes: is.length, glue };
}
