import type { Picture, PictureSettings } from "freeguide";
import { classText } from "freeguide/settings";
import { showNumber } from "../app/settings.js";

/** A picture as a canvas, every pixel `times` as large. */
export function canvasOf(picture: Picture, times: number): HTMLCanvasElement {
  const small = document.createElement("canvas");
  small.width = picture.width;
  small.height = picture.height;
  small.getContext("2d")?.putImageData(picture as ImageData, 0, 0);
  if (times === 1) return small;
  const large = document.createElement("canvas");
  large.width = picture.width * times;
  large.height = picture.height * times;
  const context = large.getContext("2d");
  if (context) {
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, large.width, large.height);
  }
  return large;
}

/** A canvas as a PNG file. */
export async function pngOf(canvas: HTMLCanvasElement): Promise<Uint8Array> {
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("the browser could not make a PNG");
  return new Uint8Array(await blob.arrayBuffer());
}

/** Lets the visitor save a file. */
export function offer(bytes: Uint8Array<ArrayBuffer>, name: string, type = "image/png"): void {
  const url = URL.createObjectURL(new Blob([bytes], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // A download that has begun keeps the data alive.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A file name that describes the picture. */
export function fileName(settings: PictureSettings): string {
  const w = showNumber(settings.guidance).replace("−", "-");
  const name = classText(settings.class).replace(/[^\w-]+/g, "-");
  return `${settings.model}-${name}-w${w}-seed${settings.seed}-${String(settings.image).padStart(5, "0")}.png`;
}
