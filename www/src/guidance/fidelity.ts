import type { Model } from "freeguide";
import { loadClassifier, type Classifier } from "freeguide/classifier";
import { make, svg } from "../app/dom.js";
import { Latest } from "../app/latest.js";
import { modelUrl, shippedModels } from "../app/models.js";
import { say } from "../app/notice.js";
import { showNumber, stepsNear, type Settings } from "../app/settings.js";
import { figuresOf, type Network } from "./figures.js";
import { placeLabels } from "./labels.js";
import { inceptionScore, recognised, variety, type ClassifiedPicture } from "./metrics.js";

const STRENGTHS = [0, 0.5, 1, 2, 4];
/** Pictures of each class that one click adds at each strength. */
const ROUNDS = 2;
const CLASSES = 10;
const STEPS = 16;
const [WIDTH, HEIGHT, MARGIN] = [640, 260, 46];

const percent = (share: number | undefined | null): string => (share == null ? "–" : `${(100 * share).toFixed(0)} %`);
const figure = (value: number | undefined | null): string => (value == null ? "–" : value.toFixed(2));

interface Measured {
  readonly w: number;
  readonly count: number;
  readonly recognised: number | undefined;
  readonly score: number | undefined;
  readonly variety: number | undefined;
}

/** Fidelity against diversity over the strength of guidance, measured by a classifier on pictures that are drawn here. */
export class Fidelity {
  readonly element: HTMLElement;
  readonly #latest: Latest;
  readonly #lead = make("p", { className: "lead" });
  readonly #button = make("button", { type: "button", className: "primary", id: "fidelity-draw" }, "Measure");
  readonly #bar = make("progress", { max: 1, value: 0, hidden: true, "aria-label": "Pictures measured" });
  readonly #chart = svg("svg", { class: "chart trade-off", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  readonly #rows = make("tbody");
  readonly #shown: HTMLElement;
  #pictures: ClassifiedPicture[][] = [];
  #drawn = 0;
  #model: Model | undefined;
  #settings: Settings | undefined;
  #classifier: Classifier | undefined;
  #before: Network | undefined;
  #address = "";
  #uses = 0;

  constructor(onError: (error: unknown) => void) {
    this.#latest = new Latest(onError);
    this.#button.addEventListener("click", () => (this.#latest.busy ? this.stop() : this.#draw()));
    const heads: [string, string][] = [
      ["w", "Strength of guidance"],
      ["pictures", "Drawn here"],
      ["class", "Fraction that the classifier assigns to the requested class"],
      ["before", "The same fraction in the evaluation, of many more pictures"],
      ["score", "Inception Score by this classifier: higher is better; few pictures score low"],
      ["before", "The same score in the evaluation, of many more pictures"],
      ["variety", "Mean distance between the features of two pictures of one class"],
    ];
    this.#shown = make(
      "div",
      {},
      make("p", { className: "row" }, this.#button, this.#bar),
      make(
        "div",
        { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Fidelity against diversity" },
        this.#chart,
        make(
          "table",
          { className: "figures", id: "fidelity-figures" },
          make("thead", {}, make("tr", {}, ...heads.map(([text, title]) => make("th", { scope: "col", title }, text)))),
          this.#rows,
        ),
      ),
    );
    this.element = make(
      "section",
      { className: "exhibit", "aria-labelledby": "fidelity-title" },
      make("h2", { id: "fidelity-title" }, "Fidelity against diversity, measured here"),
      this.#lead,
      this.#shown,
    );
  }

  /** `asked` names the model as the address does. */
  async use(model: Model | undefined, settings: Settings | undefined, asked: string | undefined): Promise<void> {
    this.stop();
    this.#uses += 1;
    const use = this.#uses;
    this.#classifier?.dispose();
    this.#classifier = undefined;
    this.#model = model;
    this.#settings = settings;
    this.element.inert = model === undefined;
    if (!model || !settings) return;
    this.#offer("Looking for the model's classifier …", false);
    const shipped = (await shippedModels()).find(({ folder }) => folder === asked);
    const figures = await figuresOf(asked);
    if (use !== this.#uses) return;
    this.#address = `${modelUrl(asked ?? "")}classifier.safetensors`;
    this.#before = figures?.networks.find(({ name }) => name === shipped?.classifier);
    this.#pictures = STRENGTHS.map(() => []);
    this.#drawn = 0;
    if (asked === undefined || !shipped?.classifier) {
      this.#offer(
        "This part needs a classifier, and the model has none. `freeguide classifier` trains one; its file belongs in the bundle's folder as classifier.safetensors.",
        false,
      );
      return;
    }
    this.#offer(
      `${ROUNDS} pictures of ${Math.min(CLASSES, model.config.classes.length) === model.config.classes.length ? "each class" : `each of ${CLASSES} classes`} at each strength, drawn on this device; a small classifier, ${shipped.classifier}, looks at them here too. Up: pictures that show what was asked for. Right: pictures of a class that differ. Press again for more pictures and firmer figures.`,
      true,
    );
    this.paint();
  }

  #offer(text: string, possible: boolean): void {
    this.#lead.textContent = text;
    this.#shown.hidden = !possible;
  }

  stop(): void {
    this.#latest.stop();
  }

  #measured(): Measured[] {
    return STRENGTHS.map((w, at) => {
      const pictures = this.#pictures[at] ?? [];
      return { w, count: pictures.length, recognised: recognised(pictures), score: inceptionScore(pictures), variety: variety(pictures) };
    });
  }

  /** Draws the chart and writes the table. */
  paint(): void {
    const measured = this.#measured();
    this.#rows.replaceChildren(
      ...measured.map(({ w, count, recognised: share, score, variety: distance }) => {
        const before = this.#before?.cells.find(({ guidance }) => guidance === w)?.metrics;
        return make(
          "tr",
          {},
          make("th", { scope: "row" }, showNumber(w)),
          ...[String(count), percent(share), percent(before?.accuracy), figure(score), figure(before?.inception_score), figure(distance)].map(
            (text) => make("td", {}, text),
          ),
        );
      }),
    );
    const points = measured.flatMap(({ w, recognised: y, variety: x }) => (x === undefined || y === undefined ? [] : [{ w, x, y }]));
    const most = Math.max(1e-9, ...points.map(({ x }) => x)) * 1.1;
    const across = (value: number): number => MARGIN + (value / most) * (WIDTH - 2 * MARGIN);
    const up = (value: number): number => HEIGHT - MARGIN - value * (HEIGHT - 2 * MARGIN);
    const parts: SVGElement[] = [
      svg("line", { class: "axis", x1: MARGIN, x2: WIDTH - MARGIN, y1: HEIGHT - MARGIN, y2: HEIGHT - MARGIN }),
      svg("line", { class: "axis", x1: MARGIN, x2: MARGIN, y1: MARGIN, y2: HEIGHT - MARGIN }),
      svg("text", { x: WIDTH / 2, y: HEIGHT - 12 }, "variety within a class →"),
      svg("text", { x: 0, y: 0, transform: `translate(16 ${HEIGHT / 2}) rotate(-90)` }, "shows its class →"),
    ];
    if (points.length > 1) parts.push(svg("polyline", { class: "line", points: points.map(({ x, y }) => `${across(x)},${up(y)}`).join(" ") }));
    const marks = points.map(({ x, y }) => ({ x: across(x), y: up(y) }));
    const labels = placeLabels(marks, [WIDTH, HEIGHT]);
    for (const { x, y } of marks) parts.push(svg("rect", { class: "point", x: x - 5, y: y - 5, width: 10, height: 10 }));
    // The text's baseline is some units below its middle.
    for (const [k, { x, y }] of labels.entries()) parts.push(svg("text", { class: "value", x, y: y + 5 }, `w ${showNumber(points[k]?.w ?? 0)}`));
    this.#chart.replaceChildren(...parts);
    const words = points.map(({ w, x, y }) => `w ${showNumber(w)}: ${percent(y)} show their class, variety ${x.toFixed(2)}`).join("; ");
    this.#chart.setAttribute("aria-label", words || "Not measured yet");
  }

  #draw(): void {
    const model = this.#model;
    const settings = this.#settings;
    if (!model || !settings) return;
    this.#latest.order(async (signal) => {
      this.#button.textContent = "Stop";
      this.#bar.hidden = false;
      this.#bar.value = 0;
      try {
        await this.#measure(model, settings, signal);
        say(`Measured ${this.#pictures.reduce((sum, pictures) => sum + pictures.length, 0)} pictures by their class`);
      } finally {
        this.#button.textContent = this.#drawn > 0 ? "Measure more" : "Measure";
        this.#bar.hidden = true;
      }
    });
  }

  async #measure(model: Model, settings: Settings, signal: AbortSignal): Promise<void> {
    this.#classifier ??= await loadClassifier(this.#address, { signal });
    const classifier = this.#classifier;
    const classes = model.config.classes.slice(0, CLASSES);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [at, guidance] of STRENGTHS.entries()) {
        const pictures = await model.generate({
          classes,
          ...settings.drawing,
          guidance,
          steps: stepsNear(model.config, Math.min(STEPS, settings.drawing.steps)),
          firstImage: this.#drawn,
          signal,
        });
        const answers = await classifier.classify(pictures);
        this.#pictures[at]?.push(...answers.map((answer, k) => ({ ...answer, requested: classifier.classes.indexOf(classes[k] ?? "") })));
        this.#bar.value = (round + (at + 1) / STRENGTHS.length) / ROUNDS;
        this.paint();
      }
      this.#drawn += classes.length;
    }
  }
}
