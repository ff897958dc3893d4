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
