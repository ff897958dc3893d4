import type { ModelConfig } from "./config.js";
import { AbortedError, DisposedError } from "./errors.js";
import { checkPreview, requestJson, type DrawOptions, type GenerateOptions, type SampleOptions } from "./options.js";
import { cutPictures, pairBranches } from "./pictures.js";
import type { Session } from "./session.js";
import type { DeviceInfo, Picture, Plan, SampleStep } from "./types.js";

// Browsers that do not know `using` yet have no such symbols; the methods are then out of the way but harmless.
const disposeKey: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for("Symbol.dispose") as typeof Symbol.dispose);
const asyncDisposeKey: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for("Symbol.asyncDispose") as typeof Symbol.asyncDispose);

/** A loaded model. Made by `loadModel`. */
export class Model {
  /** The bundle's config.json. */
  readonly config: ModelConfig;
  readonly #session: Session;

  /** @internal */
  constructor(session: Session, config: ModelConfig) {
    this.#session = session;
    this.config = config;
  }

  /** Where the model runs, and which devices were refused for what reason. */
  get device(): DeviceInfo {
    return this.#session.device;
  }

  /**
   * Draws images step by step: a batch with one image an entry of `classes`. The run starts with the first `next()`;
   * leaving the loop early, or aborting, stops it within one step. Runs of one model take turns: the oldest goes first
   * as long as its steps are taken.
   *
   * Rejects with `InputError`, `AbortedError`, `DisposedError`, `PoisonedError`, or `DeviceError` (a GPU that was lost
   * and cannot be had again).
   */
  async *sample(options: SampleOptions): AsyncGenerator<SampleStep, void, void> {
    const request = requestJson(options, ["preview", "signal"]);
    const preview = checkPreview(options.preview);
    const { signal } = options;
    if (signal?.aborted) throw new AbortedError("sampling was aborted", { cause: signal.reason });
    const run = this.#session.run(request, preview, signal);
    try {
      for (;;) {
        const { step, steps, nfe, milliseconds, pixels, branches: estimates } = await run.next();
        const { size } = this.config.image;
        const images = pixels ? cutPictures(pixels, size) : [];
        const branches = estimates ? pairBranches(images, cutPictures(estimates, size)) : undefined;
        yield { step, steps, images, branches, milliseconds, nfe };
        if (step >= steps) return;
      }
    } finally {
      run.close();
    }
  }

  /** Draws images and resolves to the finished ones, one an entry of `classes`. Rejects as `sample` does. */
  async generate(options: GenerateOptions): Promise<Picture[]> {
    let images: Picture[] = [];
    // Named one by one: `preview` given by mistake is refused rather than overruled.
    requestJson(options, ["signal"]);
    for await (const step of this.sample({ ...options, preview: "none" })) images = step.images;
    return images;
  }

  /** What a run with these options would cost, without running it. Rejects as `sample` does. */
  async plan(options: DrawOptions): Promise<Plan> {
    return this.#session.plan<Plan>(requestJson(options));
  }

  /** Stops every run (they reject with `disposed`), ends the worker and gives all memory back. Idempotent. */
  dispose(): void {
    this.#session.end(new DisposedError());
  }

  [disposeKey](): void {
    this.dispose();
  }

  async [asyncDisposeKey](): Promise<void> {
    this.dispose();
  }
}
