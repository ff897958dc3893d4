import { chunk } from "./png.js";

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const COLOUR = { rgb: 2, rgba: 6 };

/** RGBA pixels as a PNG file of 8 bits a channel, without an alpha channel where everything is opaque. */
export async function encodePng(rgba: Uint8ClampedArray, width: number, height: number): Promise<Uint8Array<ArrayBuffer>> {
  const opaque = isOpaque(rgba);
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, opaque ? COLOUR.rgb : COLOUR.rgba], 8);
  const data = await zlib(scanlines(rgba, width, height, opaque ? 3 : 4));
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array(0))];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function isOpaque(rgba: Uint8ClampedArray): boolean {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] !== 255) return false;
  return true;
}

/** Each row after the number of its filter: 0, none. */
function scanlines(rgba: Uint8ClampedArray, width: number, height: number, channels: 3 | 4): Uint8Array<ArrayBuffer> {
  const lines = new Uint8Array(height * (1 + width * channels));
  let to = 0;
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    if (pixel % width === 0) to += 1;
    for (let channel = 0; channel < channels; channel += 1) lines[to++] = rgba[4 * pixel + channel] ?? 0;
  }
  return lines;
}

async function zlib(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
