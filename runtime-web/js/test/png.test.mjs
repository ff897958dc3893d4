import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, deflateSync } from "node:zlib";
import { pngText, pngWithText } from "../dist/index.js";

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc(body), body.length + 4);
  return out;
}

// zlib's own where Node has it, so that ours is checked against another's.
function crc(bytes) {
  if (crc32) return crc32(bytes);
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return ~value >>> 0;
}

const header = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0]);
const png = Buffer.concat([
  Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  chunk("IHDR", header),
  chunk("IDAT", deflateSync(Buffer.from([0, 1, 2, 3, 4]))),
  chunk("IEND", Buffer.alloc(0)),
]);
const settings = { model: "emoji16", class: "food-drink", guidance: 2, steps: 32, sampler: "ddim", seed: 7, image: 3, clip: true, variance_interpolation: 0.3, freeguide: "freeguide 0.1.0" };

test("settings go into the file and come out again", () => {
  const marked = pngWithText(png, settings);
  assert.deepEqual(pngText(marked), [settings]);
  assert.equal(pngText(png), undefined);
  const odd = { class: null, name: "naïve \0 ☃" };
  assert.deepEqual(pngText(pngWithText(png, odd)), [odd]);
  assert.deepEqual(pngText(pngWithText(png, [settings, odd])), [settings, odd]);
});

test("the chunk is well formed and stands after the header", () => {
  const marked = Buffer.from(pngWithText(png, settings));
  assert.deepEqual(marked.subarray(0, 33), png.subarray(0, 33));
  const length = marked.readUInt32BE(33);
  assert.equal(marked.toString("latin1", 37, 41), "iTXt");
  assert.equal(marked.toString("latin1", 41, 41 + 14), "freeguide\0\0\0\0\0");
  assert.equal(marked.readUInt32BE(41 + length), crc(marked.subarray(37, 41 + length)));
  assert.deepEqual(marked.subarray(45 + length), png.subarray(33));
});

test("what is no PNG is refused", () => {
  assert.throws(() => pngWithText(new Uint8Array(40), {}), TypeError);
  assert.throws(() => pngText(png.subarray(0, png.length - 3).subarray(0, 40)), TypeError);
});
