import type { Model, Picture, PictureSettings } from "freeguide";
import { pngWithText } from "freeguide";
import { zipSync, type Zippable } from "fflate";
import { optionsOf, type Settings } from "../app/settings.js";
import { canvasOf, fileName, offer, pngOf } from "./files.js";

/** A finished picture with what it was drawn with. */
export interface Finished {
  readonly picture: Picture;
  readonly settings: PictureSettings;
}

/** Pictures of one run: enough to use a GPU well, few enough to stop quickly. */
const AT_ONCE = 16;

/** Draws the first `count` pictures of a seed, class after class in turn. `onProgress` is called with the number of finished pictures. */
export async function drawMany(
  model: Model,
  settings: Settings,
  count: number,
  signal: AbortSignal,
  onProgress: (done: number) => void,
): Promise<Finished[]> {
  const finished: Finished[] = [];
  while (finished.length < count) {
    const first = finished.length;
    const classes = Array.from(
      { length: Math.min(AT_ONCE, count - first) },
      (_, at) => settings.classes[(first + at) % settings.classes.length] ?? null,
    );
    const options = { ...optionsOf(settings.drawing, settings.picture), classes, firstImage: (settings.drawing.firstImage ?? 0) + first };
    const { settings: drawn } = await model.plan(options);
    const pictures = await model.generate({ ...options, signal });
    pictures.forEach((picture, at) => {
      const made = drawn[at];
      if (made) finished.push({ picture, settings: made });
    });
    onProgress(finished.length);
  }
  return finished;
}

/** Saves pictures edge to edge in one PNG, a sprite sheet; its settings list them row by row. */
export async function saveSprites(pictures: readonly Finished[], times: number): Promise<void> {
  const [first] = pictures;
  if (!first) return;
  const columns = Math.ceil(Math.sqrt(pictures.length));
  const side = first.picture.width * times;
  const canvas = document.createElement("canvas");
  canvas.width = columns * side;
  canvas.height = Math.ceil(pictures.length / columns) * side;
  const context = canvas.getContext("2d");
  pictures.forEach(({ picture }, at) => {
    context?.drawImage(canvasOf(picture, times), (at % columns) * side, Math.floor(at / columns) * side);
  });
  const png = pngWithText(await pngOf(canvas), pictures.map(({ settings }) => settings));
  offer(png, `${first.settings.model}-seed${first.settings.seed}-${columns}-columns-of-${side}px.png`);
}

/** Saves each picture as a PNG with its settings, all in one ZIP. */
export async function saveZip(pictures: readonly Finished[], times: number): Promise<void> {
  const [first] = pictures;
  if (!first) return;
  const files: Zippable = {};
  for (const { picture, settings } of pictures) {
    files[fileName(settings)] = [pngWithText(await pngOf(canvasOf(picture, times)), settings), { level: 0 }];
  }
  offer(zipSync(files) as Uint8Array<ArrayBuffer>, `${first.settings.model}-seed${first.settings.seed}.zip`, "application/zip");
}
