import type { ModelConfig } from "../config.js";
import { make } from "./make.js";

/** Check boxes for a model's attributes, and a slider for its number. */
export class ConditionFields {
  readonly #boxes = make("div", { class: "boxes" });
  readonly #attributes = make("fieldset", { class: "wide", part: "attributes" }, make("legend", {}, "Attributes"), this.#boxes);
  readonly #name = make("span");
  // Screen readers read the slider's value.
  readonly #shown = make("span", { class: "value", "aria-hidden": "true" });
  readonly #slider = make("input", { id: "number", part: "number", type: "range", step: "any" });
  readonly #any = make("input", { type: "checkbox", id: "any" });
  readonly #numberField = make(
    "div",
    { class: "wide" },
    make("label", { for: "number" }, this.#name, " ", this.#shown),
    this.#slider,
    make("label", { class: "box" }, this.#any, " any"),
  );
  #inputs = new Map<string, HTMLInputElement>();
  #number: ModelConfig["network"]["number"];

  constructor() {
    this.#attributes.hidden = true;
    this.#numberField.hidden = true;
    this.#slider.addEventListener("input", () => {
      this.#any.checked = false;
      this.#show();
    });
    this.#any.addEventListener("change", () => this.#show());
  }

  get elements(): HTMLElement[] {
    return [this.#attributes, this.#numberField];
  }

  /** Shows the fields of a model: nothing for one with a class an image. */
  offer(model: Pick<ModelConfig, "classes" | "network"> | undefined): void {
    const names = model?.network.conditions === "attributes" ? model.classes : [];
    this.#inputs = new Map(names.map((name) => [name, make("input", { type: "checkbox" })]));
    this.#boxes.replaceChildren(...[...this.#inputs].map(([name, input]) => make("label", { class: "box" }, input, ` ${name}`)));
    this.#attributes.hidden = names.length === 0;
    this.#number = model?.network.number;
    this.#numberField.hidden = this.#number === undefined;
    if (!this.#number) return;
    const { name, min, max } = this.#number;
    this.#name.textContent = name;
    this.#slider.min = String(min);
    this.#slider.max = String(max);
    this.number = undefined;
  }

  /** Whether the model has attributes, and not a class for each image. */
  get hasAttributes(): boolean {
    return this.#inputs.size > 0;
  }

  /** The attributes that are checked. */
  get attributes(): string[] {
    return [...this.#inputs].filter(([, { checked }]) => checked).map(([name]) => name);
  }

  set attributes(names: readonly string[]) {
    for (const [name, input] of this.#inputs) input.checked = names.includes(name);
  }

  /** The number; undefined for any, or where the model takes none. */
  get number(): number | undefined {
    return this.#number && !this.#any.checked ? Number(Number(this.#slider.value).toPrecision(4)) : undefined;
  }

  set number(number: number | undefined) {
    if (!this.#number) return;
    this.#any.checked = number === undefined;
    this.#slider.value = String(number ?? (this.#number.min + this.#number.max) / 2);
    this.#show();
  }

  set enabled(enabled: boolean) {
    for (const input of [...this.#inputs.values(), this.#slider, this.#any]) input.disabled = !enabled;
  }

  #show(): void {
    const { number } = this;
    const words = number === undefined ? "any" : `${number} ${this.#number?.unit ?? ""}`.trim();
    this.#shown.textContent = words;
    this.#slider.setAttribute("aria-valuetext", words);
  }
}
