import { AbortedError, type Model, type PictureOptions, type Preview } from "freeguide";
import { optionsOf, runsOf, stepsNear, strengthsOf, type Settings } from "../app/settings.js";
import { paint, type Run, type Sheet } from "./sheet.js";

/**
 * How a sheet is drawn. `show`: step by step. `swap`: the old pictures stay until the new ones are finished. `draft`: as
 * `swap`, with few steps, while a setting is being dragged.
 */
export type Manner = "show" | "swap" | "draft";

/** Events of the studio. */
export interface StudioEvents {
  begin(manner: Manner): void;
  /** After each step: of all steps of the sheet, and how long one took. */
  step(done: number, all: number, milliseconds: number, nfe: number): void;
  end(outcome: { manner: Manner; finished: boolean; milliseconds: number }): void;
  fail(error: unknown): void;
}

interface Order {
  settings: Settings;
  manner: Manner;
}

/** Longest time of a draft in milliseconds, so that a drag still feels responsive. */
const DRAFT_BUDGET = 300;
const LEAST_DRAFT_STEPS = 4;

/** The steps of a run: from a picture, the share that its strength leaves. */
function stepsTaken({ drawing: { steps, strength = 1 }, picture }: Settings): number {
  return picture ? Math.max(1, Math.round(strength * steps)) : steps;
}

/** Draws sheets with one model, one at a time. A new order replaces the waiting one; drafts are not interrupted by drafts. */
export class Studio {
  readonly #model: Model;
  readonly #sheet: Sheet;
  readonly #events: StudioEvents;
  #next: Order | undefined;
  #current: { manner: Manner; control: AbortController } | undefined;
  #loop: Promise<void> | undefined;
  /** Milliseconds of one step of one picture with two passes, a running mean; 0 until it is known. */
  #cost = 0;
  preview: Preview = "denoised";

  constructor(model: Model, sheet: Sheet, events: StudioEvents) {
    this.#model = model;
    this.#sheet = sheet;
    this.#events = events;
  }

  get busy(): boolean {
    return this.#loop !== undefined;
  }

  order(settings: Settings, manner: Manner): void {
    this.#next = { settings: structuredClone(settings), manner };
    // Drafts are short and may finish, or a drag would abort each before it shows anything.
    if (this.#current && !(this.#current.manner === "draft" && manner === "draft")) this.#current.control.abort();
    this.#loop ??= this.#work();
  }

  /** Stops immediately and drops the waiting order. Resolves when nothing is running. */
  async stop(): Promise<void> {
    this.#next = undefined;
    this.#current?.control.abort();
    await this.#loop;
  }

  /** Expected milliseconds of a sheet; undefined until something was drawn. */
  estimate(settings: Settings): number | undefined {
    if (this.#cost === 0) return undefined;
    // Without guidance one evaluation a step is enough, and a distilled model never needs two.
    const distilled = strengthsOf(this.#model.config) !== undefined;
    const { resampling = 1 } = optionsOf(settings.drawing, settings.picture);
    const evaluations = stepsTaken(settings) * resampling;
    const costs = runsOf(settings).map(({ drawing: { guidance }, classes }) => {
      const passes = distilled || guidance === 0 || guidance === -1 ? 0.5 : 1;
      return this.#cost * evaluations * passes * classes.length;
    });
    return costs.reduce((sum, cost) => sum + cost, 0);
  }

  async #work(): Promise<void> {
    while (this.#next) {
      const { settings, manner } = this.#next;
      this.#next = undefined;
      const control = new AbortController();
      this.#current = { manner, control };
      const begun = performance.now();
      let finished = false;
      this.#events.begin(manner);
      try {
        await this.#draw(settings, manner, control.signal);
        finished = true;
      } catch (error) {
        if (!(error instanceof AbortedError)) {
          this.#next = undefined;
          this.#events.fail(error);
        }
      }
      this.#current = undefined;
      // Before the event `end`, whose listener may order the next sheet.
      if (!this.#next) this.#loop = undefined;
      this.#events.end({ manner, finished, milliseconds: performance.now() - begun });
    }
  }

  async #draw(asked: Settings, manner: Manner, signal: AbortSignal): Promise<void> {
    const settings = { ...asked, drawing: { ...asked.drawing } };
    const { steps } = asked.drawing;
    if (manner === "draft") {
      const whole = this.estimate(asked) ?? Infinity;
      if (whole > DRAFT_BUDGET) {
        const affordable = Math.floor((steps * DRAFT_BUDGET) / whole);
        settings.drawing.steps = stepsNear(this.#model.config, Math.min(steps, Math.max(LEAST_DRAFT_STEPS, affordable)));
      }
    }
    this.#sheet.layOut(settings, this.#model.config);
    let done = 0;
    const all = stepsTaken(settings) * this.#sheet.runs.length;
    for (const run of this.#sheet.runs) {
      done = await this.#drawRun(run, settings.picture, manner, signal, done, all);
    }
  }

  async #drawRun({ tiles, drawing }: Run, from: PictureOptions | undefined, manner: Manner, signal: AbortSignal, before: number, all: number): Promise<number> {
    const options = { ...optionsOf(drawing, from), classes: tiles.map((tile) => tile.class) };
    const { settings: drawn } = await this.#model.plan(options);
    const frames: (typeof tiles)[number]["frames"][] = tiles.map(() => []);
    const quiet = manner !== "show";
    let done = before;
    const steps = this.#model.sample({ ...options, preview: manner === "draft" ? "none" : this.preview, signal });
    for await (const { step, steps: total, images, milliseconds, nfe } of steps) {
      done += 1;
      const passes = nfe / total / 2;
      const cost = milliseconds / tiles.length / Math.min(1, passes);
      // The first step also warms up caches and, on a GPU, compiles shaders.
      if (step > 1) this.#cost = this.#cost === 0 ? cost : this.#cost * 0.9 + cost * 0.1;
      const last = step === total;
      images.forEach((picture, at) => frames[at]?.push(picture));
      tiles.forEach((tile, at) => {
        const picture = images[at];
        if (!picture || (quiet && !last)) return;
        tile.frames = frames[at] ?? [];
        tile.drawn = drawn[at];
        tile.finished = last && manner !== "draft";
        tile.asked = drawing;
        paint(tile.canvas, picture);
        if (last || step === 1) this.#sheet.label(tile);
      });
      this.#events.step(done, all, milliseconds, nfe);
    }
    return done;
  }
}
