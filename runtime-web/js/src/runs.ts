import type { WasmRun } from "./boundary.js";
import type { HelperLink } from "./helper.js";
import type { Preview } from "./options.js";
import { yieldToEvents } from "./platform.js";
import { STEPS_AHEAD, type ToEngine, type WireStep } from "./protocol.js";
import type { Sharing } from "./sharing.js";
import type { Way } from "./way.js";
import type { RunState, Seated, Ways } from "./ways.js";

/** Receives the steps and errors of runs. */
export interface RunEvents {
  step(id: number, step: WireStep): void;
  fail(id: number, error: unknown): void;
  /** A step of so many rows is about to be computed in that way. */
  way(way: Way, rows: number): void;
}

/** What runs need besides a model. */
export interface RunsOptions {
  readonly ways: Ways;
  readonly events: RunEvents;
  /** Of the CPU. */
  readonly sharing?: Sharing | undefined;
  /** In milliseconds. */
  readonly now?: (() => number) | undefined;
}

interface Job {
  readonly id: number;
  readonly request: string;
  readonly preview: Preview;
  /** The last step that has been shown, if by another engine or before the run went back. */
  shown: number;
  seat: Seated | undefined;
  /** In 16 bits: a state whose values were good. */
  good: RunState | undefined;
  /** Steps that may be computed before the consumer takes one. */
  credit: number;
  cancelled: boolean;
}

/** After so many steps in 16 bits whose values are good their outcome is read, to go back to. */
const GOOD_EVERY = 4;
/** A run in 16 bits that would go on for so long, in milliseconds, is worth trying 32. */
const WORTH = 1500;

/**
 * Computes the steps of one model's runs, one step at a time, the oldest run first. A run whose consumer does not take its
 * steps yields to the next run, so that a run that is started inside another run's loop does not wait forever.
 */
export class Runs {
  readonly #ways: Ways;
  readonly #events: RunEvents;
  readonly #sharing: Sharing | undefined;
  readonly #now: () => number;
  readonly #jobs: Job[] = [];
  #busy = false;

  constructor({ ways, events, sharing, now = () => performance.now() }: RunsOptions) {
    this.#ways = ways;
    this.#events = events;
    this.#sharing = sharing;
    this.#now = now;
  }

  add({ id, request, preview, skip }: Omit<Extract<ToEngine, { type: "sample" }>, "type">): void {
    this.#jobs.push({ id, request, preview, shown: skip, seat: undefined, good: undefined, credit: STEPS_AHEAD, cancelled: false });
    void this.#pump();
  }

  /** The request that is being drawn. */
  get request(): string | undefined {
    return this.#jobs[0]?.request;
  }

  /** The consumer has taken a step. */
  more(id: number): void {
    const job = this.#jobs.find((candidate) => candidate.id === id);
    if (!job) return;
    job.credit += 1;
    void this.#pump();
  }

  /** Ends a run after its current step. */
  cancel(id: number): void {
    const job = this.#jobs.find((candidate) => candidate.id === id);
    if (!job) return;
    job.cancelled = true;
    void this.#pump();
  }

  /** Ends every run; resolves when the runtime is no longer in use. */
  async cancelAll(): Promise<void> {
    for (const job of this.#jobs) job.cancelled = true;
    while (this.#busy) await yieldToEvents();
    await this.#pump();
  }

  async #pump(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (;;) {
        // Runs may only be freed between steps, when no call into the runtime is active.
        for (const job of this.#jobs.filter(({ cancelled }) => cancelled)) this.#drop(job);
        const job = this.#jobs.find(({ credit }) => credit > 0);
        if (!job) return;
        await this.#advance(job);
        await yieldToEvents();
      }
    } finally {
      this.#busy = false;
    }
  }

  #drop(job: Job): void {
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
    if (job.seat && !job.seat.way.watch.error) job.seat.run.free();
  }

  async #advance(job: Job): Promise<void> {
    try {
      await this.#step(job);
    } catch (thrown) {
      this.#drop(job);
      this.#events.fail(job.id, thrown);
    }
  }

  /** Checks what a run in 16 bits has come to; where it is nothing, goes back to what was good and on in 32 bits. */
  async #isGood(job: Job, seat: Seated): Promise<boolean> {
    if (seat.way.precision !== "f16") return true;
    if (!(await this.#ways.isFinite(seat))) {
      job.seat = await this.#ways.widen(seat, job.request, job.good);
      return false;
    }
    const { step, steps } = seat.run;
    if (step < steps && step >= (job.good?.step ?? 0) + GOOD_EVERY) job.good = await this.#ways.state(seat);
    return true;
  }

  /** The run in the way that is due, from what it has come to. */
  async #move(job: Job, seat: Seated, way: Way): Promise<Seated> {
    const { run } = seat;
    // At its beginning it is made anew, which needs nothing of a device.
    const state = run.step === 0 ? undefined : ((await this.#ways.state(seat)) ?? job.good);
    job.good = state;
    return (job.seat = await this.#ways.move(seat, way, job.request, state));
  }

  async #step(job: Job): Promise<void> {
    const ways = this.#ways;
    const { classes, tolerance } = JSON.parse(job.request) as { classes: unknown[]; tolerance?: number };
    const images = classes.length;
    let seat = (job.seat ??= await ways.begin(job.request, images));
    const { rows } = seat;
    const { way, trial } = ways.pick(rows);
    if (way !== seat.way) seat = await this.#move(job, seat, way);
    const { run } = seat;
    this.#events.way(way, rows);
    const begun = this.#now();
    await this.#compute(run, way);
    if (tolerance !== undefined) await way.watch.guard(() => run.settle());
    const { step, steps, nfe } = run;
    const last = step >= steps;
    // The noise is keyed by seed and step: a run that has gone back comes the same way again.
    const again = step <= job.shown && !last;
    const looked = !again && !job.cancelled && (last || job.preview !== "none");
    let pixels: Uint8Array | null = null;
    let branches: Uint8Array | null = null;
    // A GPU has only queued its work until somebody asks for the outcome.
    if (looked || (trial && way.kind === "webgpu")) {
      pixels = await way.watch.guard(() => run.images(!last && job.preview === "latent" ? "latent" : "denoised"));
      if (!(await this.#isGood(job, seat))) return;
      if (!looked) pixels = null;
      else if (job.preview === "branches") branches = await way.watch.guard(() => run.branches());
    }
    const milliseconds = this.#now() - begun;
    if (looked || trial || way.kind === "cpu") this.#took(way, rows, milliseconds, steps - step);
    if (again) return;
    job.shown = step;
    job.credit -= 1;
    if (!job.cancelled) this.#events.step(job.id, { step, steps, nfe, milliseconds, pixels, branches });
    if (last) this.#drop(job);
  }

  #took(way: Way, rows: number, milliseconds: number, stepsLeft: number): void {
    const { choice } = this.#ways;
    choice.took(rows, way.name, milliseconds);
    const { name, trial } = choice.pick(rows);
    // Once 16 bits have been found to be the faster way.
    if (trial || name !== "webgpu f16" || way.name !== name || !choice.isTimed(rows, name)) return;
    if (choice.best(rows, name) * stepsLeft >= WORTH) {
      // Another precision is an offer only: without it the run continues.
      void this.#ways.offerWide(way).catch(() => {});
    }
  }

  /** One step, whose evaluations may be shared on the CPU. */
  async #compute(run: WasmRun, way: Way): Promise<void> {
    const sharing = this.#sharing;
    if (!sharing || way.kind !== "cpu") return way.watch.guard(() => run.advance());
    for (;;) {
      const { rows, step, steps } = run;
      const work = (helpers: readonly HelperLink[]): Promise<boolean> =>
        helpers.length > 0 ? this.#evaluateWith(helpers, run, way) : way.watch.guard(() => run.evaluate());
      if (await sharing.evaluate(rows, steps - step, work)) return;
    }
  }

  /** Computes one evaluation; each helper computes some of the rows at the same time. */
  async #evaluateWith(helpers: readonly HelperLink[], run: WasmRun, way: Way): Promise<boolean> {
    const parts = await way.watch.guard(() => run.divide(helpers.length + 1));
    const answers = parts.map((part, at) => {
      const { z, logSnr, classes, guidance, nextLogSnr, joints } = part;
      part.free();
      const theirs = helpers[at]?.predict({ z, logSnr, classes, guidance, nextLogSnr, joints }) ?? Promise.reject(new Error("no helper"));
      theirs.catch(() => {}); // awaited below
      return () => theirs.catch(() => way.watch.guard(() => way.model.predict(z, logSnr, classes, guidance, nextLogSnr, joints)));
    });
    if (answers.length === 0) return way.watch.guard(() => run.evaluate());
    await way.watch.guard(() => run.compute());
    const rows: Float32Array[] = [];
    for (const answer of answers) rows.push(await answer());
    return way.watch.guard(() => run.join(joined(rows)));
  }
}

/** Arrays after one another. */
function joined(arrays: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(arrays.reduce((length, array) => length + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}
