import type { Picture, PictureOptions } from "freeguide";
import { byId, choose, chosen } from "../app/dom.js";

const details = byId<HTMLDetailsElement>("easel");
const shown = byId<HTMLCanvasElement>("easel-canvas");
const form = byId<HTMLFormElement>("console");
const colorField = byId<HTMLInputElement>("easel-color");
const widthField = byId<HTMLInputElement>("easel-width");
const fileField = byId<HTMLInputElement>("easel-file");
const strengthField = byId<HTMLInputElement>("easel-strength");

/** The strength that a picture is drawn from with until another is chosen. */
const STRENGTH = 0.6;

const layer = (size: number): CanvasRenderingContext2D => {
  const canvas = document.createElement("canvas");
  canvas.width = size;
  canvas.height = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser has no 2D canvas");
  return context;
};

/** The picture that drawing starts from: painted, photographed or drawn before, and the part of it that is drawn anew. */
export class Easel {
  readonly #onChange: (settled: boolean) => void;
  #picture = layer(1);
  #mask = layer(1);
  #hasPicture = false;
  #hasMask = false;
  #last: [number, number] | undefined;

  /** `onChange` hears of every change; `settled` is false while a stroke goes on. */
  constructor(onChange: (settled: boolean) => void) {
    this.#onChange = onChange;
    shown.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      shown.setPointerCapture(event.pointerId);
      this.#last = undefined;
      this.#stroke(event);
    });
    shown.addEventListener("pointermove", (event) => {
      if (shown.hasPointerCapture(event.pointerId)) this.#stroke(event);
    });
    shown.addEventListener("pointerup", () => this.#onChange(true));
    byId("easel-photo").addEventListener("click", () => fileField.click());
    fileField.addEventListener("change", () => {
      const [file] = fileField.files ?? [];
      fileField.value = "";
      if (file) void this.#load(file);
    });
    byId("easel-clear").addEventListener("click", () => {
      this.#empty();
      this.#onChange(true);
    });
    strengthField.addEventListener("input", () => this.#onChange(false));
    strengthField.addEventListener("change", () => this.#onChange(true));
  }

  /** Fits the easel to a model's pictures, which empties it if they have another size. `why` it cannot be used, if so. */
  offer(size: number, why?: string): void {
    if (why !== undefined && this.#hasPicture) this.#empty();
    byId("easel-words").textContent = why ?? "";
    byId("easel-tools").hidden = why !== undefined;
    shown.hidden = why !== undefined;
    byId("detail-easel").hidden = why !== undefined;
    if (size === shown.width && this.#picture.canvas.width === size) return;
    shown.width = size;
    shown.height = size;
    this.#picture = layer(size);
    this.#mask = layer(size);
    widthField.max = String(Math.max(2, Math.round(size / 4)));
    widthField.value = String(Math.max(1, Math.round(size / 12)));
    this.#empty();
  }

  /** What a run starts from; undefined where nothing was painted or loaded. */
  read(): PictureOptions | undefined {
    if (!this.#hasPicture) return undefined;
    const { width, height } = shown;
    const image = this.#picture.getImageData(0, 0, width, height);
    return this.#hasMask ? { image, mask: this.#mask.getImageData(0, 0, width, height) } : { image };
  }

  /** How far the run goes from the picture. A part that is drawn anew begins with noise alone. */
  get strength(): number {
    return this.#hasMask ? 1 : Number(strengthField.value);
  }

  set strength(strength: number | undefined) {
    strengthField.value = String(strength ?? STRENGTH);
  }

  /** Puts a picture on the easel. */
  show(picture: Picture): void {
    this.#empty();
    this.#picture.putImageData(new ImageData(new Uint8ClampedArray(picture.data), picture.width, picture.height), 0, 0);
    this.#hasPicture = true;
    details.open = true;
    this.#paint();
    this.#onChange(true);
  }

  async #load(file: File): Promise<void> {
    const bitmap = await createImageBitmap(file).catch(() => undefined);
    const words = byId("easel-words");
    words.textContent = bitmap ? "" : `${file.name} cannot be read as a picture.`;
    if (!bitmap) return;
    this.#empty();
    const side = Math.min(bitmap.width, bitmap.height);
    this.#picture.imageSmoothingQuality = "high";
    this.#picture.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, shown.width, shown.height);
    bitmap.close();
    this.#hasPicture = true;
    this.#paint();
    this.#onChange(true);
  }

  #empty(): void {
    const { width, height } = shown;
    this.#picture.fillStyle = "#fff";
    this.#picture.fillRect(0, 0, width, height);
    this.#mask.clearRect(0, 0, width, height);
    this.#hasPicture = false;
    this.#hasMask = false;
    choose(form, "easel-tool", "paint");
    this.#paint();
  }

  #stroke(event: PointerEvent): void {
    const { left, top, width } = shown.getBoundingClientRect();
    const scale = shown.width / width;
    const to: [number, number] = [(event.clientX - left) * scale, (event.clientY - top) * scale];
    const [x, y] = this.#last ?? to;
    this.#last = to;
    const anew = chosen(form, "easel-tool") === "anew";
    const context = anew ? this.#mask : this.#picture;
    context.strokeStyle = anew ? "#fff" : colorField.value;
    context.lineWidth = Number(widthField.value);
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(x, y);
    // A line of no length is not drawn.
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
    this.#hasPicture = true;
    this.#hasMask ||= anew;
    this.#paint();
    this.#onChange(false);
  }

  #paint(): void {
    const context = shown.getContext("2d");
    if (!context) return;
    context.drawImage(this.#picture.canvas, 0, 0);
    context.globalAlpha = 0.6;
    context.drawImage(this.#tinted(), 0, 0);
    context.globalAlpha = 1;
    byId("easel-strength-field").hidden = this.#hasMask;
    byId("easel-clear").hidden = !this.#hasPicture;
  }

  /** The mask in a colour that few pictures have. */
  #tinted(): HTMLCanvasElement {
    const tint = layer(shown.width);
    tint.drawImage(this.#mask.canvas, 0, 0);
    tint.globalCompositeOperation = "source-in";
    tint.fillStyle = "#f0f";
    tint.fillRect(0, 0, shown.width, shown.height);
    return tint.canvas;
  }
}
