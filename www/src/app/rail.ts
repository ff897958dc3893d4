import { byId, svg } from "./dom.js";
import { showNumber } from "./settings.js";

/**
 * The guidance rail: the formula drawn to scale. The unconditional estimate (∅, at w = −1) and the conditional one (c, at
 * w = 0) are points on a line, and guidance extrapolates along it to ε̃ = (1 + w) ε(c) − w ε(∅).
 */

/** Half the width of the thumb in CSS pixels: the distance from the ends of the input to the ends of the scale. */
const INSET = 19;
const LINE = 40;

/** What a strength of guidance means, in words. */
export function wordsFor(w: number): string {
  if (w <= -1) return "No class: the unconditional model, trained on all images.";
  if (w < 0) return "Between the unconditional and the conditional model: a weak influence of the class.";
  if (w === 0) return "The conditional model without guidance: the most variety.";
  if (w < 1) return "Slightly stronger towards the class.";
  if (w <= 3) return "Clearly the class, with somewhat less variety.";
  if (w <= 5) return "The pictures of a class become similar.";
  return "Exaggerated: strong colours, little variety.";
}

/** The formula with its two coefficients filled in; a term that is zero is left out, as is its evaluation. */
function formula(w: number, distilled: boolean): Node[] {
  const part = (tag: "b" | "i" | "span", text: string, className = ""): HTMLElement => {
    const element = document.createElement(tag);
    element.textContent = text;
    element.className = className;
    return element;
  };
  const conditional = part("span", "ε(z, c)", "with-class");
  const unconditional = part("span", "ε(z, ∅)", "without-class");
  const result = part("b", "ε̃", "result");
  if (distilled) return [result, document.createTextNode(" = "), part("span", `ε(z, c, w = ${showNumber(w)})`, "with-class")];
  if (w === 0) return [result, document.createTextNode(" = "), conditional];
  if (w === -1) return [result, document.createTextNode(" = "), unconditional];
  return [
    result,
    document.createTextNode(` = ${showNumber(1 + w)} `),
    conditional,
    document.createTextNode(w < 0 ? ` + ${showNumber(-w)} ` : ` − ${showNumber(w)} `),
    unconditional,
  ];
}

export class Rail {
  readonly #input = byId<HTMLInputElement>("guidance");
  readonly #marks = document.getElementById("rail-marks") as unknown as SVGSVGElement;
  readonly #arrow = svg("path", { class: "arrow" });
  /** The strengths of a distilled model. */
  #strengths: { readonly min: number; readonly max: number } | undefined;
  #width = 0;

  /** `onInput` is called while the thumb moves, `onSettle` when it is released. */
  constructor(onInput: (w: number) => void, onSettle: (w: number) => void) {
    this.#input.addEventListener("input", () => {
      this.#show();
      onInput(this.value);
    });
    this.#input.addEventListener("change", () => onSettle(this.value));
    new ResizeObserver(() => this.#layOut()).observe(this.#marks);
    this.#layOut();
  }

  get value(): number {
    return Number(this.#input.value);
  }

  set value(w: number) {
    // A link may ask for values outside the usual range.
    this.#input.max = String(this.#strengths?.max ?? Math.max(8, Math.ceil(w)));
    this.#input.min = String(this.#strengths?.min ?? Math.min(-1, Math.floor(w)));
    // With a fixed step the input would round finer values.
    this.#input.step = Number.isInteger(Number((w * 10).toFixed(6))) ? "0.1" : "any";
    this.#input.value = String(w);
    this.#layOut();
  }

  /** The strengths of a distilled model; undefined for others, which take any. */
  set strengths(strengths: { readonly min: number; readonly max: number } | undefined) {
    this.#strengths = strengths;
    this.value = Math.min(Math.max(this.value, strengths?.min ?? -Infinity), strengths?.max ?? Infinity);
  }

  /** Disabled if the model cannot be guided. */
  set enabled(enabled: boolean) {
    this.#input.disabled = !enabled;
    this.#show();
  }

  #x(w: number): number {
    const least = Number(this.#input.min);
    return INSET + ((w - least) / (Number(this.#input.max) - least)) * (this.#width - 2 * INSET);
  }

  #layOut(): void {
    this.#width = this.#marks.clientWidth;
    if (this.#width === 0) return;
    const most = Number(this.#input.max);
    const narrow = this.#width < 560;
    const parts: SVGElement[] = [
      svg("line", { class: "beyond", x1: this.#x(0), y1: LINE, x2: this.#x(most), y2: LINE }),
    ];
    const every = most > 12 ? Math.ceil(most / 10) : 1;
    for (let tenth = -10; tenth <= most * 10; tenth += narrow ? 5 : 1) {
      if (tenth % 10 === 0 && (tenth / 10) % every === 0) continue;
      if (most > 12) continue;
      const x = this.#x(tenth / 10);
      parts.push(svg("line", { class: "tick", x1: x, y1: LINE + 12, x2: x, y2: LINE + (tenth % 5 === 0 ? 18 : 15) }));
    }
    for (let w = -1; w <= most; w += 1) {
      if (w > 0 && w % every !== 0) continue;
      const x = this.#x(w);
      parts.push(svg("line", { class: "tick whole", x1: x, y1: LINE + 12, x2: x, y2: LINE + 22 }));
      parts.push(svg("text", { class: "number", x, y: LINE + 37 }, showNumber(w)));
    }
    parts.push(svg("line", { class: "known", x1: this.#x(-1), y1: LINE, x2: this.#x(0), y2: LINE }));
    parts.push(this.#arrow);
    parts.push(svg("circle", { class: "without-class", cx: this.#x(-1), cy: LINE, r: 6 }));
    parts.push(svg("circle", { class: "with-class", cx: this.#x(0), cy: LINE, r: 6 }));
    parts.push(svg("text", { class: "estimate start", x: this.#x(-1) - 8, y: 14 }, narrow ? "∅" : "∅ no class"));
    parts.push(svg("text", { class: "estimate", x: this.#x(0), y: 14 }, narrow ? "c" : "c class"));
    parts.push(svg("text", { class: "estimate end faint", x: this.#x(most) + 8, y: 14 }, "less variety, more typical →"));
    this.#marks.replaceChildren(...parts);
    this.#show();
  }

  #show(): void {
    const w = this.value;
    // At least one decimal, so that the text does not jump while the thumb moves.
    byId("w-value").textContent = Number.isInteger(w) ? `${showNumber(w)}.0` : showNumber(w);
    byId("formula").replaceChildren(...formula(w, this.#strengths !== undefined));
    const cost = this.#strengths
      ? " This distilled model needs one evaluation a step at every w."
      : w === 0
        ? " One evaluation a step instead of two."
        : "";
    byId("w-words").textContent = this.#input.disabled
      ? "This model has only one estimate, so it cannot be guided."
      : `${wordsFor(w)}${cost} Other tools call this scale ${showNumber(1 + w)}.`;
    this.#input.setAttribute("aria-valuetext", `w ${showNumber(w)}`);
    this.#arrow.setAttribute("d", `M${this.#x(0)} ${LINE}H${this.#x(w)}`);
  }
}
