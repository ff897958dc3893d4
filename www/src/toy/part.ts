import type { Sampler } from "freeguide";
import { openToy, type Toy, type ToyClass, type ToyRuntime } from "freeguide/toy";
import { choose, chosen, make } from "../app/dom.js";
import { Latest } from "../app/latest.js";
import { complain, say } from "../app/notice.js";
import type { Part } from "../app/parts.js";
import type { Rail } from "../app/rail.js";
import { randomSeed, SAMPLERS, showNumber } from "../app/settings.js";
import { CELLS, EXTENT, Plane } from "./plane.js";

/** Three classes that overlap, as in the paper's figure 2. */
const START: readonly ToyClass[] = [
  { mean: [0.5, 0], deviation: 0.2 },
  { mean: [-0.3, 0.45], deviation: 0.25 },
  { mean: [-0.25, -0.4], deviation: 0.15 },
];
const POINTS = 400;
/** Milliseconds that a frame of the film is shown. */
const FRAME = 28;

/** The toy: guidance on three Gaussians, for which the exact result is known. */
export class ToyPart implements Part {
  readonly #rail: Rail;
  readonly #plane: Plane;
  readonly #latest = new Latest(complain);
  readonly #form: HTMLFormElement;
  readonly #sampler = make("select", { id: "toy-sampler" });
  readonly #steps = make("input", { type: "number", id: "toy-steps", min: "1", max: "256", value: "32" });
  readonly #scrub = make("input", { type: "range", id: "toy-scrub", min: "0", max: "32", value: "32", "aria-label": "Step shown" });
  readonly #at = make("output", { htmlFor: "toy-scrub" });
  readonly #words = make("p", { className: "fine", id: "toy-words" });
  #runtime: Promise<ToyRuntime> | undefined;
  #toy: Toy | undefined;
  #frames: Float32Array[] = [];
  #seed = 7;
  #drafted = false;

  constructor(root: HTMLElement, rail: Rail) {
    this.#rail = rail;
    this.#plane = new Plane(START, (settled) => this.#changed(settled));
    this.#sampler.replaceChildren(...[...SAMPLERS].map(([value, { name, words }]) => make("option", { value, title: words }, name)));
    const choice = (value: string, label: string): HTMLElement =>
      make("label", {}, make("input", { type: "radio", name: "toy-class", value }), make("span", {}, label));
    const reset = make("button", { type: "button", className: "quiet" }, "Reset");
    reset.addEventListener("click", () => {
      this.#plane.classes = [...START];
      this.#plane.place();
      this.#changed(true);
    });
    const again = make("button", { type: "submit", className: "primary", id: "toy-draw" }, "Sample again");
    this.#form = make(
      "form",
      { className: "console", "aria-label": "The toy’s settings" },
      make("h2", {}, "Three Gaussians"),
      make(
        "p",
        { className: "lead" },
        "Here the exact result is known. The map shows the density that guidance targets, p(x | c) p(c | x)ʷ. The points are sampled from noise with the exact denoiser and the same sampler as the pictures. With a higher w the two differ: guiding every noisy step is not the same as guiding the result, and more steps do not change that.",
      ),
      make(
        "fieldset",
        { className: "field segmented", id: "toy-class" },
        make("legend", {}, "Class"),
        choice("0", "A"),
        choice("1", "B"),
        choice("2", "C"),
        choice("none", "∅ no class"),
      ),
      make(
        "div",
        { className: "fields" },
        make("div", { className: "field" }, make("label", { htmlFor: "toy-steps" }, "Steps"), this.#steps),
        make("div", { className: "field" }, make("label", { htmlFor: "toy-sampler" }, "Sampler"), this.#sampler),
      ),
      make("div", { className: "go" }, again, reset),
      this.#words,
      make("p", { className: "fine" }, "Drag a class to move it, or its ring to change its width. With the keyboard: Tab selects a class, the arrow keys move it, + and − change its width."),
    );
    choose(this.#form, "toy-class", "0");
    this.#form.addEventListener("change", () => this.#changed(true));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.roll();
    });
    this.#scrub.addEventListener("input", () => this.#show(Number(this.#scrub.value)));
    root.replaceChildren(
      make(
        "div",
        { className: "toy" },
        make(
          "section",
          { className: "stage", "aria-label": "The plane" },
          this.#plane.element,
          make("div", { className: "time" }, make("label", { htmlFor: "toy-scrub" }, "noise"), this.#scrub, make("span", {}, "points"), this.#at),
        ),
        this.#form,
        make("div", { className: "rail-place", "data-place": "rail" }),
      ),
    );
  }

  show(): void {
    // The mixture can be guided even if the model cannot.
    this.#rail.enabled = true;
    this.#rail.strengths = undefined;
    this.#changed(true);
  }

  hide(): void {
    this.#latest.stop();
  }

  guidance(settled: boolean): void {
    this.#changed(settled);
  }

  theme(): void {
    this.#changed(true);
  }

  draw(): void {
    this.#changed(true);
  }

  roll(): void {
    this.#seed = randomSeed();
    this.#changed(true);
  }

  /** Draws the map and the points again; during a drag the points appear without animation. */
  #changed(settled: boolean): void {
    const guidance = this.#rail.value;
    const value = chosen(this.#form, "toy-class");
    const name = value === "none" ? null : Number(value);
    const steps = Math.min(256, Math.max(1, Math.round(Number(this.#steps.value) || 1)));
    this.#plane.chosen = name;
    this.#plane.place();
    this.#latest.order(async (signal) => {
      this.#runtime ??= openToy();
      const runtime = await this.#runtime.catch((error: unknown) => {
        this.#runtime = undefined;
        throw error;
      });
      this.#toy?.dispose();
      const toy = runtime.mixture(this.#plane.classes);
      this.#toy = toy;
      const words = `Density of ${name === null ? "all classes" : `class ${"ABC"[name]}`} with w ${showNumber(guidance)}`;
      this.#plane.showDensity(toy.density({ class: name, guidance, side: CELLS, extent: EXTENT }), words);
      const frames: Float32Array[] = [];
      const request = { class: name, guidance, points: POINTS, steps, sampler: this.#sampler.value as Sampler, seed: this.#seed };
      // After a drag the points are already there, so there is no animation.
      const film = settled && !this.#drafted && !matchMedia("(prefers-reduced-motion: reduce)").matches;
      for await (const points of toy.sample(request)) {
        if (signal.aborted) return;
        frames.push(points);
        if (film) {
          this.#plane.showPoints(points);
          this.#setScrub(frames.length - 1, steps);
          await new Promise((then) => setTimeout(then, FRAME));
        }
      }
      this.#frames = frames;
      this.#drafted = !settled;
      this.#show(frames.length - 1);
      if (settled) {
        this.#words.textContent = `${words}; ${POINTS} points, which lie ${deviation(frames.at(-1) ?? new Float32Array()).toFixed(3)} from their middle.`;
        say(this.#words.textContent);
      }
    }, !settled);
  }

  #show(step: number): void {
    const points = this.#frames[step];
    if (points) this.#plane.showPoints(points);
    this.#setScrub(step, this.#frames.length - 1);
  }

  #setScrub(step: number, steps: number): void {
    this.#scrub.max = String(steps);
    this.#scrub.value = String(step);
    this.#scrub.style.setProperty("--at", String(steps > 0 ? step / steps : 1));
    this.#at.textContent = `step ${step} of ${steps}`;
  }
}

/** Root mean square distance from the centre. */
function deviation(points: Float32Array): number {
  const count = points.length / 2;
  const middle = [0, 1].map((axis) => points.reduce((sum, value, at) => (at % 2 === axis ? sum + value : sum), 0) / count);
  return Math.sqrt(points.reduce((sum, value, at) => sum + (value - (middle[at % 2] ?? 0)) ** 2, 0) / count);
}
