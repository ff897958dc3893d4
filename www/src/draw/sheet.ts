import type { ModelConfig, Picture, PictureSettings } from "freeguide";
import { version } from "freeguide";
import { byId, make } from "../app/dom.js";
import { showNumber, SWEEP, SWEEP_ROWS, type Settings } from "../app/settings.js";

/** One place on the sheet. */
export interface Tile {
  readonly figure: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  /** Class name; null is the unconditional model. */
  readonly class: string | null;
  /** Number of the image within the seed. */
  readonly image: number;
  /** Number of the tile on the sheet, from 1. */
  readonly number: number;
  /** What tells it from its neighbours: its class, its seed, how far it is on the way to another seed. */
  caption: string;
  /** What the shown picture was drawn with; undefined until a run has finished a step. */
  drawn: PictureSettings | undefined;
  /** The picture after each step. */
  frames: Picture[];
}

/** Tiles that are drawn in one run, since a run has one strength of guidance and one seed. */
export interface Run {
  guidance: number;
  seed: number;
  /** How far the noise is on the way to the seed `toward`, from 0 to 1. */
  t: number | undefined;
  readonly tiles: Tile[];
}

/** Class and picture numbers as text. */
export function className(name: string | null): string {
  return name ?? "no class";
}

/** The grid of pictures. It is laid out anew only when its shape changes, so that pictures stay until they are replaced. */
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

  /** `open` a tile's window, `save` its picture, `pick` the strength of a sweep's column. */
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

  /** Makes places for what `settings` ask for. */
  layOut(settings: Settings, config: ModelConfig): void {
    const { count, view, classes } = settings;
    const side = view === "sweep" ? Math.min(count, SWEEP_ROWS) : Math.round(Math.sqrt(count));
    this.#element.hidden = false;
    const shape = JSON.stringify([config.name, config.image.size, count, view, classes]);
    if (shape !== this.#shape) {
      this.#shape = shape;
      this.#size = config.image.size;
      this.#columns = view === "sweep" ? SWEEP.length : side;
      this.#rows = side;
      this.runs = this.#places(settings, side);
      this.#element.classList.toggle("sweep", view === "sweep");
      const inOrder = this.tiles.sort((a, b) => a.number - b.number).map(({ figure }) => figure);
      const heads = view === "sweep" ? SWEEP.map((w) => this.#head(w)) : [];
      this.#element.replaceChildren(...heads, ...inOrder);
      this.#fit();
    }
    this.runs.forEach((run, at) => this.#assign(run, at, settings));
  }

  /** The runs of a view, each with its tiles. */
  #places({ view, classes, count }: Settings, side: number): Run[] {
    const run = (tiles: Tile[]): Run => ({ guidance: 0, seed: 0, t: undefined, tiles });
    const each = <T>(length: number, make: (at: number) => T): T[] => Array.from({ length }, (_, at) => make(at));
    const classAt = (image: number): string | null => classes[image % classes.length] ?? null;
    switch (view) {
      case "sheet":
        return [run(each(count, (image) => this.#tile(classAt(image), image, image + 1)))];
      case "sweep":
        return SWEEP.map((_, column) =>
          run(each(side, (image) => this.#tile(classAt(image), image, image * SWEEP.length + column + 1))),
        );
      // One class: what changes is the seed.
      case "seeds":
      case "between":
        return each(count, (at) => run([this.#tile(classes[0] ?? null, 0, at + 1)]));
    }
  }

  /** What a run is drawn with. Places stay as they are when only this changes. */
  #assign(run: Run, at: number, { view, guidance, seed, toward }: Settings): void {
    run.guidance = view === "sweep" ? (SWEEP[at] ?? guidance) : guidance;
    run.seed = view === "seeds" ? Math.min(Number.MAX_SAFE_INTEGER, seed + at) : seed;
    run.t = view === "between" ? at / Math.max(1, this.runs.length - 1) : undefined;
    for (const tile of run.tiles) {
      if (view === "seeds") tile.caption = `seed ${run.seed}`;
      else if (run.t === undefined) tile.caption = className(tile.class);
      else tile.caption = run.t === 0 ? `seed ${seed}` : run.t === 1 ? `seed ${toward}` : `${Math.round(run.t * 100)} %`;
      this.label(tile);
    }
  }

  /** The pictures on a sheet that was drawn whole with just these settings, in the seed's order; else none. */
  finished(wanted: Settings): { picture: Picture; settings: PictureSettings }[] {
    const { view, seed, guidance, steps, sampler, classes } = wanted;
    if (view !== "sheet") return [];
    const { guidance_policy, guidance_interval } = policySettings(wanted);
    const steered = JSON.stringify([guidance_policy, guidance_interval]);
    const found = this.tiles.flatMap(({ drawn, frames, image }) => {
      const picture = frames.at(-1);
      const same =
        drawn?.seed === seed &&
        drawn.guidance === guidance &&
        drawn.steps === steps &&
        drawn.sampler === sampler &&
        JSON.stringify([drawn.guidance_policy, drawn.guidance_interval]) === steered &&
        drawn.class === (classes[image % classes.length] ?? null);
      return picture && drawn && same && frames.length === steps ? [{ picture, settings: drawn }] : [];
    });
    return found.length === this.tiles.length ? found : [];
  }

  #head(w: number): HTMLElement {
    const title = `Draw a sheet with w = ${showNumber(w)}`;
    const head = make("button", { type: "button", className: "head", title }, make("i", {}, "w"), ` = ${showNumber(w)}`);
    head.addEventListener("click", () => this.#pick(w));
    return head;
  }

  #tile(name: string | null, image: number, number: number): Tile {
    const canvas = make("canvas", { width: this.#size, height: this.#size });
    const open = make("button", { type: "button", className: "open" }, canvas);
    const save = make("button", { type: "button", className: "save", tabIndex: -1, title: "Save as PNG", "aria-hidden": "true" }, "↓");
    const figure = make("figure", { className: "tile" }, open, save, make("figcaption"));
    const tile: Tile = { figure, canvas, class: name, image, number, caption: "", drawn: undefined, frames: [] };
    open.addEventListener("click", () => this.#open(tile));
    save.addEventListener("click", () => this.#save(tile));
    fillWithNoise(canvas);
    return tile;
  }

  /** Says what a tile shows, for those who do not see it. */
  label({ figure, drawn, class: name, number, caption }: Tile): void {
    const what = `Picture ${number}, ${className(name)}`;
    const words = drawn ? `${what}, guidance ${showNumber(drawn.guidance)}, seed ${drawn.seed}. Open` : `${what}, not drawn yet`;
    figure.querySelector(".open")?.setAttribute("aria-label", words);
    figure.querySelector("figcaption")?.replaceChildren(caption);
    figure.classList.toggle("drawn", drawn !== undefined);
  }

  /** Tiles are whole multiples of an image's pixels on the screen, so that every pixel is a square of the same size. */
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

/** The settings of a tile's picture as its PNG carries them. */
export function pictureSettings(
  tile: Pick<Tile, "class" | "image">,
  run: Omit<Run, "tiles">,
  settings: Settings,
  config: ModelConfig,
): PictureSettings {
  return {
    model: config.name,
    class: tile.class,
    guidance: run.guidance,
    steps: settings.steps,
    sampler: settings.sampler,
    seed: run.seed,
    image: tile.image,
    clip: config.sampling.clip,
    variance_interpolation: config.sampling.variance_interpolation,
    ...policySettings(settings),
    ...(run.t !== undefined && { toward: { seed: settings.toward, t: run.t } }),
    freeguide: `freeguide ${version}`,
  };
}

/** What of guidance beyond its strength a picture carries; nothing where it is the paper's. */
function policySettings({ policy, rescale, interval }: Settings): Partial<PictureSettings> {
  const named: PictureSettings["guidance_policy"] =
    policy === "apg"
      ? { kind: "apg", eta: 0, momentum: -0.5 }
      : policy === "cfg++"
        ? { kind: "cfg++" }
        : rescale > 0
          ? { kind: "cfg", rescale }
          : undefined;
  return { ...(named && { guidance_policy: named }), ...(interval && { guidance_interval: interval }) };
}

/** Shows a picture in a tile. */
export function paint(canvas: HTMLCanvasElement, picture: Picture): void {
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.getContext("2d")?.putImageData(picture as ImageData, 0, 0);
}

/** What every picture begins as. */
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
