/**
 * The settings of a picture inside its PNG file: an iTXt chunk with the keyword `freeguide` whose text is JSON (PNG
 * specification, third edition, 11.3.3.4). The native command writes the same.
 */

import type { ClassChoice } from "./options.js";
import type { LogSnrRange } from "./steering.js";

/** What a picture was drawn with; enough to draw it again. */
export interface PictureSettings {
  /** Name of the model. */
  model: string;
  /** Class name or id; null is the unconditional model. */
  class: ClassChoice;
  /** Guidance strength w. */
  guidance: number;
  steps: number;
  sampler: string;
  seed: number;
  /** Number of the image within the seed. */
  image: number;
  /** Whether x̃ was clipped to [−1, 1]. */
  clip: boolean;
  /** ν of the ancestral sampler. */
  variance_interpolation: number;
  /** What was made of the two estimates, where that is not the paper's mix: `kind` and its settings. */
  guidance_policy?: { readonly kind: string; readonly [setting: string]: unknown };
  /** The λ that were guided, in nats, where not all were. */
  guidance_interval?: LogSnrRange;
  /** The other seed, and how far towards it. */
  toward?: { readonly seed: number; readonly t: number };
  /** The program that drew it, for instance `freeguide 0.1.0`. */
  freeguide: string;
}

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

/** CRC-32 as PNG uses it (ISO 3309), bit by bit: a chunk of settings is short. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function textChunk(text: string): Uint8Array {
  const encoder = new TextEncoder();
  // Keyword, then: no compression (two bytes), no language, no translated keyword (each ends in a zero).
  const body = encoder.encode(`iTXt${KEYWORD}\0\0\0\0\0${text}`);
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, crc32(body));
  return chunk;
}

/**
 * The same PNG with `settings` in it, for instance what `canvas.toBlob` made; a list where it shows several pictures.
 * Throws `TypeError` if it is no PNG.
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
 * The settings that a PNG carries, one entry a picture that it shows, or undefined. They were written by whoever made
 * the file: any field may be missing. Throws `TypeError` if it is no PNG.
 */
export function pngText(png: Uint8Array): Partial<PictureSettings>[] | undefined {
  const decoder = new TextDecoder();
  for (const { type, data } of chunksOf(png)) {
    if (type !== "iTXt") continue;
    const fields = decoder.decode(data).split("\0");
    const [keyword, compressed] = fields;
    // fields: keyword, "" (compression flag 0), "" (method 0), language, translated keyword, text; the two zero bytes
    // of the flags are separators of their own.
    if (keyword !== KEYWORD || compressed !== "") continue;
    let value: unknown;
    try {
      value = JSON.parse(fields.slice(5).join("\0"));
    } catch {
      return undefined; // somebody else's chunk of the same name
    }
    const pictures = (Array.isArray(value) ? value : [value]) as unknown[];
    return pictures.filter((each): each is Partial<PictureSettings> => typeof each === "object" && each !== null);
  }
  return undefined;
}
