import type { Model } from "freeguide";
import { byId, make } from "../app/dom.js";
import { query, setQuery, type ModelHost } from "../app/host.js";
import { teacherOf } from "../app/models.js";
import type { Part } from "../app/parts.js";
import type { Rail } from "../app/rail.js";
import { canBeGuided, readSettings, strengthsOf } from "../app/settings.js";
import { Branches } from "./branches.js";
import { Evaluation } from "./evaluation.js";
import { Fidelity } from "./fidelity.js";
import { StrengthGrid } from "./grid.js";
import { Variety } from "./variety.js";

/** The effects of guidance: at every step, over strengths and classes, on variety, and in an evaluation. */
export class GuidancePart implements Part {
  readonly #host: ModelHost;
  readonly #rail: Rail;
  readonly #branches: Branches;
  readonly #grid: StrengthGrid;
  readonly #variety: Variety;
  readonly #fidelity: Fidelity;
  readonly #evaluation = new Evaluation();
  readonly #none = make(
    "p",
    { className: "lead exhibit", id: "no-guidance", hidden: true },
    "This model was trained without a null class, or without classes. It has only one estimate, so it cannot be guided.",
  );
  readonly #distilled = make("p", { className: "lead exhibit", id: "no-estimates", hidden: true });
  #settling: number | undefined;

  constructor(root: HTMLElement, host: ModelHost, rail: Rail) {
    this.#host = host;
    this.#rail = rail;
    const onError = (error: unknown): void => host.broken(error);
    this.#branches = new Branches(() => rail.value, onError);
    this.#grid = new StrengthGrid(onError, (w) => {
      rail.value = w;
      this.guidance(true);
      byId("guidance").focus();
    });
    this.#variety = new Variety(onError);
    this.#fidelity = new Fidelity(onError);
    root.replaceChildren(
      make("div", { className: "slot", "data-place": "loading problem" }),
      make("div", { className: "rail-place sticky", "data-place": "rail" }),
      this.#none,
      this.#distilled,
      this.#branches.element,
      this.#grid.element,
      this.#variety.element,
      this.#fidelity.element,
      this.#evaluation.element,
    );
  }

  show(): void {
    this.#branches.draw();
  }

  hide(): void {
    this.stop();
  }

  model(opened: Model | undefined): void {
    this.stop();
    const model = opened && canBeGuided(opened.config) ? opened : undefined;
    this.#none.hidden = !opened || model !== undefined;
    this.#rail.enabled = this.#none.hidden;
    this.#rail.strengths = opened && strengthsOf(opened.config);
    for (const { element } of [this.#branches, this.#grid, this.#variety, this.#fidelity]) element.hidden = !this.#none.hidden;
    const settings = model && readSettings(query(), model.config).settings;
    if (settings) this.#rail.value = settings.drawing.guidance;
    // A distilled model makes neither of the two estimates.
    const mixes = model && !strengthsOf(model.config) ? model : undefined;
    this.#distilled.hidden = !model || mixes !== undefined;
    if (model && !mixes) {
      this.#branches.element.hidden = true;
      void this.#nameTeacher(model);
    }
    this.#branches.use(mixes, settings);
    this.#grid.use(model, settings);
    this.#variety.use(model, settings);
    void this.#fidelity.use(model, settings, this.#host.asked);
    void this.#evaluation.use(opened, this.#host.asked);
    if (model) this.#branches.draw();
  }

  /** Leads from a distilled model to the estimates of the one that it was distilled from. */
  async #nameTeacher({ config }: Model): Promise<void> {
    const found = await teacherOf(config);
    const link = found && make("a", { href: `?model=${encodeURIComponent(found.folder)}#guidance` }, `See those of ${found.name}, its teacher`);
    this.#distilled.replaceChildren(
      "This model takes w as an input and answers in one pass, so it has no two estimates to show.",
      ...(link ? [" ", link, "."] : []),
    );
  }

  guidance(settled: boolean): void {
    window.clearTimeout(this.#settling);
    if (settled) {
      const next = query();
      next.set("w", String(this.#rail.value));
      setQuery(next);
    } else {
      // The thumb rests: draw with all steps although it is still held.
      this.#settling = window.setTimeout(() => this.guidance(true), 400);
    }
    this.#branches.draw(!settled);
  }

  theme(): void {
    this.#variety.paint();
  }

  draw(): void {
    this.#branches.draw();
  }

  stop(): void {
    this.#branches.stop();
    this.#grid.stop();
    this.#variety.stop();
    this.#fidelity.stop();
  }

  roll(): void {
    this.#branches.roll();
  }
}
