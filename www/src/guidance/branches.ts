import type { Branches as Estimates, Model, Picture } from "freeguide";
import { ClassList } from "../app/choose-class.js";
import { make } from "../app/dom.js";
import { Latest } from "../app/latest.js";
import { say } from "../app/notice.js";
import { parseSeed, randomSeed, showNumber, type Settings } from "../app/settings.js";
import { paint } from "../draw/sheet.js";

/** Steps of a draft while the rail is dragged. */
const DRAFT_STEPS = 8;
/** Frames in the strips. */
const STRIP = 10;
/** The fraction of a finished run that is shown first, since the three estimates hardly differ at its end. */
const TELLING = 0.3;

type Which = "unconditional" | "conditional" | "guided";
const estimates: readonly { which: Which; sign: string; words: string; from: string }[] = [
  { which: "unconditional", sign: "x̃(∅)", words: "without a class", from: "the unconditional estimate" },
  { which: "conditional", sign: "x̃(c)", words: "with the class", from: "the conditional estimate" },
  { which: "guided", sign: "x̃", words: "guided", from: "extrapolated from ∅ through c: what the solver follows" },
];

interface Row {
  readonly large: HTMLCanvasElement;
  readonly strip: readonly HTMLCanvasElement[];
}

/** One picture's three estimates side by side, at every step. */
export class Branches {
  readonly element: HTMLElement;
  readonly #strength: () => number;
  readonly #latest: Latest;
  readonly #classes = new ClassList("branches-class", () => this.draw());
  readonly #seed = make("input", { type: "text", id: "branches-seed", inputMode: "numeric", autocomplete: "off", value: "2" });
  readonly #scrub = make("input", { type: "range", id: "branches-step", min: "1", max: "1", value: "1", "aria-label": "Step shown" });
  readonly #at = make("output", { htmlFor: "branches-step" });
  readonly #rows = new Map<Which, Row>();
  #model: Model | undefined;
  #settings: Settings | undefined;
  #frames: Estimates[] = [];

  constructor(strength: () => number, onError: (error: unknown) => void) {
    this.#strength = strength;
    this.#latest = new Latest(onError);
    const roll = make("button", { type: "button", className: "quiet square", "aria-label": "New random seed", title: "New random seed (R)" }, "⚄");
    roll.addEventListener("click", () => this.roll());
    this.#seed.addEventListener("change", () => this.draw());
    this.#scrub.addEventListener("input", () => this.#show(Number(this.#scrub.value)));
    const figures = estimates.map(({ which, sign, words, from }) => {
      const large = make("canvas", { className: "estimate", role: "img", "aria-label": `${words}, not drawn yet` });
      const strip = Array.from({ length: STRIP }, () => make("canvas", { "aria-hidden": "true" }));
      this.#rows.set(which, { large, strip });
      return make(
        "figure",
        { className: `branch ${which}` },
        make("div", { className: "film", "aria-hidden": "true" }, ...strip),
        large,
        make("figcaption", {}, make("b", {}, make("i", {}, sign), ` ${words}`), make("span", {}, from)),
      );
    });
    this.element = make(
      "section",
      { className: "exhibit", "aria-labelledby": "branches-title" },
      make("h2", { id: "branches-title" }, "Every step, three estimates"),
      make(
        "p",
        { className: "lead" },
        "At each step the network is evaluated twice, without and with the class. Guidance extrapolates along the line from the first estimate through the second, as far as w says.",
      ),
      make(
        "div",
        { className: "fields inline" },
        make("div", { className: "field" }, make("label", { htmlFor: "branches-class" }, "Class"), this.#classes.element),
        make("div", { className: "field" }, make("label", { htmlFor: "branches-seed" }, "Seed"), make("span", { className: "joined" }, this.#seed, roll)),
      ),
      make("div", { className: "branches" }, ...figures),
      make("div", { className: "time" }, make("label", { htmlFor: "branches-step" }, "noise"), this.#scrub, make("span", {}, "picture"), this.#at),
    );
  }

  use(model: Model | undefined, settings: Settings | undefined): void {
    this.#model = model;
    this.#settings = settings;
    this.#frames = [];
    this.element.inert = model === undefined;
    if (!model || !settings) return;
    this.#classes.offer(model.config, settings.classes.find((name) => typeof name === "string"));
    this.#seed.value = String(settings.drawing.seed);
  }

  roll(): void {
    this.#seed.value = String(randomSeed());
    this.draw();
  }

  stop(): void {
    this.#latest.stop();
  }

  /** Draws with the strength of the rail; a `draft` has few steps. */
  draw(draft = false): void {
    const model = this.#model;
    const settings = this.#settings;
    if (!model || !settings) return;
    const seed = parseSeed(this.#seed.value) ?? 0;
    this.#seed.value = String(seed);
    const guidance = this.#strength();
    const steps = draft ? Math.min(DRAFT_STEPS, settings.drawing.steps) : settings.drawing.steps;
    const name = this.#classes.value;
    this.#latest.order(async (signal) => {
      const frames: Estimates[] = [];
      for await (const { step, steps: all, branches } of model.sample({
        classes: [name],
        ...settings.drawing,
        guidance,
        steps,
        seed,
        preview: "branches",
        signal,
      })) {
        const [estimates] = branches ?? [];
        if (!estimates) continue;
        frames.push(estimates);
        // An old picture stays until the new one is finished, to avoid flicker.
        if (this.#frames.length === 0 || step === all) this.#take(frames, all);
      }
      this.#frames = frames;
      if (!draft) say(`Drew ${name ?? "no class"} with w ${showNumber(guidance)}: ${steps} steps, three estimates each`);
    }, draft);
  }

  #take(frames: readonly Estimates[], all: number): void {
    const last = frames.length;
    const finished = last === all;
    const shown = finished ? Math.max(1, Math.round(TELLING * all)) : last;
    this.#scrub.max = String(last);
    this.#scrub.value = String(shown);
    if (finished) this.#frames = [...frames];
    this.#paint(frames, shown);
    for (const { which } of estimates) {
      const row = this.#rows.get(which);
      row?.strip.forEach((canvas, at) => {
        const frame = frames[Math.round((at * (frames.length - 1)) / (STRIP - 1))];
        show(canvas, frame?.[which] ?? undefined, frame?.guided);
      });
    }
  }

  #show(step: number): void {
    this.#paint(this.#frames, step);
  }

  #paint(frames: readonly Estimates[], step: number): void {
    const frame = frames[step - 1];
    if (!frame) return;
    const span = Math.max(1, frames.length - 1);
    this.#scrub.style.setProperty("--at", String((step - 1) / span));
    this.#at.textContent = `step ${step} of ${frames.length}`;
    for (const { which, words } of estimates) {
      const large = this.#rows.get(which)?.large;
      if (!large) continue;
      const picture = frame[which] ?? undefined;
      show(large, picture, frame.guided);
      large.setAttribute("aria-label", picture ? `${words}, step ${step} of ${frames.length}` : `${words}: not needed at this step`);
    }
  }
}

/** Paints an estimate; the canvas stays empty if the step did not need it. */
function show(canvas: HTMLCanvasElement, picture: Picture | undefined, size: Picture | undefined): void {
  canvas.classList.toggle("skipped", picture === undefined);
  if (picture) paint(canvas, picture);
  else if (size) {
    canvas.width = size.width;
    canvas.height = size.height;
  }
}
