import type { Picture } from "./types.js";

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
