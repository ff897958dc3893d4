import type { ClassChips } from "./classes.js";
import { byId, choose, chosen } from "./dom.js";
import type { Rail } from "./rail.js";
import { MOST_STEPS, parseSeed, type Settings, type View } from "./settings.js";

const form = byId<HTMLFormElement>("console");
const seedField = byId<HTMLInputElement>("seed");
const stepsField = byId<HTMLInputElement>("steps");

/** The controls as one value. */
export class Controls {
  readonly #chips: ClassChips;
  readonly #rail: Rail;

  constructor(chips: ClassChips, rail: Rail) {
    this.#chips = chips;
    this.#rail = rail;
  }

  /** What the controls say. A field that holds nonsense is put right. */
  read(): Settings {
    const seed = parseSeed(seedField.value) ?? 0;
    const steps = Math.min(MOST_STEPS, Math.max(1, Math.round(Number(stepsField.value) || 1)));
    seedField.value = String(seed);
    stepsField.value = String(steps);
    return {
      classes: this.#chips.value,
      guidance: this.#rail.value,
      steps,
      sampler: chosen(form, "sampler") === "ancestral" ? "ancestral" : "ddim",
      seed,
      count: Number(chosen(form, "count")),
      view: chosen(form, "view") === "sweep" ? "sweep" : "sheet",
    };
  }

  write(settings: Settings): void {
    this.#chips.value = settings.classes;
    this.#rail.value = settings.guidance;
    stepsField.value = String(settings.steps);
    seedField.value = String(settings.seed);
    choose(form, "sampler", settings.sampler);
    choose(form, "count", String(settings.count));
    choose(form, "view", settings.view);
  }

  set seed(seed: number) {
    seedField.value = String(seed);
  }

  set view(view: View) {
    choose(form, "view", view);
  }

  get preview(): "denoised" | "latent" {
    return chosen(form, "preview") === "latent" ? "latent" : "denoised";
  }

  /** Until there is a model the settings mean nothing; the device can be chosen all the same. */
  set enabled(enabled: boolean) {
    for (const part of form.querySelectorAll<HTMLElement>(".classes, .fields, .go")) part.inert = !enabled;
    byId<HTMLButtonElement>("draw").disabled = !enabled;
  }

  /** Calls `then` when a field has a new value that a sheet depends on. */
  onChange(then: () => void): void {
    for (const id of ["seed", "steps", "count", "sampler", "view"]) byId(id).addEventListener("change", then);
  }
}
