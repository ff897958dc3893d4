import { byId, make } from "../app/dom.js";
import { canSpell, spelling, type Chosen } from "../app/settings.js";

/** The class chips: one, several that take turns over the sheet, or two that are mixed. */
export class ClassChips {
  readonly #box = byId("classes");
  readonly #mix = byId<HTMLInputElement>("mix");
  readonly #filter = byId<HTMLInputElement>("class-filter");
  readonly #word = byId<HTMLInputElement>("word");
  readonly #blend = byId<HTMLInputElement>("blend");
  readonly #weight = byId<HTMLInputElement>("blend-weight");
  readonly #onChange: (settled: boolean) => void;
  #chips = new Map<string | null, HTMLButtonElement>();
  #chosen: (string | null)[] = [];
  /** What an address or a file asks for that the controls cannot say: mixes of more classes, or several mixes. */
  #given: Chosen[] | undefined;
  #names: readonly string[] = [];

  /** `onChange` hears of every change; `settled` is false while the slider moves. */
  constructor(onChange: (settled: boolean) => void) {
    this.#onChange = onChange;
    this.#mix.addEventListener("change", () => {
      if (!this.#mix.checked && this.#chosen.length > 1) {
        this.#given = undefined;
        this.#chosen = this.#chosen.slice(0, 1);
        this.#show();
        onChange(true);
      }
    });
    this.#blend.addEventListener("change", () => {
      this.#show();
      onChange(true);
    });
    this.#weight.addEventListener("input", () => {
      this.#show();
      onChange(false);
    });
    this.#weight.addEventListener("change", () => onChange(true));
    this.#word.addEventListener("input", () => {
      const characters = this.word.replaceAll(" ", "");
      if (characters !== "") this.value = [...characters];
      onChange(true);
    });
    this.#filter.addEventListener("input", () => {
      const words = this.#filter.value.trim().toLowerCase();
      for (const [name, chip] of this.#chips) chip.hidden = !(name ?? "no class").toLowerCase().includes(words);
    });
  }

  get value(): Chosen[] {
    if (this.#given) return [...this.#given];
    const [from, to] = this.#blended() ?? [];
    if (from === undefined || to === undefined || !this.#blend.checked) return [...this.#chosen];
    const weight = Number(this.#weight.value);
    return [weight === 0 ? from : weight === 1 ? to : { [from]: Number((1 - weight).toFixed(4)), [to]: weight }];
  }

  set value(classes: Chosen[]) {
    const [first, second] = classes;
    const parts = typeof first === "object" && first !== null && second === undefined ? Object.entries(first) : [];
    this.#chosen = [...new Set(classes.flatMap((choice) => (typeof choice === "object" && choice !== null ? Object.keys(choice) : [choice])))];
    const isMixed = classes.some((choice) => typeof choice === "object" && choice !== null);
    this.#given = isMixed && parts.length !== 2 ? [...classes] : undefined;
    this.#blend.checked = parts.length === 2;
    if (parts.length === 2) {
      const weight = Number(parts[1]?.[1]);
      // With its own step the slider would round finer weights.
      this.#weight.step = Number.isInteger(Number((weight * 20).toFixed(6))) ? "0.05" : "any";
      this.#weight.value = String(weight);
    }
    if (this.#chosen.length > 1) this.#mix.checked = true;
    this.#show();
  }

  /** What is to be spelled; "" if nothing is. */
  get word(): string {
    return this.#word.hidden ? "" : spelling(this.#word.value, { classes: this.#names });
  }

  set word(word: string) {
    // Writing goes on while the address is read back.
    if (this.word !== word) this.#word.value = word;
  }

  /** The two classes that can be mixed. */
  #blended(): [string, string] | undefined {
    const [from, to, third] = this.#chosen;
    return typeof from === "string" && typeof to === "string" && third === undefined && !this.#given && this.word === "" ? [from, to] : undefined;
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
    this.#names = names;
    this.#word.hidden = !canSpell({ classes: names });
    this.#word.value = "";
    this.#filter.hidden = names.length <= 24 || !this.#word.hidden;
    this.#filter.value = "";
    this.#box.replaceChildren(...this.#chips.values());
    this.#box.classList.add("offered");
    this.#show();
  }

  #toggle(name: string | null): void {
    this.#given = undefined;
    this.#word.value = "";
    if (!this.#mix.checked) this.#chosen = [name];
    else if (!this.#chosen.includes(name)) this.#chosen.push(name);
    else if (this.#chosen.length > 1) this.#chosen = this.#chosen.filter((other) => other !== name);
    this.#show();
    this.#onChange(true);
  }

  #show(): void {
    const both = this.#blended();
    byId("blend-field").hidden = !both;
    byId("blend-ends").hidden = !this.#blend.checked;
    byId("blend-from").textContent = both?.[0] ?? "";
    byId("blend-to").textContent = both?.[1] ?? "";
    this.#weight.setAttribute("aria-valuetext", both ? `${Math.round(100 * Number(this.#weight.value))} % ${both[1]}` : "");
    for (const [name, chip] of this.#chips) chip.setAttribute("aria-pressed", String(this.#chosen.includes(name)));
  }
}
