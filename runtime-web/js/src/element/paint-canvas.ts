import type { PictureOptions, PictureSource } from "../source-image.js";
import { make } from "./make.js";

const COLOR = "#f2b01e";

type Layer = OffscreenCanvasRenderingContext2D;

function layer(size: number): Layer {
  const context = new OffscreenCanvas(size, size).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser has no 2D canvas");
  return context;
}

/** The canvas of an element: drawing starts from what is painted on it, and draws anew what is marked on it. */
export class PaintCanvas {
  readonly #canvas = make("canvas", { part: "canvas", role: "img", "aria-label": "The picture that drawing starts from: paint on it" });
  readonly #tool = make("select", { id: "tool", part: "tool" }, make("option", { value: "paint" }, "Paint"), make("option", { value: "anew" }, "Draw anew"));
  readonly #color = make("input", { id: "color", part: "color", type: "color", value: COLOR });
  readonly #width = make("input", { id: "width", part: "width", type: "range", min: "1", max: "8", step: "1" });
  readonly #clear = make("button", { type: "button", part: "clear" }, "Clear");
  readonly #file = make("input", { id: "file", part: "file", type: "file", accept: "image/*" });
  readonly #onProblem: (thrown: unknown) => void;
  /** For the controls of an element. */
  readonly elements = [
    make("div", { class: "wide" }, this.#canvas),
    make("div", {}, make("label", { for: "tool" }, "Brush"), this.#tool),
    make("div", {}, make("label", { for: "color" }, "Colour"), this.#color),
    make("div", {}, make("label", { for: "width" }, "Width of the brush"), this.#width),
    make("div", {}, make("label", { for: "file" }, "Photo"), this.#file),
    make("div", { class: "wide" }, this.#clear),
  ];
  #size = 1;
  #picture = layer(1);
  #mask = layer(1);
  #isPainted = false;
  #isMarked = false;
  #last: readonly [number, number] | undefined;

  constructor(onProblem: (thrown: unknown) => void) {
    this.#onProblem = onProblem;
    this.#canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.#canvas.setPointerCapture(event.pointerId);
      this.#last = undefined;
      this.#stroke(event);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (this.#canvas.hasPointerCapture(event.pointerId)) this.#stroke(event);
    });
    this.#clear.addEventListener("click", () => this.clear());
    this.#file.addEventListener("change", () => {
      const [file] = this.#file.files ?? [];
      this.#file.value = "";
      if (file) void this.show(file).catch(this.#onProblem);
    });
  }

  /** Fits it to a model's pictures, which empties it if they have another size. */
  offer(size: number): void {
    if (size === this.#size) return;
    this.#size = size;
    this.#canvas.width = size;
    this.#canvas.height = size;
    this.#picture = layer(size);
    this.#mask = layer(size);
    this.#width.max = String(Math.max(2, Math.round(size / 4)));
    this.#width.value = String(Math.max(1, Math.round(size / 12)));
    this.clear();
  }

  /** What drawing starts from; nothing where the canvas is empty. */
  get source(): PictureOptions {
    if (!this.#isPainted) return {};
    const pixels = (of: Layer): ImageData => of.getImageData(0, 0, this.#size, this.#size);
    return { image: pixels(this.#picture), ...(this.#isMarked && { mask: pixels(this.#mask) }) };
  }

  /** Puts a picture on the canvas, cropped to a square. */
  async show(picture: PictureSource): Promise<void> {
    const taken = "data" in picture && !(picture instanceof ImageData) ? new ImageData(picture.data, picture.width, picture.height) : picture;
    const bitmap = await createImageBitmap(taken as ImageBitmapSource);
    this.clear();
    const side = Math.min(bitmap.width, bitmap.height);
    this.#picture.imageSmoothingQuality = "high";
    this.#picture.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, this.#size, this.#size);
    bitmap.close();
    this.#isPainted = true;
    this.#show();
  }

  clear(): void {
    this.#picture.fillStyle = "#fff";
    this.#picture.fillRect(0, 0, this.#size, this.#size);
    this.#mask.clearRect(0, 0, this.#size, this.#size);
    this.#isPainted = false;
    this.#isMarked = false;
    this.#tool.value = "paint";
    this.#show();
  }

  #stroke(event: PointerEvent): void {
    const { left, top, width } = this.#canvas.getBoundingClientRect();
    const scale = this.#size / width;
    const to = [(event.clientX - left) * scale, (event.clientY - top) * scale] as const;
    const [x, y] = this.#last ?? to;
    this.#last = to;
    const anew = this.#tool.value === "anew";
    const context = anew ? this.#mask : this.#picture;
    context.strokeStyle = anew ? "#fff" : this.#color.value;
    context.lineWidth = Number(this.#width.value);
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(x, y);
    // A line of no length is not drawn.
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
    this.#isPainted = true;
    this.#isMarked ||= anew;
    this.#show();
  }

  /** The picture, and over it the marks in a colour that few pictures have. */
  #show(): void {
    const context = this.#canvas.getContext("2d");
    if (!context) return;
    context.drawImage(this.#picture.canvas, 0, 0);
    const tint = layer(this.#size);
    tint.drawImage(this.#mask.canvas, 0, 0);
    tint.globalCompositeOperation = "source-in";
    tint.fillStyle = "#f0f";
    tint.fillRect(0, 0, this.#size, this.#size);
    context.globalAlpha = 0.6;
    context.drawImage(tint.canvas, 0, 0);
    context.globalAlpha = 1;
    this.#clear.disabled = !this.#isPainted;
  }
}
