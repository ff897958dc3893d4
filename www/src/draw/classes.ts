import { byId, make } from "../app/dom.js";
import { attributesOfNames, isAttributes } from "freeguide/settings";
import { canSpell, hasAttributes, spelling, type Chosen, type Drawable } from "../app/settings.js";

/** The class chips: one, several that take turns over the sheet, or two that are mixed; or attributes, which hold together. */
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
  /** Whether the classes are attributes: what is chosen then holds together in each picture. */
  #together = false;

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
    if (this.#together) return [attributesOfNames(this.#chosen.filter((name) => name !== null), this.#names)];
    const [from, to] = this.#blended() ?? [];
    if (from === undefined || to === undefined || !this.#blend.checked) return [...this.#chosen];
    const weight = Number(this.#weight.value);
    return [weight === 0 ? from : weight === 1 ? to : { [from]: Number((1 - weight).toFixed(4)), [to]: weight }];
  }

  set value(classes: Chosen[]) {
    if (this.#together) {
      const [only, other] = classes;
      const named = isAttributes(only) ? only.map(String) : [only ?? null].filter((name) => typeof name === "string");
      const isPlain = other === undefined && (isAttributes(only) || typeof only !== "object" || only === null);
      // Pictures of different attributes can be looked at, but not chosen by the chips.
      this.#given = isPlain ? undefined : [...classes];
      this.#chosen = isPlain ? named : [];
      this.#show();
      return;
    }
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
    if (this.#together) return undefined;
    return typeof from === "string" && typeof to === "string" && third === undefined && !this.#given && this.word === "" ? [from, to] : undefined;
  }

  /** Shows a chip for each class of a model, and one for the null class if it has one. */
  offer(config: Pick<Drawable, "classes" | "null_class" | "network">): void {
    const { classes: names } = config;
    const nullClass = config.null_class !== false;
    this.#together = hasAttributes(config);
    this.#chips = new Map(
      [...names, ...(nullClass ? [null] : [])].map((name) => {
        const label = name === null ? [make("span", { className: "null" }, "∅"), this.#together ? " none" : " no class"] : [name];
        const chip = make("button", { type: "button", className: "chip" }, ...label);
        if (this.#together) chip.setAttribute("role", "checkbox");
        chip.addEventListener("click", () => this.#toggle(name));
        return [name, chip];
      }),
    );
    byId("classes-title").textContent = this.#together ? "Attributes" : "Class";
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
    if (this.#together) {
      const others = this.#chosen.filter((other) => other !== name);
      this.#chosen = name === null ? [] : others.length < this.#chosen.length ? others : [...others, name];
    } else if (!this.#mix.checked) this.#chosen = [name];
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
    this.#mix.closest<HTMLElement>("label")?.toggleAttribute("hidden", this.#together);
    for (const [name, chip] of this.#chips) {
      const chosen = name === null && this.#together ? this.#chosen.length === 0 && !this.#given : this.#chosen.includes(name);
      chip.setAttribute(this.#together ? "aria-checked" : "aria-pressed", String(chosen));
    }
  }
}
