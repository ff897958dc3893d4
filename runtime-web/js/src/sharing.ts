import type { HelperLink } from "./helper.js";
import { COMPARED_AGAIN, Times, TIMINGS } from "./times.js";

/** A helper is started for runs whose remaining steps would take at least this long, in milliseconds. */
const WORTH_A_HELPER = 1500;
/** Attempts to start a helper: the weights reach the cache some time after the model is loaded. */
const ATTEMPTS = 8;

/** Times of evaluations of one number of rows, computed alone and shared with a helper. */
class Comparison {
  readonly alone = new Times();
  readonly shared = new Times();

  get shares(): boolean {
    const { alone, shared } = this;
    // Alternate until both have been timed.
    if (Math.min(alone.count, shared.count) < TIMINGS) return shared.count < alone.count;
    return shared.best < alone.best;
  }
}

/** How a model's evaluations may be shared. */
export interface SharingOptions {
  /** Share every evaluation of two rows or more, even if that is slower. */
  always: boolean;
  /** A helper that is loading, or has loaded, the model. */
  helper?: HelperLink | undefined;
  /** Starts a helper, if the model's weights are local or cached. */
  startHelper?: (() => Promise<HelperLink | undefined>) | undefined;
  /** In milliseconds. */
  now?: () => number;
}

/**
 * Decides whether a second worker computes half of the rows of an evaluation. Sharing pays the fixed cost of an evaluation
 * (mostly reading the weights) twice, so whether it is faster depends on the model, the machine and the number of rows. For
 * each number of rows, the first evaluations time both and the faster one is used from then on. The helper is started by
 * the first run that is long enough to benefit.
 */
export class Sharing {
  readonly #always: boolean;
  readonly #startHelper: (() => Promise<HelperLink | undefined>) | undefined;
  readonly #now: () => number;
  readonly #comparisons = new Map<number, Comparison>();
  #helper: HelperLink | undefined;
  #attempts = 0;
  #startingHelper = false;
  #closed = false;

  constructor({ always, helper, startHelper, now = () => performance.now() }: SharingOptions) {
    this.#always = always;
    this.#helper = helper;
    this.#startHelper = startHelper;
    this.#now = now;
  }

  /** Runs `work`, one evaluation of `rows` rows in a run with `stepsLeft` steps left. `work` shares it with the helper that it is given, if any. */
  async evaluate(rows: number, stepsLeft: number, work: (helper: HelperLink | undefined) => Promise<boolean>): Promise<boolean> {
    const helper = this.#partner(rows);
    const begun = this.#now();
    const done = await work(helper);
    const milliseconds = this.#now() - begun;
    if (rows >= 2) {
      this.#took(rows, helper !== undefined, milliseconds);
      const { count, best } = this.#comparison(rows).alone;
      // The first evaluation includes compilation by the JavaScript engine.
      if (count >= 2 && best * stepsLeft >= WORTH_A_HELPER) void this.#ask();
    }
    return done;
  }

  close(): void {
    this.#closed = true;
    this.#helper?.close();
  }

  #partner(rows: number): HelperLink | undefined {
    if (rows < 2 || !this.#helper?.ready) return undefined;
    return this.#always || this.#comparison(rows).shares ? this.#helper : undefined;
  }

  #took(rows: number, shared: boolean, milliseconds: number): void {
    const comparison = this.#comparison(rows);
    comparison[shared ? "shared" : "alone"].add(milliseconds);
    if (comparison.shared.count > 0 && comparison.alone.count + comparison.shared.count >= COMPARED_AGAIN) this.#comparisons.delete(rows);
  }

  #comparison(rows: number): Comparison {
    const comparison = this.#comparisons.get(rows) ?? new Comparison();
    this.#comparisons.set(rows, comparison);
    return comparison;
  }

  /** Starts the helper, once. */
  async #ask(): Promise<void> {
    if (!this.#startHelper || this.#helper || this.#startingHelper || this.#attempts >= ATTEMPTS) return;
    this.#startingHelper = true;
    this.#attempts += 1;
    try {
      this.#helper = await this.#startHelper();
      if (this.#closed) this.#helper?.close();
    } catch {
      // No worker can be started, or a file is missing: the engine computes alone.
    } finally {
      this.#startingHelper = false;
    }
  }
}
