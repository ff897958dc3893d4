import type { WasmRun } from "./boundary.js";
import { Choice } from "./choice.js";
import type { Way, WayName } from "./way.js";

/** A run, and the way that it is computed in. */
export interface Seated {
  readonly way: Way;
  readonly run: WasmRun;
  /** The most rows of one of its evaluations. */
  readonly rows: number;
}

/** The state of a run, from which a run of the same request can continue. */
export interface RunState {
  readonly step: number;
  readonly values: Float32Array;
}

/** The ways to compute a model's steps that are ready, and how a run goes from one to another. */
export class Ways {
  readonly choice: Choice;
  readonly #ways = new Map<WayName, Way>();
  readonly #widen: (from: Way, reason: string | undefined) => Promise<Way>;
  #widening: Promise<Way | undefined> | undefined;

  /** `widen` makes the way in 32 bits beside one in 16 ready; `reason` says what was wrong with that, which then goes. */
  constructor(choice: Choice, widen: (from: Way, reason: string | undefined) => Promise<Way>) {
    this.choice = choice;
    this.#widen = widen;
  }

  add(way: Way): void {
    this.#ways.set(way.name, way);
    this.choice.offer(way.name);
  }

  remove(name: WayName): Way | undefined {
    const way = this.#ways.get(name);
    this.#ways.delete(name);
    this.choice.withdraw(name);
    return way;
  }

  get all(): readonly Way[] {
    return [...this.#ways.values()];
  }

  get(name: WayName): Way | undefined {
    return this.#ways.get(name);
  }

  has(name: WayName): boolean {
    return this.#ways.has(name);
  }

  /** Any way: all of them hold the same model. */
  get any(): Way {
    const [way] = this.#ways.values();
    if (!way) throw new Error("no way is ready");
    return way;
  }

  /** The way for a step of so many rows, and whether it has to be timed to its end. */
  pick(rows: number): { way: Way; trial: boolean } {
    const { name, trial } = this.choice.pick(rows);
    return { way: this.#ways.get(name) ?? this.any, trial };
  }

  /** Begins a run. */
  async begin(request: string, images: number): Promise<Seated> {
    const { any } = this;
    const { rows } = JSON.parse(await any.watch.guard(() => any.model.plan(request))) as { rows: number };
    const { way } = this.pick(rows);
    way.check(rows, images);
    return { way, rows, run: await way.watch.guard(() => way.model.sample(request)) };
  }

  /** What a run has come to, where its values are numbers and can be had; else undefined. */
  async state({ run, way }: Seated): Promise<RunState | undefined> {
    const { step } = run;
    if (!run.state || !(await this.isFinite({ run, way }))) return undefined;
    const values = await way.watch.guard(() => run.state?.() ?? new Float32Array());
    return values.length > 0 ? { step, values } : undefined;
  }

  /** Whether a run's values have stayed in the range of its precision. */
  async isFinite({ run, way }: Pick<Seated, "run" | "way">): Promise<boolean> {
    if (way.precision !== "f16") return true;
    return way.watch.guard(() => run.isFinite?.() ?? true);
  }

  /** The run in another way, from `state` on, from its beginning without one; `from` is not to be used any more. */
  async move(from: Seated, to: Way, request: string, state: RunState | undefined): Promise<Seated> {
    // Its noise is keyed by seed and step: a run that begins again comes the same way.
    const moved = await to.watch.guard(() =>
      (state && to.model.resume?.(request, state.step, state.values)) ?? to.model.sample(request),
    );
    if (!from.way.watch.error) from.run.free();
    return { way: to, run: moved, rows: from.rows };
  }

  /** The run in 32 bits, whose values have left the range of 16, from the last `state` that was good. */
  async widen(from: Seated, request: string, state: RunState | undefined): Promise<Seated> {
    const reason = `values left the range of 16 bits before step ${from.run.step + 1}`;
    return this.move(from, await this.#wide(from.way, reason), request, state);
  }

  /** Makes the way in 32 bits ready, to be compared. */
  async offerWide(from: Way): Promise<void> {
    if (!this.has("webgpu f32")) await this.#wide(from, undefined);
  }

  /** The way in 32 bits, made once even if it is asked for twice. */
  #wide(from: Way, reason: string | undefined): Promise<Way> {
    const widening = (this.#widening ?? Promise.resolve(undefined)).then(() => this.#widen(from, reason));
    this.#widening = widening.catch(() => undefined);
    return widening;
  }
}
