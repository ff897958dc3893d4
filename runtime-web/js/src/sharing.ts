import type { HelperLink } from "./helper.js";
import { COMPARED_AGAIN, Times, TIMINGS } from "./times.js";

/** A run that would go on for so long, in milliseconds, is worth starting a helper for. */
const WORTH_A_HELPER = 1500;
/** How often a helper is asked for in vain: weights reach the cache a while after the model is loaded. */
const ATTEMPTS = 8;

/** Evaluations of so many rows, computed alone and shared. */
class Comparison {
  readonly alone = new Times();
  readonly shared = new Times();

  get shares(): boolean {
    const { alone, shared } = this;
    // In turns until both are known.
    if (Math.min(alone.count, shared.count) < TIMINGS) return shared.count < alone.count;
    return shared.best < alone.best;
  }
}

/** How a model's evaluations may be shared. */
export interface SharingOptions {
  /** Share whatever has two rows, whether or not it is faster. */
  always: boolean;
  /** A helper that is loading, or has loaded, the model. */
  helper?: HelperLink | undefined;
  /** Starts a helper, where the model's weights are at hand. */
  startHelper?: (() => Promise<HelperLink | undefined>) | undefined;
  /** In milliseconds. */
  now?: () => number;
}

/**
 * Whether another worker computes half of the rows of an evaluation. What an evaluation costs whatever its rows are,
 * reading the weights above all, is paid twice then, so that it depends on the model, the machine and the number of rows
 * which way is faster: for each number of rows both are timed in the first evaluations, and the faster is kept. The
 * helper itself is started by the first run that is long enough to gain by it.
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

  /** Makes an evaluation of so many rows, of a run with so many steps left, by `work`, which shares it with a helper if given one. */
  async evaluate(rows: number, stepsLeft: number, work: (helper: HelperLink | undefined) => Promise<boolean>): Promise<boolean> {
    const helper = this.#partner(rows);
    const begun = this.#now();
    const done = await work(helper);
    const milliseconds = this.#now() - begun;
    if (rows >= 2) {
      this.#took(rows, helper !== undefined, milliseconds);
      const { count, best } = this.#comparison(rows).alone;
      // Not by the first, in which the engine still compiles.
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

  /** Has a helper started, once. */
  async #ask(): Promise<void> {
    if (!this.#startHelper || this.#helper || this.#startingHelper || this.#attempts >= ATTEMPTS) return;
    this.#startingHelper = true;
    this.#attempts += 1;
    try {
      this.#helper = await this.#startHelper();
      if (this.#closed) this.#helper?.close();
    } catch {
      // No worker can be started here, or a file is gone: the engine computes alone.
    } finally {
      this.#startingHelper = false;
    }
  }
}
