import type { ModelConfig, Picture, PictureSettings } from "freeguide";
import { isAttributes } from "freeguide/settings";
import { byId, make } from "../app/dom.js";
import { isSameClass, runsOf, showNumber, SWEEP, type Chosen, type PageDrawing, type Settings, type ViewRun } from "../app/settings.js";

/** One place on the sheet. */
export interface Tile {
  readonly figure: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly class: Chosen;
  /** Number of the tile on the sheet, from 1. */
  readonly number: number;
  /** What distinguishes it from its neighbours: its class, its seed, or the weight of the second seed. */
  caption: string;
  /** What the shown picture was drawn with; undefined until a run has finished a step. */
  drawn: PictureSettings | undefined;
  /** What was asked for to draw it. */
  asked: PageDrawing | undefined;
  /** The picture after each step. */
  frames: Picture[];
  /** Whether the last of them is the result. */
  finished: boolean;
}

/** Tiles that are drawn in one run, which has one strength of guidance and one seed. */
export interface Run {
  drawing: PageDrawing;
  readonly tiles: Tile[];
}

/** A class for people. */
export function className(name: Chosen): string {
  if (isAttributes(name)) return name.join(" + ");
  if (typeof name !== "object" || name === null) return name ?? "no class";
  return Object.entries(name)
    .map(([part, weight]) => `${Math.round(100 * weight)} % ${part}`)
    .join(", ");
}

/** The grid of pictures. It is laid out again only if its shape changes, so that pictures stay until they are replaced. */
export class Sheet {
  readonly #element = byId("sheet");
  readonly #open: (tile: Tile) => void;
  readonly #save: (tile: Tile) => void;
  readonly #pick: (w: number) => void;
  #shape = "";
  #size = 1;
  #columns = 1;
  #rows = 1;
  runs: Run[] = [];

  /** `open` opens a tile's window, `save` saves its picture, `pick` takes the strength of a sweep's column. */
  constructor({ open, save, pick }: { open(tile: Tile): void; save(tile: Tile): void; pick(w: number): void }) {
    this.#open = open;
    this.#save = save;
    this.#pick = pick;
    new ResizeObserver(() => this.#fit()).observe(byId("sheet").parentElement ?? document.body);
  }

  get tiles(): Tile[] {
    return this.runs.flatMap(({ tiles }) => tiles);
  }

  get columns(): number {
    return this.#columns;
  }

  /** Pixels of an image's side. */
  get imageSize(): number {
    return this.#size;
  }

  /** Lays out tiles for what `settings` ask for. */
  layOut(settings: Settings, config: ModelConfig): void {
    const { count, view, classes, word } = settings;
    const lines = view === "sheet" && word !== undefined ? word.split(" ") : undefined;
    const runs = runsOf(settings);
    this.#element.hidden = false;
    const shape = JSON.stringify([config.name, config.image.size, count, view, classes, lines]);
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#size = config.image.size;
      [this.#columns, this.#rows] = shapeOf(settings, lines);
      this.runs = runs.map((run, at) => this.#place(run, at, runs.length));
      if (lines) spread(this.tiles, lines);
      this.#element.classList.toggle("sweep", view === "sweep");
      this.#element.classList.toggle("word", lines !== undefined);
      const inOrder = this.tiles.sort((a, b) => a.number - b.number).map(({ figure }) => figure);
      const heads = view === "sweep" ? SWEEP.map((w) => this.#head(w)) : [];
      this.#element.replaceChildren(...heads, ...inOrder);
      this.#fit();
    }
    runs.forEach(({ drawing }, at) => {
      const run = this.runs[at];
      if (!run) return;
      run.drawing = drawing;
      for (const tile of run.tiles) {
        tile.caption = captionOf(tile.class, drawing, view);
        this.label(tile);
      }
    });
  }

  /** The tiles of one of `all` runs: run after run, or a column of the sheet for each where a run has several. */
  #place({ drawing, classes }: ViewRun, at: number, all: number): Run {
    return { drawing, tiles: classes.map((name, place) => this.#tile(name, place * all + at + 1)) };
  }

  /** The pictures on a sheet that was drawn whole with just these settings, in the seed's order; else none. */
  finished(wanted: Settings): { picture: Picture; settings: PictureSettings }[] {
    const [run] = runsOf(wanted);
    if (wanted.view !== "sheet" || !run) return [];
    const asked = JSON.stringify(run.drawing);
    const found = this.tiles.flatMap((tile, at) => {
      const picture = tile.frames.at(-1);
      const same = JSON.stringify(tile.asked) === asked && isSameClass(tile.class, run.classes[at]) && tile.finished;
      return picture && tile.drawn && same ? [{ picture, settings: tile.drawn }] : [];
    });
    return found.length === this.tiles.length ? found : [];
  }

  #head(w: number): HTMLElement {
    const title = `Draw a sheet with w = ${showNumber(w)}`;
    const head = make("button", { type: "button", className: "head", title }, make("i", {}, "w"), ` = ${showNumber(w)}`);
    head.addEventListener("click", () => this.#pick(w));
    return head;
  }

  #tile(name: Chosen, number: number): Tile {
    const canvas = make("canvas", { width: this.#size, height: this.#size });
    const open = make("button", { type: "button", className: "open" }, canvas);
    const save = make("button", { type: "button", className: "save", tabIndex: -1, title: "Save as PNG", "aria-hidden": "true" }, "↓");
    const figure = make("figure", { className: "tile" }, open, save, make("figcaption"));
    const tile: Tile = { figure, canvas, class: name, number, caption: "", drawn: undefined, asked: undefined, frames: [], finished: false };
    open.addEventListener("click", () => this.#open(tile));
    save.addEventListener("click", () => this.#save(tile));
    fillWithNoise(canvas);
    return tile;
  }

  /** Describes a tile for screen readers. */
  label({ figure, drawn, class: name, number, caption }: Tile): void {
    const what = `Picture ${number}, ${className(name)}`;
    const words = drawn ? `${what}, guidance ${showNumber(drawn.guidance)}, seed ${drawn.seed}. Open` : `${what}, not drawn yet`;
    figure.querySelector(".open")?.setAttribute("aria-label", words);
    figure.querySelector("figcaption")?.replaceChildren(caption);
    figure.classList.toggle("drawn", drawn !== undefined);
  }

  /** The side of a tile is a multiple of the image's, in screen pixels, so that every pixel is a square of the same size. */
  #fit(): void {
    const stage = this.#element.parentElement;
    if (!stage || this.#element.hidden) return;
    const style = getComputedStyle(this.#element);
    const gap = parseFloat(style.columnGap) || 0;
    const ratio = window.devicePixelRatio || 1;
    const tallest = parseFloat(style.getPropertyValue("--tallest")) || 10_000;
    const wide = (stage.clientWidth - gap * (this.#columns - 1)) / this.#columns;
    const head = this.#element.querySelector<HTMLElement>(".head");
    const room = tallest - (head ? head.offsetHeight + gap : 0);
    const high = (room - gap * (this.#rows - 1)) / this.#rows;
    const exact = Math.max(24, Math.min(wide, high));
    const times = Math.floor((exact * ratio) / this.#size);
    const side = times >= 1 ? (times * this.#size) / ratio : exact;
    this.#element.style.setProperty("--side", `${side}px`);
    this.#element.style.setProperty("--columns", String(this.#columns));
  }
}

/** Columns and rows of a sheet. */
function shapeOf(settings: Settings, lines: readonly string[] | undefined): [number, number] {
  if (lines) return [Math.max(...lines.map((line) => [...line].length)), lines.length];
  if (settings.view === "sweep") return [SWEEP.length, runsOf(settings)[0]?.classes.length ?? 1];
  const side = Math.ceil(Math.sqrt(settings.count));
  return [side, Math.ceil(settings.count / side)];
}

/** Puts the pictures of characters into their lines. */
function spread(tiles: readonly Tile[], lines: readonly string[]): void {
  let next = 0;
  lines.forEach((line, row) => {
    for (let column = 1; column <= [...line].length; column += 1) {
      const tile = tiles[next++];
      if (tile) tile.figure.style.gridArea = `${row + 1} / ${column}`;
    }
  });
}

/** What distinguishes a picture from its neighbours: its class, its seed, or the weight of the second seed. */
function captionOf(name: Chosen, { seed, toward }: PageDrawing, view: Settings["view"]): string {
  if (view === "seeds") return `seed ${seed}`;
  if (view === "variations" && toward) return `towards ${toward.seed}`;
  if (view !== "between" || !toward) return className(name);
  const { t = 0.5 } = toward;
  return t === 0 ? `seed ${seed}` : t === 1 ? `seed ${toward.seed}` : `${Math.round(t * 100)} %`;
}

/** Shows a picture in a tile. */
export function paint(canvas: HTMLCanvasElement, picture: Picture): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d")?.putImageData(picture as ImageData, 0, 0);
}

/** Shows noise, which every picture begins as. */
function fillWithNoise(canvas: HTMLCanvasElement): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(canvas.width, canvas.height);
  for (let at = 0; at < image.data.length; at += 4) {
    for (let channel = 0; channel < 3; channel += 1) {
      const gauss = Math.random() + Math.random() + Math.random() - 1.5;
      image.data[at + channel] = 128 + gauss * 70;
    }
    image.data[at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
