import type { ModelConfig } from "../config.js";
import { attributesOfNames, classText, isAttributes, type ClassMix } from "../settings.js";
import { ConditionFields } from "./condition-fields.js";
import type { Picture } from "../types.js";
import { make } from "./make.js";
import { PaintCanvas } from "./paint-canvas.js";
import { STYLE } from "./style.js";

/** What the controls say. */
export interface Choice {
  /** Class name, `null` for the unconditional model, several attributes, or the mix that the attribute names. */
  className: string | null | readonly string[] | ClassMix;
  /** The number, of a model that takes one; undefined for any. */
  number: number | undefined;
  guidance: number;
  seed: number;
}

/** The visitor's actions. */
export interface Gestures {
  draw(): void;
  stop(): void;
  retry(): void;
  /** A file could not be shown on the canvas. */
  problem(thrown: unknown): void;
}

// Class names can be any text, so the choice without a class is an index and not a name.
const NO_CLASS = "-1";
const MIX = "-2";
const LARGEST_SEED = 2 ** 53 - 1;

/** The element's shadow tree: pictures, progress, messages and controls. */
export class View {
  readonly #pictures = make("div", { part: "pictures", role: "group", "aria-label": "Pictures" });
  readonly #bar = make("div");
  readonly #progress = make(
    "div",
    { part: "progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" },
    this.#bar,
  );
  readonly #status = make("p", { part: "status", role: "status" });
  readonly #problemTitle = make("strong");
  readonly #problemAdvice = make("p");
  readonly #problemDetail = make("p", { class: "detail" });
  readonly #retry = make("button", { type: "button", part: "retry" }, "Try again");
  readonly #problem = make(
    "div",
    { part: "problem", role: "alert" },
    make("p", {}, this.#problemTitle),
    this.#problemAdvice,
    this.#problemDetail,
    this.#retry,
  );
  readonly #class = make("select", { id: "class", part: "class" });
  readonly #guidance = make("input", { id: "guidance", part: "guidance", type: "range", min: "-1", max: "8", step: "0.1" });
  // Screen readers read the slider's value.
  readonly #strength = make("span", { class: "value", "aria-hidden": "true" });
  readonly #seed = make("input", {
    id: "seed",
    part: "seed",
    type: "text",
    inputmode: "numeric",
    autocomplete: "off",
    spellcheck: "false",
  });
  readonly #roll = make("button", { type: "button", part: "roll", "aria-label": "New random seed", title: "New random seed" }, "⚄");
  readonly #draw = make("button", { type: "submit", part: "draw" }, "Draw");
  readonly #classField = make("div", {}, make("label", { for: "class" }, "Class"), this.#class);
  readonly #conditions = new ConditionFields();
  readonly #controls = make(
    "form",
    { part: "controls" },
    this.#classField,
    ...this.#conditions.elements,
    make("div", {}, make("label", { for: "seed" }, "Seed"), make("div", { class: "joined" }, this.#seed, this.#roll)),
    make("div", { class: "wide" }, make("label", { for: "guidance" }, "Guidance w ", this.#strength), this.#guidance),
    make("div", { class: "wide" }, this.#draw),
  );
  #names: readonly string[] = [];
  #canvas: PaintCanvas | undefined;
  #imageSize: number | undefined;
  #mix: ClassMix | undefined;
  #canvases: HTMLCanvasElement[] = [];
  #busy = false;
  #canGuide = false;

  readonly #onProblem: (thrown: unknown) => void;

  constructor(root: ShadowRoot, gestures: Gestures) {
    this.#onProblem = gestures.problem;
    // A style element would be refused by a strict content security policy.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    root.append(this.#pictures, this.#progress, this.#status, this.#problem, this.#controls);
    this.#problem.hidden = true;
    this.#guidance.addEventListener("input", () => this.#showStrength());
    this.#controls.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#busy) gestures.stop();
      else gestures.draw();
    });
    this.#controls.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#busy) gestures.stop();
    });
    this.#roll.addEventListener("click", () => {
      const [value] = crypto.getRandomValues(new Uint32Array(1));
      this.#seed.value = String((value ?? 0) % 1_000_000);
      gestures.draw();
    });
    this.#retry.addEventListener("click", gestures.retry);
  }

  /** Shows the classes of a model; without a model the controls are disabled. */
  offer(model: Pick<ModelConfig, "classes" | "null_class" | "image" | "network"> | undefined): void {
    this.#imageSize = model?.image.size;
    if (model) this.#canvas?.offer(model.image.size);
    this.#names = model?.classes ?? [];
    const options = this.#names.map((name, id) => make("option", { value: String(id) }, name));
    if (model?.null_class !== false) options.push(make("option", { value: NO_CLASS }, "no class"));
    this.#class.replaceChildren(...options);
    this.#conditions.offer(model);
    this.#classField.hidden = this.#conditions.hasAttributes;
    this.enabled = model !== undefined;
    // Guidance needs a conditional and an unconditional estimate.
    this.#canGuide = this.#names.length > 0 && model?.null_class !== false;
    this.#guidance.disabled = !this.#canGuide;
  }

  set enabled(enabled: boolean) {
    for (const control of [this.#class, this.#guidance, this.#seed, this.#roll, this.#draw]) control.disabled = !enabled;
    this.#conditions.enabled = enabled;
  }

  /** What the controls say. An invalid seed is corrected. */
  get choice(): Choice {
    const seed = Number(this.#seed.value);
    if (!Number.isSafeInteger(seed) || seed < 0) this.#seed.value = "0";
    return {
      className: this.#conditions.hasAttributes
        ? attributesOfNames(this.#conditions.attributes, this.#names)
        : ((this.#class.value === MIX ? this.#mix : this.#names[Number(this.#class.value)]) ?? null),
      number: this.#conditions.number,
      guidance: this.#canGuide ? Number(this.#guidance.value) : 0,
      seed: Math.min(LARGEST_SEED, Number(this.#seed.value)),
    };
  }

  set className(name: string | null | readonly string[] | ClassMix) {
    if (isAttributes(name) || (this.#conditions.hasAttributes && typeof name !== "object")) {
      this.#conditions.attributes = isAttributes(name) ? name.map(String) : [name].flatMap((one) => one ?? []);
      return;
    }
    if (this.#conditions.hasAttributes) return;
    if (typeof name === "object" && name !== null) {
      this.#mix = name;
      this.#class.querySelector(`[value="${MIX}"]`)?.remove();
      this.#class.append(make("option", { value: MIX }, classText(name)));
      this.#class.value = MIX;
      return;
    }
    const id = name === null ? -1 : this.#names.indexOf(name);
    this.#class.value = String(id);
  }

  /** The number that the slider shows; undefined for any. */
  set number(number: number | undefined) {
    this.#conditions.number = number;
  }

  /** The canvas to paint on, where the element has one. */
  get canvas(): PaintCanvas | undefined {
    return this.#canvas;
  }

  /** Adds or removes the canvas. */
  set hasCanvas(has: boolean) {
    if (has === (this.#canvas !== undefined)) return;
    for (const element of this.#canvas?.elements ?? []) element.remove();
    this.#canvas = has ? new PaintCanvas(this.#onProblem) : undefined;
    if (this.#imageSize !== undefined) this.#canvas?.offer(this.#imageSize);
    this.#controls.prepend(...(this.#canvas?.elements ?? []));
  }

  set guidance(w: number) {
    this.#guidance.max = String(Math.max(8, Math.ceil(w)));
    this.#guidance.step = Number.isInteger(Number((w * 10).toFixed(6))) ? "0.1" : "any";
    this.#guidance.value = String(w);
    this.#showStrength();
  }

  set seed(seed: number) {
    this.#seed.value = String(seed);
  }

  /** Lays out the pictures; existing ones stay if their number and size are unchanged. */
  layOut(count: number, size: number): void {
    if (this.#canvases.length === count && this.#canvases[0]?.width === size) return;
    this.#canvases = Array.from({ length: count }, (_, at) =>
      make("canvas", {
        part: "picture",
        role: "img",
        "aria-label": `Picture ${at + 1}, not drawn yet`,
        width: String(size),
        height: String(size),
      }),
    );
    this.#pictures.replaceChildren(...this.#canvases);
    this.#pictures.style.setProperty("--_columns", String(Math.ceil(Math.sqrt(count))));
  }

  paint(pictures: readonly Picture[], { className, number, guidance, seed }: Choice): void {
    const of = `${className === null ? "no class" : classText(className)}${number === undefined ? "" : `, ${number}`}`;
    pictures.forEach((picture, at) => {
      const canvas = this.#canvases[at];
      canvas?.getContext("2d")?.putImageData(picture as ImageData, 0, 0);
      canvas?.setAttribute("aria-label", `Picture ${at + 1}: ${of}, guidance ${guidance}, seed ${seed}`);
    });
  }

  /** Progress from 0 to 1. Not as text, which a screen reader would read at every step. */
  set progress(done: number) {
    this.#bar.style.setProperty("--_done", String(done));
    this.#progress.setAttribute("aria-valuenow", String(Math.round(done * 100)));
  }

  /** Shows a status message, which screen readers read too. */
  say(words: string): void {
    if (this.#status.textContent !== words) this.#status.textContent = words;
  }

  get busy(): boolean {
    return this.#busy;
  }

  set busy(busy: boolean) {
    this.#busy = busy;
    this.#draw.textContent = busy ? "Stop" : "Draw";
    this.#pictures.setAttribute("aria-busy", String(busy));
  }

  /** Shows what went wrong, or hides the message. */
  showProblem(words: { title: string; advice: string; detail: string } | undefined, retry: boolean): void {
    this.#problem.hidden = words === undefined;
    this.#problemTitle.textContent = words?.title ?? "";
    this.#problemAdvice.textContent = words?.advice ?? "";
    this.#problemDetail.textContent = words?.detail ?? "";
    this.#retry.hidden = !retry;
  }

  #showStrength(): void {
    const w = String(Number(Number(this.#guidance.value).toFixed(2))).replace("-", "−");
    this.#strength.textContent = w;
    this.#guidance.setAttribute("aria-valuetext", `w ${w}`);
  }
}
