import type { Model } from "freeguide";
import { make } from "../app/dom.js";
import { showNumber } from "../app/settings.js";
import { figuresOf, type Figures, type Metrics, type Network } from "./figures.js";

/** The results of the model's evaluation, if the site has them. */
export class Evaluation {
  readonly element = make("section", { className: "exhibit", "aria-labelledby": "evaluation-title", hidden: true });

  async use(model: Model | undefined, asked: string | undefined): Promise<void> {
    this.element.hidden = true;
    const figures = model && (await figuresOf(asked));
    if (figures) this.#show(figures);
  }

  #show({ networks, samples, machine, command }: Figures): void {
    this.element.replaceChildren(
      make("h2", { id: "evaluation-title" }, "Results of the evaluation"),
      make("p", { className: "lead" }, `${samples.toLocaleString("en")} images a row, against the images that the model learned from.`),
      ...networks.map((network) => table(network)),
      make("p", { className: "fine" }, `${command}. Machine: ${machine}.`),
    );
    this.element.hidden = false;
  }
}

function table({ distance, score, floor, cells, name }: Network): HTMLElement {
  const best = Math.min(...cells.map(({ metrics }) => metrics.frechet_distance));
  const percent = (share: number | null): string => (share === null ? "–" : `${(100 * share).toFixed(0)} %`);
  const row = (title: string, what: string, metrics: Metrics, floors = false): HTMLElement =>
    make(
      "tr",
      { className: floors ? "floor" : metrics.frechet_distance === best ? "best" : "" },
      make("th", { scope: "row" }, title),
      make("td", {}, what),
      ...[
        metrics.frechet_distance.toFixed(2),
        metrics.inception_score.toFixed(2),
        percent(metrics.accuracy),
        percent(metrics.precision),
        percent(metrics.recall),
      ].map((text) => make("td", {}, text)),
    );
  const heads: [string, string][] = [
    ["w", "Strength of guidance"],
    ["drawn with", "Sampler and steps"],
    [distance, "Fréchet distance between features: lower is better"],
    [score, "Higher is better"],
    ["class", "Fraction that a classifier assigns to the requested class"],
    ["precision", "Fidelity: fraction of generated pictures within the real ones"],
    ["recall", "Diversity: fraction of real pictures within the generated ones"],
  ];
  return make(
    "div",
    { className: "scroll", tabIndex: 0, role: "region", "aria-label": `Figures by ${name}` },
    make(
      "table",
      { className: "figures" },
      make("caption", { className: "fine" }, `By the network ${name}`),
      make("thead", {}, make("tr", {}, ...heads.map(([text, title]) => make("th", { scope: "col", title }, text)))),
      make(
        "tbody",
        {},
        ...cells.map(({ guidance, sampler, steps, metrics }) => row(showNumber(guidance), `${sampler}, ${steps}`, metrics)),
        row("real", `${floor.images.toLocaleString("en")} images`, floor.metrics, true),
      ),
    ),
  );
}
