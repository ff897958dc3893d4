import type { ModelConfig, Sampler } from "freeguide";
import { parseSetting, settingAt } from "freeguide/settings";
import { byId, choose, chosen, make } from "../app/dom.js";
import type { Rail } from "../app/rail.js";
import { FIRST_SHEET, parseSeed, SAMPLERS, spelled, stepsNear, viewOf, type Settings, type View } from "../app/settings.js";
import type { ClassChips } from "./classes.js";
import { NumberField } from "./number.js";
import { SteeringFields } from "./steering.js";

const form = byId<HTMLFormElement>("console");
const seedField = byId<HTMLInputElement>("seed");
const stepsField = byId<HTMLInputElement>("steps");
const otherSeedField = byId<HTMLInputElement>("toward");
const variationField = byId<HTMLInputElement>("variation");
const samplerField = byId<HTMLSelectElement>("sampler");
const viewField = byId<HTMLSelectElement>("view");

/** The controls as one value. */
export class Controls {
  readonly #chips: ClassChips;
  readonly #rail: Rail;
  readonly #steering: SteeringFields;
  readonly #number: NumberField;
  #config: Pick<ModelConfig, "network"> = { network: { kind: "unet" } };

  constructor(chips: ClassChips, rail: Rail, onChange: () => void) {
    this.#chips = chips;
    this.#rail = rail;
    this.#number = new NumberField(onChange);
    this.#steering = new SteeringFields(onChange, (policy) => {
      // CFG++ interpolates between the two estimates; its paper uses λ = 0.6, which is w = −0.4.
      if (policy === "cfg++" && rail.value > 0) rail.value = -0.4;
      if (policy !== "cfg++" && rail.value < 0) rail.value = 2;
    });
    samplerField.replaceChildren(...[...SAMPLERS].map(([value, { name, words }]) => make("option", { value, title: words }, name)));
    samplerField.addEventListener("change", () => {
      this.#steering.sampler = samplerField.value as Sampler;
    });
    viewField.addEventListener("change", () => this.#showFields());
    // Either a word is spelled, or so many pictures are drawn.
    byId("count").addEventListener("change", () => {
      this.#chips.word = "";
    });
    byId("word").addEventListener("input", () => choose(form, "count", ""));
    for (const id of ["seed", "steps", "count", "sampler", "view", "toward", "variation"]) byId(id).addEventListener("change", onChange);
  }

  /** What the controls say. Invalid fields are corrected. */
  read(): Settings {
    const seed = parseSeed(seedField.value) ?? 0;
    const steps = stepsNear(this.#config, Number(parseSetting(settingAt("steps"), stepsField.value) ?? 1));
    seedField.value = String(seed);
    stepsField.value = String(steps);
    const number = this.#number.value;
    const settings: Settings = {
      classes: this.#chips.value,
      count: Number(chosen(form, "count")) || FIRST_SHEET,
      view: viewOf(viewField.value),
      otherSeed: parseSeed(otherSeedField.value) ?? 0,
      variation: Number(variationField.value),
      drawing: { ...this.#steering.read(), ...(number !== undefined && { number }), guidance: this.#rail.value, steps, sampler: samplerField.value as Sampler, seed },
    };
    return spelled(settings, this.#chips.word);
  }

  write({ classes, count, word, view, otherSeed, variation, drawing }: Settings): void {
    this.#chips.value = classes;
    this.#chips.word = word ?? "";
    this.#number.value = drawing.number;
    this.#rail.value = drawing.guidance;
    stepsField.value = String(drawing.steps);
    seedField.value = String(drawing.seed);
    samplerField.value = drawing.sampler;
    this.#steering.sampler = drawing.sampler;
    choose(form, "count", String(count));
    otherSeedField.value = String(otherSeed);
    // With its own step the slider would round finer values.
    variationField.step = Number.isInteger(Number((variation * 20).toFixed(6))) ? "0.05" : "any";
    variationField.value = String(variation);
    this.#steering.write(drawing);
    this.view = view;
  }

  /** Fits the controls to a model. */
  offer(config: ModelConfig): void {
    this.#config = config;
    samplerField.disabled = config.network.flow_map !== undefined;
    this.#number.offer(config);
    this.#steering.offer(config);
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

  /** Hides fields that the view does not use. */
  #showFields(): void {
    const varies = viewField.value === "variations";
    byId("toward-field").hidden = viewField.value !== "between" && !varies;
    byId("toward-words").textContent = varies ? "Towards seeds from" : "To seed";
    byId("variation-field").hidden = !varies;
  }

  get preview(): "denoised" | "latent" {
    return chosen(form, "preview") === "latent" ? "latent" : "denoised";
  }

  /** Without a model the settings are disabled, except for the device. */
  set enabled(enabled: boolean) {
    for (const part of form.querySelectorAll<HTMLElement>(".classes, .fields, .go")) part.inert = !enabled;
    byId<HTMLButtonElement>("draw").disabled = !enabled;
  }
}
