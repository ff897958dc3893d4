import { encodePng } from "./png-encoder.js";
import { pngWithText } from "./png.js";
import type { PictureSettings } from "./settings-table.js";
import type { Branches, Picture } from "./types.js";

/** Cuts a batch of RGBA pixels into its images, each with memory of its own. */
export function cutPictures(pixels: Uint8Array, size: number): Picture[] {
  const bytes = size * size * 4;
  const pictures: Picture[] = [];
  for (let start = 0; start + bytes <= pixels.length; start += bytes) {
    const data = new Uint8ClampedArray(pixels.subarray(start, start + bytes));
    pictures.push(typeof ImageData === "function" ? new ImageData(data, size, size) : { data, width: size, height: size });
  }
  return pictures;
}

/** Each image with its branch estimates: `estimates` holds all conditional and then all unconditional ones, transparent if not computed. */
export function pairBranches(images: Picture[], estimates: Picture[]): Branches[] {
  // Pictures are opaque, so that no alpha means no picture.
  const made = (picture: Picture | undefined): Picture | null => (picture && picture.data[3] !== 0 ? picture : null);
  return images.map((guided, at) => ({
    conditional: made(estimates[at]),
    unconditional: made(estimates[images.length + at]),
    guided,
  }));
}

/** A picture as a PNG file, with `settings` in it as `freeguide sample` writes them. Needs no canvas. */
export async function pictureToPng({ data, width, height }: Picture, settings?: PictureSettings): Promise<Blob> {
  const png = await encodePng(data, width, height);
  return new Blob([settings === undefined ? png : pngWithText(png, settings)], { type: "image/png" });
}

/** A picture as an `ImageBitmap`, which draws fast and can be handed to a worker. In browsers. */
export function pictureToBitmap({ data, width, height }: Picture): Promise<ImageBitmap> {
  return createImageBitmap(new ImageData(data, width, height));
}

/** A picture as a frame of a video at `timestamp`, in microseconds. Where there is `VideoFrame`; close it after use. */
export function pictureToFrame({ data, width, height }: Picture, timestamp: number): VideoFrame {
  return new VideoFrame(data, { format: "RGBX", codedWidth: width, codedHeight: height, timestamp });
}
