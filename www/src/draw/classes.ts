import { byId, make } from "../app/dom.js";

/** The class chips: one, or several that take turns over the sheet. */
export class ClassChips {
  readonly #box = byId("classes");
  readonly #mix = byId<HTMLInputElement>("mix");
  readonly #filter = byId<HTMLInputElement>("class-filter");
  readonly #onChange: () => void;
  #chips = new Map<string | null, HTMLButtonElement>();
  #chosen: (string | null)[] = [];

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#mix.addEventListener("change", () => {
      if (!this.#mix.checked && this.#chosen.length > 1) {
        this.#chosen = this.#chosen.slice(0, 1);
        this.#show();
        onChange();
      }
    });
    this.#filter.addEventListener("input", () => {
      const words = this.#filter.value.trim().toLowerCase();
      for (const [name, chip] of this.#chips) chip.hidden = !(name ?? "no class").toLowerCase().includes(words);
    });
  }

  get value(): (string | null)[] {
    return [...this.#chosen];
  }

  set value(classes: (string | null)[]) {
    this.#chosen = [...classes];
    if (classes.length > 1) this.#mix.checked = true;
    this.#show();
  }

  /** Shows a chip for each class of a model, and one for the null class if it has one. */
  offer(names: readonly string[], nullClass: boolean): void {
    this.#chips = new Map(
      [...names, ...(nullClass ? [null] : [])].map((name) => {
        const label = name === null ? [make("span", { className: "null" }, "∅"), " no class"] : [name];
        const chip = make("button", { type: "button", className: "chip" }, ...label);
        chip.addEventListener("click", () => this.#toggle(name));
        return [name, chip];
      }),
    );
    this.#filter.hidden = names.length <= 24;
    this.#filter.value = "";
    this.#box.replaceChildren(...this.#chips.values());
    this.#box.classList.add("offered");
    this.#show();
  }

  #toggle(name: string | null): void {
    if (!this.#mix.checked) this.#chosen = [name];
    else if (!this.#chosen.includes(name)) this.#chosen.push(name);
    else if (this.#chosen.length > 1) this.#chosen = this.#chosen.filter((other) => other !== name);
    this.#show();
    this.#onChange();
  }

  #show(): void {
    for (const [name, chip] of this.#chips) chip.setAttribute("aria-pressed", String(this.#chosen.includes(name)));
  }
}
