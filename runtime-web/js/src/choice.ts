import { COMPARED_AGAIN, Times, TIMINGS } from "./times.js";
import { wayWords, type WayName } from "./way.js";

/** Milliseconds of the best step of each way, by the rows of its largest evaluation. */
export type StepTimes = Readonly<Record<string, Readonly<Partial<Record<WayName, number>>>>>;

/** What a choice begins with. */
export interface ChoiceOptions {
  /** What was measured before, of this model on this machine. */
  remembered?: StepTimes | undefined;
  /** Hears of every comparison that was made. */
  onDecided?: ((times: StepTimes) => void) | undefined;
}

/** So many times as slow as another way, and a way is not timed again. */
const HOPELESS = 4;
/** After so many trials it is known that a way is hopeless: the first may have compiled pipelines. */
const FEW = 2;

/** Steps whose largest evaluation has so many rows, computed in each way. */
class Comparison {
  readonly ways = new Map<WayName, Times>();
  readonly #hopeless = new Set<WayName>();
  #taken = 0;

  of(name: WayName): Times {
    const times = this.ways.get(name) ?? new Times();
    this.ways.set(name, times);
    return times;
  }

  add(name: WayName, milliseconds: number): void {
    this.of(name).add(milliseconds);
    for (const [way, { count, best }] of this.ways) {
      const faster = [...this.ways.values()].some((other) => other.count >= TIMINGS && best > HOPELESS * other.best);
      if (count >= FEW && faster) this.#hopeless.add(way);
    }
    this.#taken += 1;
    if (this.#taken < COMPARED_AGAIN) return;
    this.#taken = 0;
    for (const way of [...this.ways.keys()]) if (!this.#hopeless.has(way)) this.ways.delete(way);
  }

  /** The way that is due to be timed, undefined where enough is known. */
  due(offered: readonly WayName[]): WayName | undefined {
    return offered.find((name) => this.of(name).count < TIMINGS && !this.#hopeless.has(name));
  }

  fastest(offered: readonly WayName[]): WayName | undefined {
    return [...offered].sort((a, b) => this.of(a).best - this.of(b).best)[0];
  }
}

/**
 * Which way computes a step. What is faster depends on the model, the machine and the number of rows, on small networks
 * often the CPU: so each way that is ready gets three steps of a run in turn, for every number of rows, and the fastest
 * is kept. A run's pictures do not depend on it beyond what devices differ by.
 */
export class Choice {
  readonly #offered: WayName[] = [];
  readonly #comparisons = new Map<number, Comparison>();
  readonly #onDecided: ((times: StepTimes) => void) | undefined;

  constructor({ remembered = {}, onDecided }: ChoiceOptions = {}) {
    this.#onDecided = onDecided;
    for (const [rows, ways] of Object.entries(remembered)) {
      const comparison = this.#comparison(Number(rows));
      for (const [name, milliseconds] of Object.entries(ways)) {
        Object.assign(comparison.of(name as WayName), { count: TIMINGS, best: milliseconds });
      }
    }
  }

  /** The ways that are ready. */
  get offered(): readonly WayName[] {
    return this.#offered;
  }

  /** A way is ready. Of two the one that was ready first is timed first. */
  offer(name: WayName): void {
    if (!this.#offered.includes(name)) this.#offered.push(name);
  }

  /** A way is gone. */
  withdraw(name: WayName): void {
    const at = this.#offered.indexOf(name);
    if (at >= 0) this.#offered.splice(at, 1);
  }

  /** The way for a step of so many rows, and whether it is on trial and has to be timed to its end. */
  pick(rows: number): { name: WayName; trial: boolean } {
    const [only] = this.#offered;
    if (only === undefined) throw new Error("no way is ready");
    if (this.#offered.length === 1) return { name: only, trial: false };
    const comparison = this.#comparison(rows);
    const due = comparison.due(this.#offered);
    return { name: due ?? comparison.fastest(this.#offered) ?? only, trial: due !== undefined };
  }

  /** A step of so many rows took so long. */
  took(rows: number, name: WayName, milliseconds: number): void {
    const comparison = this.#comparison(rows);
    const before = comparison.due(this.#offered);
    comparison.add(name, milliseconds);
    if (before !== undefined && comparison.due(this.#offered) === undefined && this.#offered.length > 1) this.#onDecided?.(this.times());
  }

  /** The best step of a way, Infinity where there was none. */
  best(rows: number, name: WayName): number {
    return this.#comparisons.get(rows)?.of(name).best ?? Infinity;
  }

  /** Whether enough is known of a way for it to be compared. */
  isTimed(rows: number, name: WayName): boolean {
    return (this.#comparisons.get(rows)?.of(name).count ?? 0) >= TIMINGS;
  }

  /** What was measured. */
  times(): StepTimes {
    const known = (comparison: Comparison): [string, number][] =>
      [...comparison.ways].filter(([, { count }]) => count > 0).map(([name, { best }]) => [name, best]);
    return Object.fromEntries([...this.#comparisons].map(([rows, comparison]) => [String(rows), Object.fromEntries(known(comparison))]));
  }

  /** Why a step of so many rows is computed as it is, in words; undefined where no two ways have been compared. */
  why(rows: number): string | undefined {
    return compared(rows, this.times()[String(rows)] ?? {});
  }

  #comparison(rows: number): Comparison {
    const comparison = this.#comparisons.get(rows) ?? new Comparison();
    this.#comparisons.set(rows, comparison);
    return comparison;
  }
}

function compared(rows: number, ways: Partial<Record<WayName, number>>): string | undefined {
  const known = (Object.entries(ways) as [WayName, number][]).sort(([, a], [, b]) => a - b);
  if (known.length < 2) return undefined;
  const each = known.map(([name, best]) => `${best.toFixed(best < 10 ? 1 : 0)} ms on ${wayWords(name)}`);
  return `a step of ${rows} rows took ${each.join(", ")}`;
}

/**
 * Why a GPU is not worth preparing, in words: it was slower wherever it was measured. Undefined where it was faster once,
 * or was not measured.
 */
export function gpuRuledOut(remembered: StepTimes): string | undefined {
  const known = Object.entries(remembered).filter(([, ways]) => ways.cpu !== undefined && gpuBest(ways) < Infinity);
  if (known.length === 0 || known.some(([, ways]) => gpuBest(ways) < (ways.cpu ?? Infinity))) return undefined;
  const [rows, ways] = known[known.length - 1] as [string, Partial<Record<WayName, number>>];
  return `it was slower when it was last measured: ${compared(Number(rows), ways)}`;
}

function gpuBest(ways: Partial<Record<WayName, number>>): number {
  return Math.min(ways["webgpu f16"] ?? Infinity, ways["webgpu f32"] ?? Infinity);
}
