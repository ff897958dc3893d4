import type { Model, Picture, PictureSettings } from "freeguide";
import { pngWithText } from "freeguide";
import { zipSync, type Zippable } from "fflate";
import { steering, type Settings } from "../app/settings.js";
import { canvasOf, fileName, offer, pngOf } from "./files.js";
import { pictureSettings } from "./sheet.js";

/** A finished picture with what it was drawn with. */
export interface Finished {
  readonly picture: Picture;
  readonly settings: PictureSettings;
}

/** Pictures of one run: enough that a GPU is busy, few enough that a visitor can stop. */
const AT_ONCE = 16;

/** Draws the first `count` pictures of a seed, class after class in turn. `onProgress` hears of every picture. */
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
    const { guidance, seed } = settings;
    const pictures = await model.generate({ classes, guidance, ...steering(settings), seed, firstImage: first, signal });
    pictures.forEach((picture, at) => {
      const place = { class: classes[at] ?? null, image: first + at };
      finished.push({ picture, settings: pictureSettings(place, { guidance, seed, t: undefined }, settings, model.config) });
    });
    onProgress(finished.length);
  }
  return finished;
}

/** Saves pictures edge to edge in one PNG, as games want them; its settings list them row by row. */
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

/** Saves pictures as files of their own, each with its settings, in one ZIP. */
export async function saveZip(pictures: readonly Finished[], times: number): Promise<void> {
  const [first] = pictures;
  if (!first) return;
  const files: Zippable = {};
  for (const { picture, settings } of pictures) {
    files[fileName(settings)] = [pngWithText(await pngOf(canvasOf(picture, times)), settings), { level: 0 }];
  }
  offer(zipSync(files) as Uint8Array<ArrayBuffer>, `${first.settings.model}-seed${first.settings.seed}.zip`, "application/zip");
}
