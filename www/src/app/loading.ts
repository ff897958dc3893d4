import type { LoadProgress } from "freeguide";
import { byId } from "./dom.js";
import { Wordmark } from "./wordmark.js";

const words: Record<LoadProgress["phase"], string> = {
  runtime: "Fetching the runtime",
  "self-test": "Checking the device",
  weights: "Fetching the model",
  gpu: "Preparing the GPU",
  ready: "Ready",
};

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** The display while a model loads: the page's name emerges from noise as bytes arrive. */
export class Loading {
  readonly #mark = new Wordmark(byId<HTMLCanvasElement>("loading-mark"), 2);
  readonly #still = matchMedia("(prefers-reduced-motion: reduce)");
  #progress = 0;
  #shown = 0;
  #running = false;

  begin(): void {
    this.#progress = 0;
    this.#shown = 0;
    byId("loading").hidden = false;
    byId("loading-words").textContent = "Starting";
    byId("loading-bar").removeAttribute("aria-valuenow");
    this.#running = true;
    let last = 0;
    const tick = (now: number): void => {
      if (!this.#running) return;
      this.#shown += (this.#progress - this.#shown) * 0.15;
      // Twelve times a second: faster flicker is tiring.
      if (now - last > 80) {
        last = now;
        this.#mark.draw(this.#shown);
      }
      if (!this.#still.matches) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  show({ phase, loaded, total, cached }: LoadProgress): void {
    // The runtime is smaller than the weights: it takes the first quarter of the bar.
    const part = total ? loaded / total : phase === "runtime" ? 0.5 : 0;
    if (phase === "runtime") this.#progress = Math.max(this.#progress, 0.25 * part);
    if (phase === "weights") this.#progress = 0.3 + 0.7 * part;
    if (phase === "ready") this.#progress = 1;
    byId("loading-bar").setAttribute("aria-valuenow", String(Math.round(this.#progress * 100)));
    byId("loading-bar").style.setProperty("--progress", String(this.#progress));
    const bytes = total && phase !== "ready" && phase !== "gpu" ? `: ${megabytes(loaded)} of ${megabytes(total)} MB` : "";
    byId("loading-words").textContent = `${words[phase]}${cached ? " from the cache" : ""}${bytes}`;
    if (this.#still.matches) this.#mark.draw(this.#progress);
  }

  end(): void {
    this.#running = false;
    byId("loading").hidden = true;
  }
}
