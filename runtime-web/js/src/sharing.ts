import type { HelperLink } from "./helper.js";

/** Evaluations of either way that are compared; the best of each counts. */
const TRIALS = 3;
/** After so many evaluations the ways are compared again: by now the machine may be busy with something else. */
const REVIEWED = 256;
/** A run that would go on for so long, in milliseconds, is worth starting a helper for. */
const WORTH = 1500;
/** How often a helper is asked for in vain: weights reach the cache a while after the model is loaded. */
const ATTEMPTS = 8;

/** What one way has taken. */
class Times {
  count = 0;
  /** In milliseconds. */
  best = Infinity;

  add(milliseconds: number): void {
    this.count += 1;
    this.best = Math.min(this.best, milliseconds);
  }
}

/** Evaluations of so many rows, computed alone and shared. */
class Trial {
  readonly alone = new Times();
  readonly shared = new Times();

  get shares(): boolean {
    const { alone, shared } = this;
    // In turns until both are known.
    if (Math.min(alone.count, shared.count) < TRIALS) return shared.count < alone.count;
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
  recruit?: (() => Promise<HelperLink | undefined>) | undefined;
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
  readonly #recruit: (() => Promise<HelperLink | undefined>) | undefined;
  readonly #now: () => number;
  readonly #trials = new Map<number, Trial>();
  #helper: HelperLink | undefined;
  #attempts = 0;
  #recruiting = false;
  #closed = false;

  constructor({ always, helper, recruit, now = () => performance.now() }: SharingOptions) {
    this.#always = always;
    this.#helper = helper;
    this.#recruit = recruit;
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
      const { count, best } = this.#trial(rows).alone;
      // Not by the first, in which the engine still compiles.
      if (count >= 2 && best * stepsLeft >= WORTH) void this.#ask();
    }
    return done;
  }

  close(): void {
    this.#closed = true;
    this.#helper?.close();
  }

  #partner(rows: number): HelperLink | undefined {
    if (rows < 2 || !this.#helper?.ready) return undefined;
    return this.#always || this.#trial(rows).shares ? this.#helper : undefined;
  }

  #took(rows: number, shared: boolean, milliseconds: number): void {
    const trial = this.#trial(rows);
    trial[shared ? "shared" : "alone"].add(milliseconds);
    if (trial.shared.count > 0 && trial.alone.count + trial.shared.count >= REVIEWED) this.#trials.delete(rows);
  }

  #trial(rows: number): Trial {
    const trial = this.#trials.get(rows) ?? new Trial();
    this.#trials.set(rows, trial);
    return trial;
  }

  /** Has a helper started, once. */
  async #ask(): Promise<void> {
    if (!this.#recruit || this.#helper || this.#recruiting || this.#attempts >= ATTEMPTS) return;
    this.#recruiting = true;
    this.#attempts += 1;
    try {
      this.#helper = await this.#recruit();
      if (this.#closed) this.#helper?.close();
    } catch {
      // No worker can be started here, or a file is gone: the engine computes alone.
    } finally {
      this.#recruiting = false;
    }
  }
}
