import type { ModelConfig } from "./config.js";
import { AbortedError, DisposedError, type FreeguideError } from "./errors.js";
import { checkPreview, requestJson, type GenerateOptions, type Preview, type SampleOptions } from "./options.js";
import { cutPictures, pairBranches } from "./pictures.js";
import type { WireStep } from "./protocol.js";
import type { DrawOptions } from "./settings-table.js";
import { requestSource, type PictureOptions } from "./source-image.js";
import type { DeviceInfo, Picture, Plan, SampleStep } from "./types.js";

// Browsers without `using` do not have these symbols; the methods are then unused but harmless.
const disposeKey: typeof Symbol.dispose = Symbol.dispose ?? (Symbol.for("Symbol.dispose") as typeof Symbol.dispose);
const asyncDisposeKey: typeof Symbol.asyncDispose =
  Symbol.asyncDispose ?? (Symbol.for("Symbol.asyncDispose") as typeof Symbol.asyncDispose);

/** One run, step by step. */
export interface SteppedRun {
  /** The next step. Rejects once the run has ended. */
  next(): Promise<WireStep>;
  /** Ends the run if it is still active. */
  close(): void;
}

/** What computes a model's runs. */
export interface ModelSession {
  readonly device: DeviceInfo;
  plan<T>(request: string): Promise<T>;
  run(request: string, preview: Preview, signal: AbortSignal | undefined): SteppedRun;
  /** Ends every run with `reason` and frees all memory; later calls do nothing. */
  end(reason: FreeguideError): void;
}

/** A loaded model. Made by `loadModel`. */
export class Model {
  /** The bundle's config.json. */
  readonly config: ModelConfig;
  readonly #session: ModelSession;

  /** @internal */
  constructor(session: ModelSession, config: ModelConfig) {
    this.#session = session;
    this.config = config;
  }

  /** Where the model runs, and which devices were refused for what reason. */
  get device(): DeviceInfo {
    return this.#session.device;
  }

  /**
   * Draws a batch of images step by step, one image for each entry of `classes`. The run starts with the first `next()`.
   * Leaving the loop early, or aborting, stops it within one step. If a model has several runs, the oldest goes first as
   * long as its steps are taken.
   *
   * Rejects with `InputError`, `AbortedError`, `DisposedError`, `PoisonedError`, or `DeviceError` (the GPU was lost and
   * could not be replaced).
   */
  async *sample(options: SampleOptions): AsyncGenerator<SampleStep, void, void> {
    const request = await this.#request(options, ["preview", "signal"]);
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

  /** The steps of `sample` as a stream, which computes a step when one is read. Cancelling it stops the run. */
  stream(options: SampleOptions): ReadableStream<SampleStep> {
    const steps = this.sample(options);
    return new ReadableStream<SampleStep>(
      {
        async pull(controller) {
          const { value, done } = await steps.next();
          if (done === true) controller.close();
          else controller.enqueue(value as SampleStep);
        },
        async cancel() {
          await steps.return();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Draws images and resolves to the finished ones, one for each entry of `classes`. Rejects as `sample` does. */
  async generate(options: GenerateOptions): Promise<Picture[]> {
    let images: Picture[] = [];
    // Checked here too, so that a `preview` given by mistake is refused instead of ignored.
    requestJson(options, ["signal"]);
    for await (const step of this.sample({ ...options, preview: "none" })) images = step.images;
    return images;
  }

  /** The cost of a run with these options, and the complete settings of its images, without running it. Rejects as `sample` does. */
  async plan(options: DrawOptions & PictureOptions): Promise<Plan> {
    return this.#session.plan<Plan>(await this.#request(options, []));
  }

  async #request(options: DrawOptions & PictureOptions, also: readonly string[]): Promise<string> {
    // Names and values first: what is wrong with them can be said without reading a picture.
    const json = requestJson(options, also);
    const source = await requestSource(options, this.config.image);
    return source ? requestJson(options, also, source) : json;
  }

  /** Stops every run (they reject with `disposed`), ends the worker and frees all memory. Idempotent. */
  dispose(): void {
    this.#session.end(new DisposedError());
  }

  /** `dispose()`, for `using`. */
  [disposeKey](): void {
    this.dispose();
  }

  /** `dispose()`, for `await using`. */
  async [asyncDisposeKey](): Promise<void> {
    this.dispose();
  }
}
