import { byId, make } from "../app/dom.js";
import { FARTHEST, intervalOf, POLICIES, type PolicyName, type Settings } from "../app/settings.js";

type Steered = Pick<Settings, "policy" | "rescale" | "interval">;

/** The settings of guidance beyond its strength: the policy, how much contrast is restored, the levels that are guided. */
export class SteeringFields {
  readonly #policy = make("select", { id: "policy" });
  readonly #rescale = make("input", { type: "number", id: "rescale", min: "0", max: "1", step: "0.05", value: "0" });
  readonly #from = make("input", { type: "number", id: "from", step: "0.5", placeholder: "all", "aria-label": "Guide from λ" });
  readonly #until = make("input", { type: "number", id: "until", step: "0.5", placeholder: "all", "aria-label": "Guide until λ" });
  readonly #words = make("p", { className: "fine wide", id: "policy-words" });
  readonly #rescaleField: HTMLElement;

  /** `onPolicy` hears when another policy was chosen, which may want another strength. */
  constructor(onChange: () => void, onPolicy: (policy: PolicyName) => void) {
    this.#policy.append(...[...POLICIES].map(([value, { name }]) => make("option", { value }, name)));
    this.#rescaleField = make("div", { className: "field" }, make("label", { htmlFor: "rescale" }, "Restore contrast"), this.#rescale);
    byId("more-fields").append(
      make("div", { className: "field" }, make("label", { htmlFor: "policy" }, "Guidance"), this.#policy),
      this.#rescaleField,
      make(
        "fieldset",
        { className: "field" },
        make("legend", {}, "Guide only from λ, until λ"),
        make("span", { className: "joined" }, this.#from, this.#until),
      ),
      this.#words,
    );
    this.#policy.addEventListener("change", () => {
      onPolicy(this.#policy.value as PolicyName);
      this.#show();
    });
    for (const field of [this.#policy, this.#rescale, this.#from, this.#until]) field.addEventListener("change", onChange);
    this.#show();
  }

  read(): Steered {
    const rescale = Math.min(1, Math.max(0, Number(this.#rescale.value) || 0));
    this.#rescale.value = String(rescale);
    return {
      policy: this.#policy.value as PolicyName,
      rescale,
      interval: intervalOf(this.#from.value, this.#until.value),
    };
  }

  write({ policy, rescale, interval }: Steered): void {
    this.#policy.value = policy;
    this.#rescale.value = String(rescale);
    this.#from.value = interval && interval.min > -FARTHEST ? String(interval.min) : "";
    this.#until.value = interval && interval.max < FARTHEST ? String(interval.max) : "";
    this.#show();
    // What is not as usual should not be hidden.
    if (policy !== "cfg" || rescale > 0 || interval) byId<HTMLDetailsElement>("more").open = true;
  }

  #show(): void {
    this.#rescaleField.hidden = this.#policy.value !== "cfg";
    const words = POLICIES.get(this.#policy.value as PolicyName)?.words ?? "";
    this.#words.textContent = `${words} λ is the logarithm of signal to noise: low at the beginning, high at the end; outside the range the class alone draws, in one pass (Kynkäänniemi et al. 2024).`;
  }
}
