import type { WasmModel, WasmRun } from "./boundary.js";
import type { CrashWatch } from "./crash.js";
import type { Preview } from "./options.js";
import { yieldToEvents } from "./platform.js";
import type { HelperLink } from "./helper.js";
import type { Sharing } from "./sharing.js";
import { STEPS_AHEAD, type ToEngine, type WireStep } from "./protocol.js";

/** What a run tells about itself. */
export interface RunEvents {
  step(id: number, step: WireStep): void;
  fail(id: number, error: unknown): void;
}

interface Job {
  readonly id: number;
  readonly request: string;
  readonly preview: Preview;
  /** Steps that have been shown before the device was lost. */
  readonly skip: number;
  run: WasmRun | undefined;
  /** Steps that the consumer has room for. */
  credit: number;
  cancelled: boolean;
}

/**
 * Runs the steps of one model, one at a time, oldest run first; the others queue. A run whose consumer does not take its
 * steps gives way to the next one, so that a run started in the middle of another's loop does not wait forever.
 */
export class Runs {
  readonly #model: WasmModel;
  readonly #watch: CrashWatch;
  readonly #events: RunEvents;
  readonly #check: (rows: number, images: number) => void;
  readonly #sharing: Sharing | undefined;
  readonly #jobs: Job[] = [];
  #busy = false;

  /** `check` throws where the rows of one evaluation, of a run of so many images, do not fit into memory. */
  constructor(
    model: WasmModel,
    watch: CrashWatch,
    events: RunEvents,
    check: (rows: number, images: number) => void,
    sharing?: Sharing,
  ) {
    this.#model = model;
    this.#watch = watch;
    this.#events = events;
    this.#check = check;
    this.#sharing = sharing;
  }

  add({ id, request, preview, skip }: Omit<Extract<ToEngine, { type: "sample" }>, "type">): void {
    this.#jobs.push({ id, request, preview, skip, run: undefined, credit: STEPS_AHEAD, cancelled: false });
    void this.#pump();
  }

  /** The consumer took a step. */
  more(id: number): void {
    const job = this.#jobs.find((candidate) => candidate.id === id);
    if (!job) return;
    job.credit += 1;
    void this.#pump();
  }

  /** Ends a run after the step it is in. */
  cancel(id: number): void {
    const job = this.#jobs.find((candidate) => candidate.id === id);
    if (!job) return;
    job.cancelled = true;
    void this.#pump();
  }

  /** Ends every run; resolves once the runtime is not in use any more. */
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
        // Only here, between steps, is no call into the runtime under way, so that a run may be freed.
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
    if (!this.#watch.error) job.run?.free();
  }

  async #advance(job: Job): Promise<void> {
    try {
      const run = (job.run ??= await this.#begin(job.request));
      const begun = performance.now();
      await this.#step(run);
      const { step, steps, nfe } = run;
      const last = step >= steps;
      if (step <= job.skip && !last) return; // the noise is keyed by seed and step: the run comes the same way again
      const { preview, cancelled } = job;
      let pixels: Uint8Array | null = null;
      let branches: Uint8Array | null = null;
      if (!cancelled && (last || preview !== "none")) {
        pixels = await this.#watch.guard(() => run.images(!last && preview === "latent" ? "latent" : "denoised"));
        if (preview === "branches") branches = await this.#watch.guard(() => run.sides());
      }
      job.credit -= 1;
      if (!job.cancelled) {
        this.#events.step(job.id, { step, steps, nfe, milliseconds: performance.now() - begun, pixels, branches });
      }
      if (last) this.#drop(job);
    } catch (thrown) {
      this.#drop(job);
      this.#events.fail(job.id, thrown);
    }
  }

  async #begin(request: string): Promise<WasmRun> {
    const { rows } = JSON.parse(await this.#watch.guard(() => this.#model.plan(request))) as { rows: number };
    const { classes } = JSON.parse(request) as { classes: unknown[] };
    this.#check(rows, classes.length);
    return this.#watch.guard(() => this.#model.sample(request));
  }

  /** One step, whose evaluations may be shared. */
  async #step(run: WasmRun): Promise<void> {
    const sharing = this.#sharing;
    if (!sharing) return this.#watch.guard(() => run.advance());
    for (;;) {
      const { rows, step, steps } = run;
      const work = (helper?: HelperLink): Promise<boolean> =>
        helper ? this.#evaluateWith(helper, run) : this.#watch.guard(() => run.evaluate());
      if (await sharing.evaluate(rows, steps - step, work)) return;
    }
  }

  /** One evaluation, half of whose rows the helper computes at the same time. */
  async #evaluateWith(helper: HelperLink, run: WasmRun): Promise<boolean> {
    const part = await this.#watch.guard(() => run.divide());
    if (!part) return this.#watch.guard(() => run.evaluate());
    const { z, logSnr, classes } = part;
    part.free();
    const theirs = helper.predict({ z, logSnr, classes });
    theirs.catch(() => {}); // awaited below
    await this.#watch.guard(() => run.compute());
    const answer = await theirs.catch(() => this.#watch.guard(() => this.#model.predict(z, logSnr, classes)));
    return this.#watch.guard(() => run.join(answer));
  }
}
