import { InputError } from "./errors.js";
import type { Picture } from "./types.js";

/** A picture in a form that browsers or this package have: pixels, a canvas, an image element, a file … */
export type PictureSource = Picture | ImageBitmapSource;

/** The picture that a run starts from. */
export interface PictureOptions {
  /**
   * A picture to start from, in the place of noise: noise is added to it and taken away again (SDEdit, Meng et al. 2022).
   * Pixels of the model's size are taken as they are; everything else is cropped to a square and resized, where there is a
   * canvas. Transparent parts count as white.
   */
  image?: PictureSource | undefined;
  /** White where `image` is drawn anew; where it is black or transparent, `image` is kept. */
  mask?: PictureSource | undefined;
}

/** A picture as the runtime reads it. */
export interface RequestSource {
  readonly image: readonly number[];
  readonly mask?: readonly number[];
}

interface Shape {
  readonly size: number;
  readonly channels: number;
}

const isPixels = (value: unknown): value is Picture =>
  typeof value === "object" && value !== null && "data" in value && "width" in value && "height" in value;

/** The pixels of a source in the model's size. */
async function pixelsOf(name: "image" | "mask", source: unknown, size: number): Promise<Uint8ClampedArray> {
  if (isPixels(source)) {
    const { data, width, height } = source;
    if (data.length !== width * height * 4) {
      throw new InputError(`${name} has ${data.length} bytes, which are no ${width}×${height} RGBA pixels`, { detail: name });
    }
    if (width === size && height === size) return data;
  }
  if (typeof OffscreenCanvas === "undefined" || typeof createImageBitmap === "undefined") {
    const found = isPixels(source) ? `${source.width}×${source.height}` : "something else";
    throw new InputError(`${name} must be { data, width, height } of ${size}×${size} RGBA pixels here, not ${found}: without a canvas nothing is resized`, {
      detail: name,
    });
  }
  let bitmap: ImageBitmap;
  try {
    const taken = isPixels(source) ? new ImageData(new Uint8ClampedArray(source.data), source.width, source.height) : source;
    bitmap = await createImageBitmap(taken as ImageBitmapSource);
  } catch (thrown) {
    throw new InputError(`${name} cannot be read as a picture`, { detail: name, cause: thrown });
  }
  const side = Math.min(bitmap.width, bitmap.height);
  const context = new OffscreenCanvas(size, size).getContext("2d", { willReadFrequently: true });
  if (!context) throw new InputError(`${name} cannot be resized: this browser has no 2D canvas`, { detail: name });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, size, size);
  bitmap.close();
  return context.getImageData(0, 0, size, size).data;
}

/** Red, green and blue of a pixel over a grey background. */
function over(pixels: Uint8ClampedArray, at: number, background: number): [number, number, number] {
  const alpha = (pixels[at + 3] ?? 255) / 255;
  const channel = (place: number): number => (pixels[at + place] ?? 0) * alpha + background * (1 - alpha);
  return [channel(0), channel(1), channel(2)];
}

/** The luma of Rec. 709, as the trainer takes it. */
const luma = ([red, green, blue]: [number, number, number]): number => 0.2126 * red + 0.7152 * green + 0.0722 * blue;

/** Reads the picture of a run and its mask. Throws `InputError`. */
export async function requestSource({ image, mask }: PictureOptions, { size, channels }: Shape): Promise<RequestSource | undefined> {
  if (image === undefined) {
    if (mask !== undefined) throw new InputError("mask needs image, the picture that it belongs to", { detail: "mask" });
    return undefined;
  }
  const bytes: number[] = [];
  const pixels = await pixelsOf("image", image, size);
  for (let at = 0; at < pixels.length; at += 4) {
    const color = over(pixels, at, 255);
    bytes.push(...(channels === 1 ? [luma(color)] : color).map(Math.round));
  }
  if (mask === undefined) return { image: bytes };
  const covers = await pixelsOf("mask", mask, size);
  const covered: number[] = [];
  for (let at = 0; at < covers.length; at += 4) covered.push(Math.round(luma(over(covers, at, 0))));
  return { image: bytes, mask: covered };
}
