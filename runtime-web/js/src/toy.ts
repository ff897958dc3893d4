/**
 * Guidance on a mixture of Gaussians in the plane, one for each class, for which the exact denoiser is known. Uses the
 * library's samplers and runs on the calling thread with the CPU build.
 *
 * @packageDocumentation
 */
import type { Boundary, WasmDevice, WasmMixture } from "./boundary.js";
import { packagedBuilds } from "./builds.js";
import type { Sampler } from "./settings-table.js";
import { AbortedError, asFreeguideError } from "./errors.js";

/** One class: an isotropic Gaussian. */
export interface ToyClass {
  readonly mean: readonly [number, number];
  /** Standard deviation, above 0. */
  readonly deviation: number;
}

/** What to draw from a mixture. */
export interface ToyRequest {
  /** The class; null is the whole mixture. */
  readonly class: number | null;
  /** Guidance strength w. */
  readonly guidance: number;
  readonly points: number;
  readonly steps: number;
  readonly sampler: Sampler;
  readonly seed: number;
}

/** One mixture. Made by a `ToyRuntime`. */
export class Toy {
  readonly #mixture: WasmMixture;

  /** @internal */
  constructor(mixture: WasmMixture) {
    this.#mixture = mixture;
  }

  /**
   * The density that guidance of strength w targets, p(x | c) p(c | x)^w (Ho & Salimans 2022, section 3), at the centres
   * of `side` × `side` cells of the square from −`extent` to `extent`, row by row from the top, scaled so that the largest is 1.
   */
  density(choice: { class: number | null; guidance: number; side: number; extent: number }): Float32Array {
    return call(() => this.#mixture.density(choice.class ?? -1, choice.guidance, choice.side, choice.extent));
  }

  /** Samples points as flattened [x, y] pairs: first the noise, then the estimate x̃ after each step. */
  async *sample({ class: name, points, ...request }: ToyRequest): AsyncGenerator<Float32Array, void, void> {
    const classes = Array.from({ length: points }, () => name);
    const run = call(() => this.#mixture.sample(JSON.stringify({ classes, clip: false, ...request })));
    try {
      yield await run.points("latent");
      while (run.step < run.steps) {
        run.advance();
        yield await run.points("denoised");
      }
    } catch (thrown) {
      throw asFreeguideError(thrown);
    } finally {
      run.free();
    }
  }

  /** Frees its memory. */
  dispose(): void {
    this.#mixture.free();
  }
}

/** The CPU runtime, for mixtures. */
export class ToyRuntime {
  readonly #boundary: Boundary;
  readonly #device: WasmDevice;

  /** @internal */
  constructor(boundary: Boundary, device: WasmDevice) {
    this.#boundary = boundary;
    this.#device = device;
  }

  /** A mixture of equally probable classes. Throws `InputError` if a number is not finite or a deviation is not positive. */
  mixture(classes: readonly ToyClass[]): Toy {
    const means = Float64Array.from(classes.flatMap(({ mean }) => mean));
    const deviations = Float64Array.from(classes.map(({ deviation }) => deviation));
    return new Toy(call(() => new this.#boundary.Mixture(means, deviations, this.#device)));
  }
}

/** Fetches and starts the CPU runtime. Rejects as `loadModel` does. */
export async function openToy({ signal }: { signal?: AbortSignal } = {}): Promise<ToyRuntime> {
  if (signal?.aborted) throw new AbortedError("loading was aborted", { cause: signal.reason });
  const boundary = await packagedBuilds().cpu.start(signal ?? new AbortController().signal, () => {});
  try {
    return new ToyRuntime(boundary, await boundary.Device.open());
  } catch (thrown) {
    throw asFreeguideError(thrown);
  }
}

function call<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw asFreeguideError(thrown);
  }
}
