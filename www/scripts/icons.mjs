// Draws public/icon.svg, sixteen squares a side, as the PNG icons of the installed app: `node scripts/icons.mjs`.
import { readFileSync, writeFileSync } from "node:fs";
import { crc32, deflateSync } from "node:zlib";

const place = new URL("../public/", import.meta.url);
const GRID = 16;

/** The SVG's paths are made of "Mx yhWvH" rectangles, each one a run of squares. */
function squares() {
  const svg = readFileSync(new URL("icon.svg", place), "utf8");
  const grid = Array.from({ length: GRID }, () => Array(GRID).fill([0, 0, 0]));
  for (const [, fill, path] of svg.matchAll(/<path fill="#([0-9a-f]{6})" d="([^"]+)"/g)) {
    const colour = [0, 2, 4].map((at) => parseInt(fill.slice(at, at + 2), 16));
    for (const [, x, y, width, height] of path.matchAll(/M(\d+) (\d+)h(\d+)v(\d+)/g)) {
      for (let row = Number(y); row < Number(y) + Number(height); row += 1) {
        for (let column = Number(x); column < Number(x) + Number(width); column += 1) grid[row][column] = colour;
      }
    }
  }
  return grid;
}

/** `side` pixels, with a margin of `margin` squares on every side in the colour of the corner. */
function draw(grid, side, margin) {
  const lines = Buffer.alloc((side * 3 + 1) * side);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const [row, column] = [y, x].map((at) => Math.floor((at * (GRID + 2 * margin)) / side) - margin);
      lines.set(grid[row]?.[column] ?? grid[0][0], y * (side * 3 + 1) + 1 + x * 3);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2], 8); // 8 bits a channel, RGB
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(lines, { level: 9 })), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

const grid = squares();
for (const [name, side, margin] of [
  ["icon-192.png", 192, 0],
  ["icon-512.png", 512, 0],
  // What a launcher may cut away: a fifth on every side.
  ["icon-maskable-512.png", 512, 4],
]) {
  writeFileSync(new URL(name, place), draw(grid, side, margin));
}
