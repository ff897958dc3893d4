import type { ModelConfig, Sampler } from "freeguide";
import { parseSetting, SETTINGS, settingAt, settingOf, SPACING_OF, withSetting, type Drawing, type Setting } from "freeguide/settings";
import { byId, make } from "../app/dom.js";
import { findClass, isOfConditions, isOfTheMix, modelsOwn, POLICIES, policyOf, strengthsOf } from "../app/settings.js";
import { className } from "./sheet.js";

/** Settings that have a place of their own among the controls. */
const ELSEWHERE: readonly string[] = ["guidance", "steps", "sampler", "seed", "strength", "resampling", "number"];

interface Field {
  readonly setting: Setting;
  readonly element: HTMLElement;
  readonly input: HTMLInputElement | HTMLSelectElement;
}

/** All other settings of a drawing, one field each, made from the table of settings. An empty field leaves its setting to the model. */
export class SteeringFields {
  readonly #fields: readonly Field[];
  readonly #words = make("p", { className: "fine wide", id: "policy-words" });
  #config: Pick<ModelConfig, "sampling" | "network"> | undefined;
  /** What the fields were last set to, in which settings of another policy or grid may be. */
  #drawing: Drawing = {};
  #sampler: Sampler = "ddim";

  /** `onChange` hears of every change, and `onPolicy` before it when another policy was chosen, which may need another strength. */
  constructor(onChange: () => void, onPolicy: (policy: string) => void) {
    this.#fields = SETTINGS.filter(({ path }) => !ELSEWHERE.includes(path.join("."))).map(makeField);
    byId("more-fields").append(...this.#fields.map(({ element }) => element), this.#words);
    for (const { setting, input } of this.#fields) {
      input.addEventListener("change", () => {
        this.#take(setting, input);
        if (setting.address === "policy") onPolicy(this.#policy);
        onChange();
      });
    }
  }

  /** Fits the fields to a model. */
  offer(config: Pick<ModelConfig, "sampling" | "classes" | "image" | "network">): void {
    this.#config = config;
    for (const { setting, input } of this.#fields) {
      const own = modelsOwn(setting, config);
      if (setting.kind === "class" && input instanceof HTMLSelectElement) {
        const options = config.classes.map((name) => make("option", { value: name }, className(name)));
        input.replaceChildren(make("option", { value: "" }, "no class"), ...options);
        // The last model may have had other classes.
        const asked = settingOf(this.#drawing, setting);
        const name = asked === undefined ? undefined : (findClass(String(asked), config) ?? undefined);
        this.#drawing = withSetting(this.#drawing, setting, name);
        input.value = name ?? "";
        continue;
      }
      if (input instanceof HTMLInputElement) input.placeholder = own === undefined ? "default" : String(own);
      else input.options[0]?.replaceChildren(own === undefined ? "default" : `${nameOf(setting, String(own))} (the model’s own)`);
    }
    this.#show();
  }

  /** The sampler, on which it depends what other settings have an effect. */
  set sampler(sampler: Sampler) {
    this.#sampler = sampler;
    this.#show();
  }

  /** What the fields say. */
  read(): Drawing {
    return structuredClone(this.#drawing);
  }

  write(drawing: Drawing): void {
    this.#drawing = {};
    for (const { setting, input } of this.#fields) {
      const value = settingOf(drawing, setting);
      if (value !== undefined) this.#drawing = withSetting(this.#drawing, setting, value);
      input.value = value === undefined || value === setting.unlimited ? "" : String(value);
    }
    this.#show();
    // What differs from the model's own settings should not be hidden.
    if (Object.keys(this.#drawing).length > 0) byId<HTMLDetailsElement>("more").open = true;
  }

  get #policy(): string {
    return policyOf(this.#drawing, this.#config ?? { sampling: { sampler: "ddim", steps: 1, guidance: 0 } });
  }

  /** Takes over what a field says. Nonsense is put right: the field then says what counts. */
  #take(setting: Setting, input: Field["input"]): void {
    const value = parseSetting(setting, input.value);
    this.#drawing = withSetting(this.#drawing, setting, value);
    if (value === undefined) input.value = "";
    this.#complete(setting);
    if (setting.address === "policy") {
      for (const { setting: other, input: field } of this.#fields) {
        if (other.applies?.path[0] !== "guidancePolicy" || other.applies.values.includes(this.#policy)) continue;
        this.#drawing = withSetting(this.#drawing, other, undefined);
        field.value = "";
      }
    }
    this.#show();
  }

  /**
   * Keeps the group of a changed setting whole: an empty end of a range is open where it may be; a group of which more is
   * missing, or whose range is empty, is left to the model until the rest is typed too.
   */
  #complete({ path }: Setting): void {
    const parent = path.slice(0, -1).join(".");
    const group = this.#fields.filter(({ setting }) => setting.path.length > 1 && setting.path.slice(0, -1).join(".") === parent);
    if (!group.some(({ setting }) => setting.required)) return;
    const isEmpty = group.every(({ input }) => input.value === "");
    const values = group.map(({ setting, input }) => (isEmpty ? undefined : (parseSetting(setting, input.value) ?? setting.unlimited)));
    const isWhole = group.every(({ setting }, at) => values[at] !== undefined || !setting.required);
    const [min, max] = values;
    const isRange = group.every(({ setting }) => setting.kind === "log-snr");
    const counts = isWhole && !(isRange && Number(min) >= Number(max));
    group.forEach(({ setting }, at) => {
      this.#drawing = withSetting(this.#drawing, setting, counts ? values[at] : undefined);
    });
  }

  /** The values on which it depends whether other settings have an effect, by their place. */
  #effective(path: string): string {
    if (path === "guidancePolicy.kind") return this.#policy;
    if (path === "sampler") return this.#sampler;
    const own = this.#config?.sampling.sampler === this.#sampler ? this.#config.sampling.grid?.spacing : undefined;
    return String(settingOf(this.#drawing, settingAt("grid.spacing")) ?? own ?? SPACING_OF[this.#sampler]);
  }

  /** Hides empty fields whose settings have no effect. */
  #show(): void {
    const distilled = this.#config !== undefined && strengthsOf(this.#config) !== undefined;
    for (const { setting, element, input } of this.#fields) {
      const { applies } = setting;
      const idle = applies !== undefined && !applies.values.includes(this.#effective(applies.path.join("."))) && input.value === "";
      const foreign = this.#config !== undefined && !isOfConditions(setting, this.#config);
      element.hidden = idle || foreign || (distilled && (isOfTheMix(setting) || setting.kind === "class")) || (setting.path[0] === "grid" && this.#config?.network.flow_map !== undefined);
    }
    this.#words.hidden = distilled;
    this.#words.textContent = `${POLICIES.get(this.#policy)?.words ?? ""} λ is the logarithm of the signal-to-noise ratio: low at the first step, high at the last. Outside the guided range the conditional model draws alone, in one evaluation a step (Kynkäänniemi et al. 2024). An empty field leaves the setting to the model.`;
  }
}

/** What the page calls a value. */
function nameOf({ address }: Setting, value: string): string {
  if (value === "true") return "yes";
  if (value === "false") return "no";
  return (address === "policy" ? POLICIES.get(value)?.name : undefined) ?? value;
}

function makeField(setting: Setting): Field {
  const { address, label, help, kind, names, min, max } = setting;
  const id = `setting-${address}`;
  let input: Field["input"];
  if (kind === "class") {
    input = make("select", { id, title: help }, make("option", { value: "" }, "no class"));
  } else if (kind === "name" || kind === "switch") {
    const values = names ?? ["true", "false"];
    const options = values.map((value) => make("option", { value }, nameOf(setting, value)));
    input = make("select", { id, title: help }, make("option", { value: "" }, "default"), ...options);
  } else {
    input = make("input", { type: "number", id, title: help, step: kind === "integer" ? "1" : "any", placeholder: "default" });
    if (min !== undefined) input.min = String(min);
    if (max !== undefined) input.max = String(max);
  }
  return { setting, input, element: make("div", { className: "field" }, make("label", { htmlFor: id }, label), input) };
}
