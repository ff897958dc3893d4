import { pngWithText } from "freeguide";
import { showNumber } from "../app/settings.js";
import { canvasOf, fileName, offer, pngOf } from "./files.js";
import { className, type Sheet, type Tile } from "./sheet.js";

/** The factor that enlarges a picture to about 512 pixels. */
export function enlargement(size: number): number {
  return Math.max(1, Math.floor(512 / size));
}

/** Saves a tile's picture, `times` as large as it is, with its settings inside. */
export async function savePicture(tile: Tile, times = 1): Promise<void> {
  const picture = tile.frames.at(-1);
  if (!picture || !tile.drawn) return;
  offer(pngWithText(await pngOf(canvasOf(picture, times)), tile.drawn), fileName(tile.drawn));
}

/** Saves the whole sheet as one picture with a caption. */
export async function saveSheet(sheet: Sheet): Promise<void> {
  const tiles = sheet.tiles.filter(({ drawn }) => drawn).sort((a, b) => a.number - b.number);
  const [first] = tiles;
  if (!first?.drawn) return;
  const sweep = sheet.runs.length > 1;
  const side = sheet.imageSize * Math.max(1, Math.floor((sweep ? 192 : 256) / sheet.imageSize));
  const gap = 12;
  const margin = 40;
  const head = sweep ? 34 : 0;
  const columns = sheet.columns;
  const rows = Math.ceil(sheet.tiles.length / columns);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(560, 2 * margin + columns * side + (columns - 1) * gap);
  canvas.height = 2 * margin + head + rows * side + (rows - 1) * gap + 48;
  const context = canvas.getContext("2d");
  if (!context) return;
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue("--paper");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  const ink = style.getPropertyValue("--ink");
  const left = (canvas.width - columns * side - (columns - 1) * gap) / 2;
  const text = (words: string, x: number, y: number, align: CanvasTextAlign, font: string): void => {
    context.font = font;
    context.textAlign = align;
    context.fillText(words, x, y);
  };
  context.fillStyle = ink;
  if (sweep) {
    sheet.runs.forEach(({ drawing: { guidance } }, at) => {
      text(`w = ${showNumber(guidance)}`, left + at * (side + gap) + side / 2, margin + 14, "center", "20px ui-monospace, monospace");
    });
  }
  for (const tile of tiles) {
    const at = tile.number - 1;
    const picture = tile.frames.at(-1);
    if (!picture) continue;
    const x = left + (at % columns) * (side + gap);
    const y = margin + head + Math.floor(at / columns) * (side + gap);
    context.drawImage(canvasOf(picture, 1), x, y, side, side);
  }
  const { model, seed, steps, sampler, guidance } = first.drawn;
  const names = [...new Set(tiles.map((tile) => className(tile.class)))];
  const classes = names.length > 3 ? `${names.length} classes` : names.join(", ");
  const words = [model, classes, ...(sweep ? [] : [`w ${showNumber(guidance)}`]), `seed ${seed}`, `${sampler} ${steps} steps`];
  const y = canvas.height - margin + 4;
  context.fillStyle = ink;
  text(words.join(" · "), left, y, "left", "17px ui-monospace, monospace");
  context.fillStyle = style.getPropertyValue("--accent");
  text("freeguide", canvas.width - left, y, "right", "bold 17px ui-monospace, monospace");
  const settings = tiles.flatMap((tile) => tile.drawn ?? []);
  offer(pngWithText(await pngOf(canvas), settings), `${model}-seed${seed}.png`);
}
