import { AbortedError, loadModel, type DeviceOption, type Model } from "freeguide";
import { byId, make } from "../app/dom.js";
import { modelUrl, teacherOf } from "../app/models.js";
import { say, time } from "../app/notice.js";
import { runsOf, showNumber, type Settings, type ViewRun } from "../app/settings.js";
import { className, paint } from "./sheet.js";

const button = byId<HTMLButtonElement>("beside-open");

/** One model's pictures in the window, and what they cost. */
interface Half {
  readonly element: HTMLElement;
  readonly title: HTMLElement;
  readonly pictures: HTMLElement;
  readonly cost: HTMLElement;
}

function half(id: string): Half {
  const title = make("h3");
  const pictures = make("div", { className: "pictures" });
  const cost = make("p", { className: "fine", id: `${id}-cost` });
  return { title, pictures, cost, element: make("section", { id }, title, pictures, cost) };
}

/** The window that shows a distilled model beside the model that it was distilled from: the same seed, classes and w. */
export class Beside {
  readonly #dialog = byId<HTMLDialogElement>("beside");
  readonly #settings: () => Settings;
  readonly #fast = half("beside-fast");
  readonly #teacher = half("beside-teacher");
  readonly #words = make("p", { className: "fine", role: "status", id: "beside-words" });
  #model: Model | undefined;
  /** The folder of the teacher among the models that ship. */
  #folder: string | undefined;
  #control: AbortController | undefined;

  constructor(settings: () => Settings) {
    this.#settings = settings;
    const close = make("button", { type: "button", className: "quiet", id: "beside-close" }, "Close");
    this.#dialog.append(
      make(
        "div",
        { className: "window wide" },
        make("h2", { id: "beside-title" }, "Fast and teacher"),
        make("div", { className: "halves" }, this.#fast.element, this.#teacher.element),
        this.#words,
        make("p", { className: "row" }, close),
      ),
    );
    close.addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => this.#control?.abort());
    button.addEventListener("click", () => void this.#open());
  }

  /** Offers the window for a model whose teacher ships with the page. */
  async offer(model: Model | undefined): Promise<void> {
    this.#control?.abort();
    this.#model = model;
    button.hidden = true;
    const found = model && (await teacherOf(model.config));
    if (this.#model !== model || !found) return;
    this.#folder = found.folder;
    button.hidden = false;
  }

  async #open(): Promise<void> {
    const [model, folder, [run]] = [this.#model, this.#folder, runsOf(this.#settings())];
    if (!model || folder === undefined || !run) return;
    const control = new AbortController();
    this.#control = control;
    const { signal } = control;
    for (const { pictures, cost } of [this.#fast, this.#teacher]) {
      pictures.replaceChildren();
      cost.textContent = "";
    }
    this.#fast.title.textContent = model.config.name;
    this.#teacher.title.textContent = model.config.provenance.teacher ?? "";
    this.#words.textContent = "Loading the teacher";
    this.#dialog.showModal();
    let teacher: Model | undefined;
    try {
      const device: DeviceOption = model.device.kind === "webgpu" ? "webgpu" : "cpu";
      teacher = await loadModel(modelUrl(folder), { device, signal });
      this.#words.textContent = "Drawing";
      await this.#draw(this.#fast, model, run, signal);
      // The student's sampler and steps mean nothing to its teacher, which draws with its own.
      const { sampler, steps } = teacher.config.sampling;
      const { guidance, seed, toward } = run.drawing;
      const drawing = { guidance, seed, sampler, steps, ...(toward && { toward }) };
      await this.#draw(this.#teacher, teacher, { ...run, drawing }, signal);
      this.#words.textContent = `Seed ${seed}, w = ${showNumber(guidance)}. Both began with the same noise.`;
      say("Drew the pictures of both models");
    } catch (error) {
      if (!(error instanceof AbortedError) && !signal.aborted) this.#words.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      teacher?.dispose();
    }
  }

  async #draw({ pictures, cost }: Half, model: Model, { drawing, classes }: ViewRun, signal: AbortSignal): Promise<void> {
    const options = { ...drawing, classes: [...classes], preview: "none" as const, signal };
    // What is measured is drawing: compiling and filling caches comes before.
    for await (const { step } of model.sample(options)) if (step > 0) break;
    const begun = performance.now();
    for await (const { step, steps, images, nfe } of model.sample(options)) {
      if (step < steps) continue;
      const milliseconds = performance.now() - begun;
      pictures.style.setProperty("--across", String(Math.ceil(Math.sqrt(images.length))));
      pictures.replaceChildren(
        ...images.map((picture, at) => {
          const canvas = make("canvas", { role: "img", "aria-label": className(classes[at] ?? null) });
          paint(canvas, picture);
          return canvas;
        }),
      );
      cost.textContent = `${nfe} network ${nfe === 1 ? "evaluation" : "evaluations"} a picture, ${time(milliseconds)}`;
    }
  }
}
