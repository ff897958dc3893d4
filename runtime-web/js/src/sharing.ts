import type { HelperLink } from "./helper.js";
import { COMPARED_AGAIN, Times, TIMINGS } from "./times.js";

/** A helper is started for runs whose remaining steps would take at least this long, in milliseconds. */
const WORTH_A_HELPER = 1500;
/** Attempts to start a helper: the weights reach the cache some time after the model is loaded. */
const ATTEMPTS = 8;

/** Times of evaluations of one number of rows, by the number of helpers that computed some of them. */
class Comparison {
  readonly #times: Times[] = [];

  of(helpers: number): Times {
    return (this.#times[helpers] ??= new Times());
  }

  /** Evaluations that were timed. */
  get total(): number {
    return this.#times.reduce((total, { count }) => total + count, 0);
  }

  /** The number of helpers that has to be timed next, of at most so many; undefined if enough is known. */
  due(most: number): number | undefined {
    const tried = this.#tried(most);
    const [next] = tried.filter((helpers) => this.of(helpers).count < TIMINGS).sort((a, b) => this.of(a).count - this.of(b).count);
    return next;
  }

  /** The number of helpers that was fastest. */
  fastest(most: number): number {
    const [best] = this.#tried(most).sort((a, b) => this.of(a).best - this.of(b).best);
    return best ?? 0;
  }

  /** One helper is tried at least, and one more as long as the last one made it faster. */
  #tried(most: number): number[] {
    const tried = [0];
    for (let helpers = 1; helpers <= most; helpers += 1) {
      const last = this.of(helpers - 1);
      if (helpers > 1 && !(last.count >= TIMINGS && last.best < this.of(helpers - 2).best)) break;
      tried.push(helpers);
    }
    return tried;
  }
}

/** How a model's evaluations may be shared. */
export interface SharingOptions {
  /** Share every evaluation of two rows or more, even if that is slower. */
  always: boolean;
  /** Helpers that are loading, or have loaded, the model. */
  helpers?: HelperLink[] | undefined;
  /** The most helpers that are started. */
  most?: number | undefined;
  /** Starts a helper, if the model's weights are local or cached. */
  startHelper?: (() => Promise<HelperLink | undefined>) | undefined;
  /** In milliseconds. */
  now?: () => number;
}

/**
 * Decides how many other workers compute some of the rows of an evaluation. Each worker pays the fixed cost of an evaluation
 * (mostly reading the weights), so what is fastest depends on the model, the machine and the number of rows. For each
 * number of rows, the first evaluations are timed with no helper and with one, and with one more as long as that is faster;
 * the fastest is used from then on. Helpers are started by runs that are long enough to benefit, one after another. One
 * that no number of rows is faster with is ended, to give its memory back, except for the first.
 */
export class Sharing {
  readonly #always: boolean;
  readonly #startHelper: (() => Promise<HelperLink | undefined>) | undefined;
  readonly #now: () => number;
  readonly #comparisons = new Map<number, Comparison>();
  #helpers: HelperLink[];
  #most: number;
  #attempts = 0;
  #startingHelper = false;
  #closed = false;

  constructor({ always, helpers = [], most = 1, startHelper, now = () => performance.now() }: SharingOptions) {
    this.#always = always;
    this.#helpers = [...helpers];
    this.#most = most;
    this.#startHelper = startHelper;
    this.#now = now;
  }

  /** Runs `work`, one evaluation of `rows` rows in a run with `stepsLeft` steps left. `work` shares it with the helpers that it is given, if any. */
  async evaluate(rows: number, stepsLeft: number, work: (helpers: readonly HelperLink[]) => Promise<boolean>): Promise<boolean> {
    const ready = this.#ready(rows);
    const helpers = ready.slice(0, this.#count(rows, ready.length));
    const begun = this.#now();
    const done = await work(helpers);
    if (rows >= 2) this.#took(rows, helpers.length, this.#now() - begun, stepsLeft);
    return done;
  }

  /** Helpers that have loaded the model. */
  get helpers(): number {
    return this.#helpers.filter(({ ready }) => ready).length;
  }

  close(): void {
    this.#closed = true;
    for (const helper of this.#helpers) helper.close();
  }

  /** The helpers that can compute a row each, beside the row that is computed here. */
  #ready(rows: number): HelperLink[] {
    return this.#helpers.filter(({ ready }) => ready).slice(0, Math.max(0, rows - 1));
  }

  #count(rows: number, ready: number): number {
    if (this.#always || ready === 0) return ready;
    const comparison = this.#comparison(rows);
    return comparison.due(ready) ?? comparison.fastest(ready);
  }

  #took(rows: number, helpers: number, milliseconds: number, stepsLeft: number): void {
    const comparison = this.#comparison(rows);
    comparison.of(helpers).add(milliseconds);
    const ready = this.#ready(rows).length;
    const undecided = ready > 0 && comparison.due(ready) !== undefined;
    const fastest = comparison.fastest(ready);
    const { count, best } = comparison.of(fastest);
    // The first evaluation includes compilation by the JavaScript engine.
    if (count >= 2 && !undecided && fastest === ready && rows > ready + 1 && best * stepsLeft >= WORTH_A_HELPER) void this.#ask();
    if (!undecided && !this.#always) this.#endUnused();
    if (helpers > 0 && comparison.total >= COMPARED_AGAIN) this.#comparisons.delete(rows);
  }

  /** Ends the last helper if no number of rows is faster with it. */
  #endUnused(): void {
    const last = this.#helpers.length;
    if (last < 2 || !this.#helpers.every(({ ready }) => ready)) return;
    const needed = [...this.#comparisons].some(([rows, comparison]) => {
      const ready = this.#ready(rows).length;
      return comparison.due(ready) !== undefined ? comparison.of(last - 1).count > 0 : comparison.fastest(ready) === last;
    });
    if (needed) return;
    this.#helpers.pop()?.close();
    this.#most = this.#helpers.length;
  }

  #comparison(rows: number): Comparison {
    const comparison = this.#comparisons.get(rows) ?? new Comparison();
    this.#comparisons.set(rows, comparison);
    return comparison;
  }

  /** Starts a helper, one at a time. */
  async #ask(): Promise<void> {
    this.#helpers = this.#helpers.filter(({ ended }) => !ended);
    const loading = this.#startingHelper || this.#helpers.some(({ ready }) => !ready);
    if (!this.#startHelper || loading || this.#helpers.length >= this.#most || this.#attempts >= ATTEMPTS) return;
    this.#startingHelper = true;
    try {
      const helper = await this.#startHelper();
      if (!helper) this.#attempts += 1;
      else if (this.#closed) helper.close();
      else this.#helpers.push(helper);
    } catch {
      // No worker can be started, or a file is missing: the engine computes alone.
      this.#attempts += 1;
    } finally {
      this.#startingHelper = false;
    }
  }
}
