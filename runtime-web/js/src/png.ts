/**
 * The settings of a picture inside its PNG file: an iTXt chunk with the keyword `freeguide` and JSON as its text (PNG
 * specification, third edition, 11.3.3.4). The native command writes the same chunk.
 */

import type { PictureSettings } from "./settings-table.js";

const KEYWORD = "freeguide";
const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

interface Chunk {
  type: string;
  data: Uint8Array;
  end: number;
}

function* chunksOf(png: Uint8Array): Generator<Chunk> {
  if (SIGNATURE.some((byte, at) => png[at] !== byte)) throw new TypeError("not a PNG file");
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let start = SIGNATURE.length; start + 12 <= png.length; ) {
    const length = view.getUint32(start);
    const end = start + 12 + length;
    if (end > png.length) throw new TypeError("the PNG file is cut off");
    const type = String.fromCharCode(...png.subarray(start + 4, start + 8));
    yield { type, data: png.subarray(start + 8, start + 8 + length), end };
    if (type === "IEND") return;
    start = end;
  }
  throw new TypeError("the PNG file is cut off");
}

/** CRC-32 as in PNG (ISO 3309), computed bit by bit, since settings are short. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** One chunk of a PNG file: length, type, data, and the CRC-32 of type and data. */
export function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(data.length + 12);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(new TextEncoder().encode(type), 4);
  out.set(data, 8);
  view.setUint32(data.length + 8, crc32(out.subarray(4, data.length + 8)));
  return out;
}

function textChunk(text: string): Uint8Array {
  // Keyword, then: no compression (two bytes), no language, no translated keyword (each ends in a zero).
  return chunk("iTXt", new TextEncoder().encode(`${KEYWORD}\0\0\0\0\0${text}`));
}

/**
 * A copy of `png`, for instance from `canvas.toBlob`, with `settings` in it; a list if it shows several pictures. Throws
 * `TypeError` if it is not a PNG.
 */
export function pngWithText(png: Uint8Array, settings: PictureSettings | readonly PictureSettings[]): Uint8Array<ArrayBuffer> {
  let header: Chunk | undefined;
  for (const chunk of chunksOf(png)) {
    header = chunk;
    break;
  }
  if (header?.type !== "IHDR") throw new TypeError("the PNG file does not begin with its header");
  const text = textChunk(JSON.stringify(settings));
  const out = new Uint8Array(png.length + text.length);
  out.set(png.subarray(0, header.end), 0);
  out.set(text, header.end);
  out.set(png.subarray(header.end), header.end + text.length);
  return out;
}

/**
 * The settings inside a PNG, one entry for each picture that it shows, or undefined. The file may come from any program, so
 * every field may be missing. Throws `TypeError` if it is not a PNG.
 */
export function pngText(png: Uint8Array): Partial<PictureSettings>[] | undefined {
  const decoder = new TextDecoder();
  for (const { type, data } of chunksOf(png)) {
    if (type !== "iTXt") continue;
    const fields = decoder.decode(data).split("\0");
    const [keyword, compressed] = fields;
    // fields: keyword, "" (compression flag 0), "" (method 0), language, translated keyword, text; the two zero bytes
    // of the flags act as separators too.
    if (keyword !== KEYWORD || compressed !== "") continue;
    let value: unknown;
    try {
      value = JSON.parse(fields.slice(5).join("\0"));
    } catch {
      return undefined; // another program's chunk with the same keyword
    }
    const pictures = (Array.isArray(value) ? value : [value]) as unknown[];
    return pictures.filter((each): each is Partial<PictureSettings> => typeof each === "object" && each !== null);
  }
  return undefined;
}
