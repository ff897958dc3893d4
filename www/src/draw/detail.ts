import type { Picture } from "freeguide";
import { byId, make } from "../app/dom.js";
import { showNumber, type View } from "../app/settings.js";
import { enlargement, savePicture } from "./save.js";
import { className, paint, type Tile } from "./sheet.js";

/** Frames in the strip that shows how a picture emerged from noise. */
const STRIP = 8;

/** The window with one picture: enlarged, with its steps, its settings, and buttons to save it. */
export class Detail {
  readonly #dialog = byId<HTMLDialogElement>("detail");
  #tile: Tile | undefined;

  /** `onVary` shows variations of the picture, and `onStart` draws from it. */
  constructor(onError: (error: unknown) => void, onVary: (view: View) => void, onStart: (picture: Picture) => void) {
    const vary = (view: View): void => {
      this.#dialog.close();
      onVary(view);
    };
    byId("detail-seeds").addEventListener("click", () => vary("seeds"));
    byId("detail-variations").addEventListener("click", () => vary("variations"));
    byId("detail-between").addEventListener("click", () => vary("between"));
    byId("detail-easel").addEventListener("click", () => {
      const picture = this.#tile?.frames.at(-1);
      this.#dialog.close();
      if (picture) onStart(picture);
    });
    const save = (times: number): void => {
      if (this.#tile) savePicture(this.#tile, times).catch(onError);
    };
    byId("detail-save").addEventListener("click", () => save(1));
    byId("detail-save-large").addEventListener("click", () => save(enlargement(this.#tile?.canvas.width ?? 1)));
    byId("detail-close").addEventListener("click", () => this.#dialog.close());
    // A click outside the window closes it, since the dialog itself has no padding.
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
  }

  /** The tile that was opened last. */
  get tile(): Tile | undefined {
    return this.#tile;
  }

  open(tile: Tile): void {
    const picture = tile.frames.at(-1);
    const { drawn } = tile;
    if (!picture || !drawn) return;
    this.#tile = tile;
    const canvas = byId<HTMLCanvasElement>("detail-picture");
    if (drawn.tileable) paintPattern(canvas, picture);
    else paint(canvas, picture);
    canvas.setAttribute("aria-label", `${className(tile.class)}, drawn with guidance ${showNumber(drawn.guidance)}`);
    byId("detail-title").textContent = className(tile.class);

    const strip = byId("detail-strip");
    const count = Math.min(STRIP, tile.frames.length);
    strip.hidden = count < 2;
    strip.replaceChildren(
      ...Array.from({ length: count }, (_, at) => {
        const frame = tile.frames[Math.round((at * (tile.frames.length - 1)) / Math.max(1, count - 1))];
        const small = make("canvas");
        if (frame) paint(small, frame);
        return small;
      }),
    );

    const facts: [string, string][] = [
      ["guidance w", showNumber(drawn.guidance)],
      ["seed", String(drawn.seed)],
      ["image", String(drawn.image)],
      ["sampler", `${drawn.sampler}, ${drawn.steps} steps`],
      ["model", drawn.model],
    ];
    byId("detail-list").replaceChildren(
      ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
    );
    const times = enlargement(picture.width);
    byId("detail-save").textContent = `Save ${picture.width} × ${picture.height}`;
    const large = byId("detail-save-large");
    large.hidden = times === 1;
    large.textContent = `Save ${picture.width * times} × ${picture.height * times}`;
    this.#dialog.showModal();
  }
}

/** Shows a picture three by three times, as a pattern. */
function paintPattern(canvas: HTMLCanvasElement, picture: Picture): void {
  const { width, height } = picture;
  canvas.width = 3 * width;
  canvas.height = 3 * height;
  const context = canvas.getContext("2d");
  for (let at = 0; at < 9; at += 1) context?.putImageData(picture as ImageData, (at % 3) * width, Math.floor(at / 3) * height);
}
