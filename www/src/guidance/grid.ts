import type { Model } from "freeguide";
import { make } from "../app/dom.js";
import { Latest } from "../app/latest.js";
import { say } from "../app/notice.js";
import { showNumber, stepsNear, SWEEP, type Settings } from "../app/settings.js";
import { paint } from "../draw/sheet.js";

/** Most classes that are shown: one row each. */
const MOST_ROWS = 12;
const STEPS = 20;

/** Every class at every strength of guidance, from the same noise. */
export class StrengthGrid {
  readonly element: HTMLElement;
  readonly #latest: Latest;
  readonly #pick: (w: number) => void;
  readonly #table = make("table", { className: "strengths" });
  readonly #button = make("button", { type: "button", className: "primary", id: "grid-draw" }, "Draw the grid");
  readonly #bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": "Pictures drawn" });
  #model: Model | undefined;
  #settings: Settings | undefined;
  #cells: HTMLCanvasElement[][] = [];

  /** `pick` is called with the strength of a chosen column. */
  constructor(onError: (error: unknown) => void, pick: (w: number) => void) {
    this.#latest = new Latest(onError);
    this.#pick = pick;
    this.#button.addEventListener("click", () => (this.#latest.busy ? this.stop() : this.#draw()));
    this.element = make(
      "section",
      { className: "exhibit", "aria-labelledby": "grid-title" },
      make("h2", { id: "grid-title" }, "Every class, every strength"),
      make("p", { className: "lead" }, "One row for each class, all from the same noise. On the left the class has no influence; towards the right the pictures of a class become similar."),
      make("p", { className: "row" }, this.#button, this.#bar),
      make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Grid of classes and strengths" }, this.#table),
    );
  }

  use(model: Model | undefined, settings: Settings | undefined): void {
    this.stop();
    this.#model = model;
    this.#settings = settings;
    this.element.inert = model === undefined;
    if (!model) return;
    const { size } = model.config.image;
    const heads = SWEEP.map((w) => {
      const head = make("button", { type: "button", className: "head", title: `Set the rail to w = ${showNumber(w)}` }, make("i", {}, "w"), ` = ${showNumber(w)}`);
      head.addEventListener("click", () => this.#pick(w));
      return make("th", { scope: "col" }, head);
    });
    const names = model.config.classes.slice(0, MOST_ROWS);
    this.#cells = names.map((name) =>
      SWEEP.map((w) => make("canvas", { width: size, height: size, role: "img", "aria-label": `${name}, w ${showNumber(w)}, not drawn yet` })),
    );
    this.#table.replaceChildren(
      make("thead", {}, make("tr", {}, make("td"), ...heads)),
      make(
        "tbody",
        {},
        ...names.map((name, row) =>
          make("tr", {}, make("th", { scope: "row" }, name), ...(this.#cells[row] ?? []).map((cell) => make("td", {}, cell))),
        ),
      ),
    );
  }

  stop(): void {
    this.#latest.stop();
  }

  #draw(): void {
    const model = this.#model;
    const settings = this.#settings;
    if (!model || !settings) return;
    const names = model.config.classes.slice(0, MOST_ROWS);
    this.#latest.order(async (signal) => {
      this.#button.textContent = "Stop";
      this.#bar.hidden = false;
      try {
        let done = 0;
        for (const [column, guidance] of SWEEP.entries()) {
          for (const [row, name] of names.entries()) {
            // One at a time, always the first image of the seed, so that the noise is the same everywhere.
            const [picture] = await model.generate({
              classes: [name],
              ...settings.drawing,
              guidance,
              steps: stepsNear(model.config, Math.min(STEPS, settings.drawing.steps)),
              signal,
            });
            const cell = this.#cells[row]?.[column];
            if (picture && cell) {
              paint(cell, picture);
              cell.setAttribute("aria-label", `${name}, w ${showNumber(guidance)}`);
            }
            done += 1;
            this.#bar.value = done / (SWEEP.length * names.length);
          }
        }
        say(`Drew ${names.length} classes at ${SWEEP.length} strengths`);
      } finally {
        this.#button.textContent = "Draw the grid";
        this.#bar.hidden = true;
      }
    });
  }
}
