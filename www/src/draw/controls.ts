import type { Sampler } from "freeguide";
import { byId, choose, chosen, make } from "../app/dom.js";
import type { Rail } from "../app/rail.js";
import { MOST_STEPS, parseSeed, SAMPLERS, viewOf, type Settings, type View } from "../app/settings.js";
import type { ClassChips } from "./classes.js";
import { SteeringFields } from "./steering.js";

const form = byId<HTMLFormElement>("console");
const seedField = byId<HTMLInputElement>("seed");
const stepsField = byId<HTMLInputElement>("steps");
const towardField = byId<HTMLInputElement>("toward");
const samplerField = byId<HTMLSelectElement>("sampler");
const viewField = byId<HTMLSelectElement>("view");

/** The controls as one value. */
export class Controls {
  readonly #chips: ClassChips;
  readonly #rail: Rail;
  readonly #steering: SteeringFields;

  constructor(chips: ClassChips, rail: Rail, onChange: () => void) {
    this.#chips = chips;
    this.#rail = rail;
    this.#steering = new SteeringFields(onChange, (policy) => {
      // CFG++ goes from the one estimate to the other and not beyond; 0.6 of the way is its paper's.
      if (policy === "cfg++" && rail.value > 0) rail.value = -0.4;
      if (policy !== "cfg++" && rail.value < 0) rail.value = 2;
    });
    samplerField.replaceChildren(...[...SAMPLERS].map(([value, { name, words }]) => make("option", { value, title: words }, name)));
    viewField.addEventListener("change", () => this.#showFields());
    for (const id of ["seed", "steps", "count", "sampler", "view", "toward"]) byId(id).addEventListener("change", onChange);
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
      sampler: samplerField.value as Sampler,
      seed,
      count: Number(chosen(form, "count")),
      view: viewOf(viewField.value),
      toward: parseSeed(towardField.value) ?? 0,
      ...this.#steering.read(),
    };
  }

  write(settings: Settings): void {
    this.#chips.value = settings.classes;
    this.#rail.value = settings.guidance;
    stepsField.value = String(settings.steps);
    seedField.value = String(settings.seed);
    samplerField.value = settings.sampler;
    choose(form, "count", String(settings.count));
    towardField.value = String(settings.toward);
    this.#steering.write(settings);
    this.view = settings.view;
  }

  set seed(seed: number) {
    seedField.value = String(seed);
  }

  get view(): View {
    return viewOf(viewField.value);
  }

  set view(view: View) {
    viewField.value = view;
    this.#showFields();
  }

  /** A field that the view has no use for is out of the way. */
  #showFields(): void {
    byId("toward-field").hidden = viewField.value !== "between";
  }

  get preview(): "denoised" | "latent" {
    return chosen(form, "preview") === "latent" ? "latent" : "denoised";
  }

  /** Until there is a model the settings mean nothing; the device can be chosen all the same. */
  set enabled(enabled: boolean) {
    for (const part of form.querySelectorAll<HTMLElement>(".classes, .fields, .go")) part.inert = !enabled;
    byId<HTMLButtonElement>("draw").disabled = !enabled;
  }
}
