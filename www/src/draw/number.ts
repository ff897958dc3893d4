import type { ModelConfig } from "freeguide";
import { byId } from "../app/dom.js";
import { showNumber } from "../app/settings.js";

/** The slider for the number that a model takes, such as an age. */
export class NumberField {
  readonly #field = byId("number-field");
  readonly #slider = byId<HTMLInputElement>("number");
  readonly #any = byId<HTMLInputElement>("number-any");
  #number: ModelConfig["network"]["number"];

  /** `onChange` hears of every change that is settled. */
  constructor(onChange: () => void) {
    this.#slider.addEventListener("input", () => {
      this.#any.checked = false;
      this.#show();
    });
    this.#any.addEventListener("change", () => this.#show());
    for (const input of [this.#slider, this.#any]) input.addEventListener("change", onChange);
  }

  /** Fits the slider to a model, and hides it for one without a number. */
  offer({ network: { number } }: Pick<ModelConfig, "network">): void {
    this.#number = number;
    this.#field.hidden = number === undefined;
    byId("number-name").textContent = number?.name ?? "";
    this.#slider.min = String(number?.min ?? 0);
    this.#slider.max = String(number?.max ?? 1);
    this.value = undefined;
  }

  /** The number; undefined for any, or where the model takes none. */
  get value(): number | undefined {
    return this.#number === undefined || this.#any.checked ? undefined : Number(Number(this.#slider.value).toPrecision(4));
  }

  set value(value: number | undefined) {
    const { min = 0, max = 1 } = this.#number ?? {};
    this.#any.checked = value === undefined;
    this.#slider.value = String(value ?? (min + max) / 2);
    this.#show();
  }

  #show(): void {
    const { value } = this;
    const words = value === undefined ? "any" : `${showNumber(value)} ${this.#number?.unit ?? ""}`.trim();
    byId("number-value").textContent = words;
    this.#slider.setAttribute("aria-valuetext", words);
  }
}
