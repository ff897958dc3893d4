import { AbortedError, InputError } from "../errors.js";
import { loadModel } from "../packaged.js";
import type { Model } from "../model.js";
import { drawingOfAttributes, parseClass, type ClassMix, type Drawing } from "../settings.js";
import type { PictureOptions, PictureSource } from "../source-image.js";
import type { DeviceOption, LoadProgress, Picture } from "../types.js";
import { describeError } from "../words.js";
import { View, type Choice } from "./view.js";

/** Details of the events that the element sends. They bubble, also out of shadow trees. */
export interface FreeguideSamplerEvents {
  /** The model is ready. */
  "freeguide-load": CustomEvent<{ model: Model }>;
  /** A step is done; `images` are the estimates after it. */
  "freeguide-step": CustomEvent<{ step: number; steps: number; images: readonly Picture[] }>;
  /** The pictures are finished. */
  "freeguide-draw": CustomEvent<{ images: readonly Picture[]; className: string | null | readonly string[] | ClassMix; number: number | undefined; guidance: number; seed: number }>;
  /** Something went wrong; the element says what. */
  "freeguide-error": CustomEvent<{ error: unknown }>;
}

const phases: Record<LoadProgress["phase"], string> = {
  runtime: "Fetching the runtime",
  "self-test": "Checking the device",
  weights: "Fetching the model",
  gpu: "Preparing the GPU",
  ready: "Ready",
};
/** Where each phase of a load begins and ends on the bar. */
const spans: Record<LoadProgress["phase"], readonly [number, number]> = {
  runtime: [0, 0.25],
  "self-test": [0.25, 0.3],
  weights: [0.3, 0.95],
  gpu: [0.95, 1],
  ready: [1, 1],
};
const MOST_PICTURES = 64;

// A server that renders pages imports this too and has no elements.
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/**
 * `<freeguide-sampler model="./models/emoji16/">`: a picker for the class, guidance, seed, and pictures as they emerge.
 *
 * Attributes: `model` (address of a bundle's folder), `guide` (of another that guides it, see `LoadOptions.guide`), `class-name` (a class, `none`, several attributes: `smiling+hat`, or a mix: `cat:0.7,dog:0.3`), `count` (pictures, 1 to 64),
 * `device` (`auto`, `cpu`, `webgpu`), `worker` (see `LoadOptions.worker`), `loading` (`lazy`, the default: when it comes
 * into view; `eager`), `autodraw` (draws without a click), `canvas` (a canvas to paint on, or to put a photo on: drawing
 * starts from it, `strength` says how far from it, and what is marked is drawn anew), and every setting of a drawing under the name of its option of
 * `freeguide sample`: `guidance`, `steps`, `sampler`, `seed`, `guidance-policy`, `grid` …; `clip="false"` for `--no-clip`.
 */
export class FreeguideSampler extends Base {
  static readonly observedAttributes = ["model", "guide", "device", "class-name", "number", "guidance", "seed", "count", "canvas"];

  #view: View | undefined;
  #observer: IntersectionObserver | undefined;
  #model: Model | undefined;
  #loading: AbortController | undefined;
  #drawing: AbortController | undefined;
  #pictures: readonly Picture[] = [];

  /** The model, once it is loaded. */
  get loaded(): Model | undefined {
    return this.#model;
  }

  /** The pictures that were drawn last. */
  get pictures(): readonly Picture[] {
    return this.#pictures;
  }

  /** Called by the browser when it is put into a page. */
  connectedCallback(): void {
    if (!this.#view) {
      this.#view = new View(this.attachShadow({ mode: "open" }), {
        draw: () => void this.draw(),
        stop: () => this.stop(),
        retry: () => void this.load().catch(() => {}),
        problem: (thrown) => this.#fail(new InputError("the file cannot be read as a picture", { cause: thrown }), false),
      });
      this.#view.hasCanvas = this.hasAttribute("canvas");
      this.#view.offer(undefined);
      this.#view.layOut(this.#count, 1);
    }
    this.#await();
  }

  /** Called by the browser when it is taken out of its page. */
  disconnectedCallback(): void {
    // An element that is only moved is connected again by then.
    queueMicrotask(() => {
      if (!this.isConnected) this.#close();
    });
  }

  /** Called by the browser when an attribute changes. */
  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (!this.#view || before === after) return;
    if (name === "canvas") {
      this.#view.hasCanvas = after !== null;
    } else if (name === "model" || name === "guide" || name === "device") {
      this.#close();
      if (this.isConnected) this.#await();
    } else {
      this.#takeAttribute(name);
    }
  }

  /** Loads the model that `model` names. Resolves to it; rejects as `loadModel` does, and says so in the element. */
  async load(): Promise<Model> {
    this.#unload();
    const control = new AbortController();
    this.#loading = control;
    const view = this.#view;
    view?.showProblem(undefined, false);
    try {
      const address = this.getAttribute("model");
      if (!address) throw new InputError("the element needs an attribute model with the address of a bundle's folder");
      const model = await loadModel(address, {
        device: (this.getAttribute("device") ?? "auto") as DeviceOption,
        guide: this.getAttribute("guide") ?? undefined,
        worker: this.getAttribute("worker") ?? true,
        signal: control.signal,
        onProgress: (progress) => this.#showLoad(progress),
        onDevice: ({ name, preparing }) => {
          if (this.#view && !this.#view.busy && !preparing) this.#view.say(`Ready on ${name}`);
        },
      });
      if (control.signal.aborted) {
        model.dispose();
        throw new AbortedError();
      }
      this.#model = model;
      this.#settle(model);
      return model;
    } catch (error) {
      if (this.#loading === control && !control.signal.aborted) this.#fail(error, true);
      throw error;
    }
  }

  /** Draws with what the controls say. Resolves to the pictures; to none where it was stopped or failed. */
  async draw(): Promise<readonly Picture[]> {
    this.#drawing?.abort();
    const control = new AbortController();
    this.#drawing = control;
    try {
      const model = this.#model ?? (await this.load());
      const view = this.#view;
      if (!view || control.signal.aborted) return [];
      const choice = view.choice;
      view.layOut(this.#count, model.config.image.size);
      view.showProblem(undefined, false);
      view.busy = true;
      view.say("Drawing");
      const images = await this.#run(model, view, choice, control.signal);
      view.say(`Drew ${images.length} ${images.length === 1 ? "picture" : "pictures"}`);
      this.#pictures = images;
      this.#send("freeguide-draw", { images, ...choice });
      return images;
    } catch (error) {
      if (error instanceof AbortedError) this.#view?.say("Stopped");
      else if (this.#model) this.#fail(error, false);
      return [];
    } finally {
      if (this.#drawing === control && this.#view) this.#view.busy = false;
    }
  }

  /** Puts a picture on the canvas of an element with the attribute `canvas`, once its model is loaded. */
  async show(picture: PictureSource): Promise<void> {
    if (!this.#model) await this.load();
    if (!this.#view?.canvas) throw new InputError("the element has no attribute canvas");
    await this.#view.canvas.show(picture);
  }

  /** Stops drawing within one step. */
  stop(): void {
    this.#drawing?.abort();
  }

  async #run(model: Model, view: View, choice: Choice, signal: AbortSignal): Promise<readonly Picture[]> {
    let last: readonly Picture[] = [];
    const source = view.canvas?.source ?? {};
    for await (const { step, steps: all, images } of model.sample({
      ...this.#settings(source),
      ...source,
      classes: Array.from({ length: this.#count }, () => choice.className),
      ...(choice.number !== undefined && { number: choice.number }),
      guidance: choice.guidance,
      seed: choice.seed,
      signal,
    })) {
      view.paint(images, choice);
      view.progress = step / all;
      this.#send("freeguide-step", { step, steps: all, images });
      last = images;
    }
    return last;
  }

  /** What the attributes set beside what the controls do. */
  #settings(source: PictureOptions): Drawing {
    const ofControls = ["number", "guidance", "seed"];
    const { drawing, unknown } = drawingOfAttributes((name) => (ofControls.includes(name) ? null : this.getAttribute(name)));
    if (unknown.length > 0) throw new InputError(`the element's attributes are not understood: ${unknown.join(", ")}`);
    const { strength, resampling, ...others } = drawing;
    // These are of runs from a picture, and a mask keeps what it does not mark by itself.
    if (source.image === undefined) return this.#view?.canvas ? others : drawing;
    return source.mask === undefined ? { ...others, ...(strength !== undefined && { strength }) } : { ...others, ...(resampling !== undefined && { resampling }) };
  }

  get #count(): number {
    const count = Math.round(Number(this.getAttribute("count") ?? 4));
    return Number.isFinite(count) ? Math.min(MOST_PICTURES, Math.max(1, count)) : 4;
  }

  #await(): void {
    this.#observer?.disconnect();
    const load = (): void => {
      const work = this.hasAttribute("autodraw") ? this.draw() : this.load();
      work.catch(() => {}); // said in the element
    };
    if (this.getAttribute("loading") === "eager") {
      load();
      return;
    }
    this.#observer = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      this.#observer?.disconnect();
      if (!this.#model) load();
    });
    this.#observer.observe(this);
  }

  #showLoad({ phase, loaded, total, cached }: LoadProgress): void {
    if (!this.#view) return;
    if (this.#model) {
      // A GPU joins the model that is there already.
      if (!this.#view.busy) this.#view.say(phases[phase]);
      return;
    }
    const [from, to] = spans[phase];
    this.#view.progress = from + (to - from) * (total ? Math.min(1, loaded / total) : 0);
    this.#view.say(`${phases[phase]}${cached ? " from the cache" : ""}`);
  }

  /** Fits the controls to a model. */
  #settle(model: Model): void {
    const view = this.#view;
    if (!view) return;
    view.offer(model.config);
    view.guidance = model.config.sampling.guidance;
    view.seed = 7;
    view.layOut(this.#count, model.config.image.size);
    view.progress = 0;
    for (const name of ["class-name", "number", "guidance", "seed"]) this.#takeAttribute(name);
    view.say(`${model.config.name} is ready on ${model.device.name}`);
    this.#send("freeguide-load", { model });
  }

  #takeAttribute(name: string): void {
    const view = this.#view;
    const value = this.getAttribute(name);
    if (!view || value === null || !this.#model) return;
    const number = Number(value);
    if (name === "class-name") view.className = parseClass(value, this.#model.config.classes) ?? null;
    else if (name === "number" && Number.isFinite(number)) view.number = number;
    else if (name === "guidance" && Number.isFinite(number)) view.guidance = number;
    else if (name === "seed" && Number.isSafeInteger(number) && number >= 0) view.seed = number;
    else if (name === "count") view.layOut(this.#count, this.#model.config.image.size);
  }

  #fail(error: unknown, retry: boolean): void {
    this.#view?.showProblem(describeError(error), retry);
    this.#view?.say("");
    this.#send("freeguide-error", { error });
  }

  #send<K extends keyof FreeguideSamplerEvents>(name: K, detail: FreeguideSamplerEvents[K]["detail"]): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }

  #close(): void {
    this.#observer?.disconnect();
    this.#drawing?.abort();
    this.#unload();
  }

  #unload(): void {
    this.#loading?.abort();
    this.#model?.dispose();
    this.#model = undefined;
    this.#view?.offer(undefined);
  }
}
