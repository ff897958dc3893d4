import type { ModelConfig } from "freeguide";
import { make } from "./dom.js";

// Class names can be any text, so the choice without a class is an index and not a name.
const NO_CLASS = "-1";

/** A list to choose one class from. `none` offers the unconditional model too. */
export class ClassList {
  readonly element: HTMLSelectElement;
  readonly #none: boolean;
  #names: readonly string[] = [];

  constructor(id: string, onChange: () => void, { none = false } = {}) {
    this.element = make("select", { id });
    this.#none = none;
    this.element.addEventListener("change", onChange);
  }

  /** Shows the classes of a model and selects `chosen` if the model has it. */
  offer(config: ModelConfig, chosen: string | null | undefined): void {
    this.#names = config.classes;
    const options = config.classes.map((name, id) => make("option", { value: String(id) }, name));
    if (this.#none) options.push(make("option", { value: NO_CLASS }, "no class"));
    this.element.replaceChildren(...options);
    const id = chosen === undefined || chosen === null ? -1 : this.#names.indexOf(chosen);
    this.element.value = String(id < 0 && !(this.#none && chosen === null) ? 0 : id);
  }

  get value(): string | null {
    return this.#names[Number(this.element.value)] ?? null;
  }
}
