import type { WasmModel, WasmRun } from "../boundary.js";
import type { StartedDevice } from "../device.js";
import { AbortedError, makeError, type FreeguideError } from "../errors.js";
import { checkBatch, type MemoryEstimate } from "../memory.js";
import type { ModelSession, SteppedRun } from "../model.js";
import type { Preview } from "../options.js";
import type { WireStep } from "../protocol.js";
import type { DeviceInfo } from "../types.js";

/** The memory that a model needs, and what the platform gives, in bytes. */
export interface Room {
  readonly memory: MemoryEstimate;
  readonly platform: number;
}

/**
 * A model whose runs are computed by whoever asks for their steps. Nothing goes on between two calls, and no run waits for
 * another: what a platform stops together with a request stops nothing of other requests.
 */
export class DirectSession implements ModelSession {
  readonly device: DeviceInfo;
  readonly #started: StartedDevice;
  readonly #model: WasmModel;
  readonly #runs = new Set<DirectRun>();
  readonly #room: Room;
  #ended: FreeguideError | undefined;

  constructor(started: StartedDevice, model: WasmModel, room: Room) {
    this.#started = started;
    this.#model = model;
    this.#room = room;
    const { name } = started.device;
    this.device = { kind: "cpu", why: "the only runtime here", preparing: false, name, refused: [], precision: "f32", thread: "caller" };
  }

  async plan<T>(request: string): Promise<T> {
    this.check();
    return JSON.parse(await this.#started.watch.guard(() => this.#model.plan(request))) as T;
  }

  run(request: string, preview: Preview, signal: AbortSignal | undefined): SteppedRun {
    this.check();
    const make = (): Promise<WasmRun> =>
      this.#started.watch.guard(() => {
        const { rows } = JSON.parse(this.#model.plan(request)) as { rows: number };
        const { classes } = JSON.parse(request) as { classes: unknown[] };
        checkBatch(this.#room.memory, { rows, images: classes.length }, undefined, this.#room.platform);
        return this.#model.sample(request);
      });
    const run = new DirectRun({ session: this, make, watch: this.#started.watch, preview, signal, closed: () => this.#runs.delete(run) });
    this.#runs.add(run);
    return run;
  }

  /** Throws if the session has ended. */
  check(): void {
    if (this.#ended) throw makeError(this.#ended.code, this.#ended.message, { cause: this.#ended });
  }

  end(reason: FreeguideError): void {
    if (this.#ended) return;
    this.#ended = reason;
    for (const run of this.#runs) run.close();
    if (!this.#started.watch.error) this.#model.free();
    this.#started.release();
  }
}

interface DirectRunOptions {
  readonly session: DirectSession;
  readonly watch: StartedDevice["watch"];
  readonly preview: Preview;
  readonly signal: AbortSignal | undefined;
  make(): Promise<WasmRun>;
  closed(): void;
}

class DirectRun implements SteppedRun {
  readonly #options: DirectRunOptions;
  #run: WasmRun | undefined;

  constructor(options: DirectRunOptions) {
    this.#options = options;
  }

  async next(): Promise<WireStep> {
    const { session, watch, preview, signal, make } = this.#options;
    // Between two steps others have their turn.
    if (this.#run) await new Promise<void>((resolve) => setTimeout(resolve, 0));
    if (signal?.aborted) throw new AbortedError("sampling was aborted", { cause: signal.reason });
    session.check();
    const run = (this.#run ??= await make());
    const begun = performance.now();
    await watch.guard(() => run.advance());
    const { step, steps, nfe } = run;
    const last = step >= steps;
    const looked = last || preview !== "none";
    const kind = !last && preview === "latent" ? "latent" : "denoised";
    const pixels = looked ? await watch.guard(() => run.images(kind)) : null;
    const branches = looked && preview === "branches" ? await watch.guard(() => run.branches()) : null;
    return { step, steps, nfe, milliseconds: performance.now() - begun, pixels, branches };
  }

  close(): void {
    const run = this.#run;
    this.#run = undefined;
    this.#options.closed();
    if (run && !this.#options.watch.error) run.free();
  }
}
