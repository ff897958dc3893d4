import { byId } from "../app/dom.js";
import { paint, type Sheet } from "./sheet.js";

/** The time line below the sheet: shows progress while pictures are drawn, and afterwards any step. */
export class Scrubber {
  readonly #sheet: Sheet;
  readonly #input = byId<HTMLInputElement>("scrub");
  readonly #output = byId("scrub-at");

  constructor(sheet: Sheet) {
    this.#sheet = sheet;
    this.#input.addEventListener("input", () => this.#show());
  }

  begin(): void {
    this.#input.disabled = true;
  }

  progress(done: number, all: number): void {
    this.#input.max = String(all);
    this.#set(done);
    this.#output.textContent = `step ${done} of ${all}`;
  }

  /** The run is over: the range is now the steps that can be shown. */
  end(): void {
    const most = Math.max(0, ...this.#sheet.tiles.map(({ frames }) => frames.length));
    this.#input.disabled = most < 2;
    if (most === 0) return;
    this.#input.min = "1";
    this.#input.max = String(most);
    this.#set(most);
    this.#output.textContent = `step ${most}`;
  }

  #set(value: number): void {
    this.#input.value = String(value);
    const { min, max } = this.#input;
    const span = Number(max) - Number(min);
    this.#input.style.setProperty("--at", String(span > 0 ? (value - Number(min)) / span : 1));
  }

  #show(): void {
    const step = Number(this.#input.value);
    this.#set(step);
    this.#output.textContent = `step ${step} of ${this.#input.max}`;
    for (const { canvas, frames } of this.#sheet.tiles) {
      const frame = frames[Math.min(step, frames.length) - 1];
      if (frame) paint(canvas, frame);
    }
  }
}
