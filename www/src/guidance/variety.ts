import type { Model, Picture } from "freeguide";
import { ClassList } from "../app/choose-class.js";
import { make, svg } from "../app/dom.js";
import { Latest } from "../app/latest.js";
import { say } from "../app/notice.js";
import { showNumber, stepsNear, type Settings } from "../app/settings.js";
import { paint } from "../draw/sheet.js";

const STRENGTHS = [-1, -0.5, 0, 0.5, 1, 2, 4, 8];
const PICTURES = 8;
const STEPS = 20;
const HEIGHT = 150;
const COLUMN = 80;

/**
 * How much pictures differ: the root mean square difference of their channels over all pairs, of 255; 0 if all are equal.
 * It compares pixels, not contents.
 */
export function spread(pictures: readonly Picture[]): number {
  let sum = 0;
  let terms = 0;
  pictures.forEach((a, at) => {
    for (const b of pictures.slice(at + 1)) {
      for (let i = 0; i < a.data.length; i += 1) {
        if (i % 4 === 3) continue; // opaque everywhere
        sum += ((a.data[i] ?? 0) - (b.data[i] ?? 0)) ** 2;
        terms += 1;
      }
    }
  });
  return terms === 0 ? 0 : Math.sqrt(sum / terms);
}

/** The variety of one class over the strength of guidance, measured on pictures that are drawn here and shown. */
export class Variety {
  readonly element: HTMLElement;
  readonly #latest: Latest;
  readonly #classes = new ClassList("variety-class", () => this.#clear());
  readonly #button = make("button", { type: "button", className: "primary", id: "variety-draw" }, "Measure");
  readonly #bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": "Pictures drawn" });
  readonly #chart = svg("svg", { class: "chart", viewBox: `0 0 ${STRENGTHS.length * COLUMN} ${HEIGHT}`, role: "img" });
  readonly #columns = make("div", { className: "samples" });
  #measured: (number | undefined)[] = [];
  #model: Model | undefined;
  #settings: Settings | undefined;

  constructor(onError: (error: unknown) => void) {
    this.#latest = new Latest(onError);
    this.#button.addEventListener("click", () => (this.#latest.busy ? this.stop() : this.#draw()));
    this.element = make(
      "section",
      { className: "exhibit", "aria-labelledby": "variety-title" },
      make("h2", { id: "variety-title" }, "The cost in variety, measured here"),
      make(
        "p",
        { className: "lead" },
        `${PICTURES} seeds of one class at each strength, drawn on this device. The line is how far their pixels lie apart: the variety that guidance gives away.`,
      ),
      make(
        "div",
        { className: "fields inline" },
        make("div", { className: "field" }, make("label", { htmlFor: "variety-class" }, "Class"), this.#classes.element),
        make("p", { className: "row" }, this.#button, this.#bar),
      ),
      make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Variety over the strength of guidance" }, make("div", { className: "variety" }, this.#chart, this.#columns)),
    );
  }

  use(model: Model | undefined, settings: Settings | undefined): void {
    this.stop();
    this.#model = model;
    this.#settings = settings;
    this.element.inert = model === undefined;
    if (!model || !settings) return;
    this.#classes.offer(model.config, settings.classes.find((name) => typeof name === "string"));
    this.#clear();
  }

  stop(): void {
    this.#latest.stop();
  }

  #clear(): void {
    this.stop();
    const size = this.#model?.config.image.size ?? 1;
    this.#measured = STRENGTHS.map(() => undefined);
    this.#columns.replaceChildren(
      ...STRENGTHS.map(() =>
        make("div", { "aria-hidden": "true" }, ...Array.from({ length: PICTURES }, () => make("canvas", { width: size, height: size }))),
      ),
    );
    this.paint();
  }

  /** Draws the chart. */
  paint(): void {
    const known = this.#measured.filter((value) => value !== undefined);
    const most = Math.max(1, ...known) * 1.15;
    const x = (at: number): number => (at + 0.5) * COLUMN;
    const y = (value: number): number => HEIGHT - 30 - (value / most) * (HEIGHT - 56);
    const parts: SVGElement[] = [svg("line", { class: "axis", x1: 0, x2: STRENGTHS.length * COLUMN, y1: HEIGHT - 30, y2: HEIGHT - 30 })];
    const points = this.#measured.flatMap((value, at) => (value === undefined ? [] : [{ at, value }]));
    if (points.length > 1) parts.push(svg("polyline", { class: "line", points: points.map(({ at, value }) => `${x(at)},${y(value)}`).join(" ") }));
    for (const { at, value } of points) {
      parts.push(svg("rect", { class: "point", x: x(at) - 5, y: y(value) - 5, width: 10, height: 10 }));
      parts.push(svg("text", { class: "value", x: x(at), y: y(value) - 12 }, value.toFixed(1)));
    }
    STRENGTHS.forEach((w, at) => parts.push(svg("text", { x: x(at), y: HEIGHT - 8 }, `w ${showNumber(w)}`)));
    this.#chart.replaceChildren(...parts);
    const words = points.map(({ at, value }) => `w ${showNumber(STRENGTHS[at] ?? 0)}: ${value.toFixed(1)}`).join(", ");
    this.#chart.setAttribute("aria-label", words ? `Spread of the pictures, of 255. ${words}` : "Not measured yet");
  }

  #draw(): void {
    const model = this.#model;
    const settings = this.#settings;
    if (!model || !settings) return;
    this.#clear();
    const name = this.#classes.value;
    this.#latest.order(async (signal) => {
      this.#button.textContent = "Stop";
      this.#bar.hidden = false;
      try {
        for (const [at, guidance] of STRENGTHS.entries()) {
          this.#bar.value = at / STRENGTHS.length;
          const pictures = await model.generate({
            classes: Array.from({ length: PICTURES }, () => name),
            ...settings.drawing,
            guidance,
            steps: stepsNear(model.config, Math.min(STEPS, settings.drawing.steps)),
            signal,
          });
          const canvases = this.#columns.children[at]?.querySelectorAll("canvas") ?? [];
          pictures.forEach((picture, place) => canvases[place] && paint(canvases[place], picture));
          this.#measured[at] = spread(pictures);
          this.paint();
        }
        say(`Measured ${STRENGTHS.length * PICTURES} pictures of ${name ?? "no class"}`);
      } finally {
        this.#button.textContent = "Measure";
        this.#bar.hidden = true;
      }
    });
  }
}
