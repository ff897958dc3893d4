import type { Builds } from "./build.js";
import type { StartedDevice } from "./device.js";
import { lostError } from "./device.js";
import { downloadText } from "./download.js";
import { asFreeguideError, DisposedError, FreeguideError, makeError, PoisonedError, toWire } from "./errors.js";
import { addLocalFiles, type LocalFolder } from "./local-files.js";
import type { HelperWorker } from "./helper.js";
import { ModelHost, type GuideBundle } from "./model-host.js";
import { yieldToEvents } from "./platform.js";
import type { FromEngine, Loaded, LoadRequest, ToEngine, WireStep } from "./protocol.js";
import { Runs } from "./runs.js";
import type { LoadProgress } from "./types.js";

/** How the engine answers. */
export type Post = (message: FromEngine, transfer?: Transferable[]) => void;

/** How long an error of a GPU waits for the news that the GPU is gone, in milliseconds. */
const LOSS_TAKES = 500;

/**
 * One model beside its wasm instances: in a worker, or on the calling thread. It is driven by messages, answers each call
 * once, and after a crash of an instance or the loss of its device answers nothing but `dead`.
 */
export class Engine {
  readonly #builds: Builds;
  readonly #post: Post;
  readonly #openHelper: (() => HelperWorker) | undefined;
  readonly #abort = new AbortController();
  readonly #started: StartedDevice[] = [];
  #lost: Promise<FreeguideError> | undefined;
  #host: ModelHost | undefined;
  #runs: Runs | undefined;
  #files: LocalFolder | undefined;
  #dead = false;

  constructor(builds: Builds, post: Post, openHelper?: () => HelperWorker) {
    this.#builds = builds;
    this.#post = post;
    this.#openHelper = openHelper;
  }

  receive(message: ToEngine): void {
    if (this.#dead) return;
    switch (message.type) {
      case "load":
        void this.#answer(message.id, () => this.#load(message));
        break;
      case "plan":
        void this.#answer(message.id, async () => {
          const { model, watch } = this.#ready().host.ways.any;
          return JSON.parse(await watch.guard(() => model.plan(message.request))) as unknown;
        });
        break;
      case "sample":
        try {
          this.#ready().runs.add(message);
        } catch (thrown) {
          void this.#fail(message.id, thrown);
        }
        break;
      case "more":
        this.#runs?.more(message.id);
        break;
      case "cancel":
        this.#runs?.cancel(message.id);
        break;
    }
  }

  /** An uncaught error: whatever is under way in the instance will never settle. Calls into the CPU's throw where they are made. */
  crashed(message: string): void {
    const at = this.#started.find(({ build }) => build.kind === "webgpu") ?? this.#started[0];
    at?.watch.trip(message);
  }

  /** Stops everything and gives the memory back. Nothing is answered afterwards. */
  close(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#abort.abort(new DisposedError());
    this.#host?.closeHelpers();
    this.#files?.release();
    void this.#free();
  }

  /** A run in the middle of a step still uses the model. */
  async #free(): Promise<void> {
    await this.#runs?.cancelAll();
    this.#host?.close();
  }

  #ready(): { host: ModelHost; runs: Runs } {
    if (!this.#host || !this.#runs) throw makeError("input", "no model is loaded yet");
    return { host: this.#host, runs: this.#runs };
  }

  async #load({ id, url, files, guide, memoryCache, ...request }: { id: number } & LoadRequest): Promise<Loaded> {
    const { signal } = this.#abort;
    this.#files = files && addLocalFiles(files);
    const base = this.#files?.base ?? new URL(url);
    const say = (message: FromEngine): void => {
      if (!this.#dead) this.#post(message);
    };
    const progress = (of: LoadProgress): void => say({ type: "progress", id, progress: of });
    const host = await ModelHost.load({
      ...request,
      builds: this.#builds,
      base,
      memoryCache: new Map(memoryCache),
      signal,
      openHelper: this.#openHelper,
      config: downloadText(new URL("config.json", base), signal),
      guide: guide === undefined ? undefined : guideAt(new URL(guide), signal),
      events: {
        progress,
        preparing: (of) => say({ type: "preparing", progress: of }),
        changed: () => this.#host && say({ type: "device", device: this.#host.info }),
        cacheRefused: (sha256, blob) => say({ type: "cache-refused", sha256, blob }),
        crashed: (error) => void this.#end(error),
        started: (device) => this.#watchLoss(device),
      },
    });
    if (this.#dead) {
      host.close();
      throw new DisposedError();
    }
    this.#host = host;
    const events = {
      step: (run: number, step: WireStep) => {
        const transfer = [step.pixels, step.branches].flatMap((bytes) => (bytes ? [bytes.buffer as ArrayBuffer] : []));
        if (!this.#dead) this.#post({ type: "step", id: run, step }, transfer);
      },
      fail: (run: number, error: unknown) => void this.#fail(run, error),
      way: host.computes.bind(host),
    };
    this.#runs = new Runs({ ways: host.ways, events, sharing: host.sharing });
    const { config } = host.ways.any.model;
    progress({ phase: "ready", loaded: config.length, total: config.length, file: undefined, cached: false });
    // Once the load is answered.
    void yieldToEvents().then(() => host.prepare());
    return { config, device: host.info };
  }

  #watchLoss(device: StartedDevice): void {
    this.#started.push(device);
    this.#lost ??= device.gpu?.lost.then(({ reason, message }) => {
      const error = lostError(reason, message);
      this.#die(error, true);
      return error;
    });
  }

  async #answer(id: number, work: () => Promise<unknown>): Promise<void> {
    try {
      const value = await work();
      if (!this.#dead) this.#post({ type: "result", id, value });
    } catch (thrown) {
      await this.#fail(id, thrown);
    }
  }

  async #fail(id: number, thrown: unknown): Promise<void> {
    if (this.#dead) return;
    const error = asFreeguideError(thrown);
    if (error instanceof PoisonedError) return this.#end(error);
    if (error.code === "device") await this.#lossIsTold();
    if (!this.#dead) this.#post({ type: "error", id, error: toWire(error) });
  }

  /** A crash, unless the GPU went away, which makes the runtime crash as well. */
  async #end(error: PoisonedError): Promise<void> {
    await this.#lossIsTold();
    this.#die(error, false);
  }

  /** The runtime may stumble over a lost GPU before the browser says that it was lost. */
  async #lossIsTold(): Promise<void> {
    if (!this.#lost) return;
    await Promise.race([this.#lost, new Promise((resolve) => setTimeout(resolve, LOSS_TAKES))]);
  }

  #die(error: FreeguideError, lost: boolean): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#abort.abort(error);
    this.#host?.closeHelpers();
    for (const { build, watch, gpu } of this.#started) if (watch.error || (lost && gpu)) build.abandon();
    this.#post({ type: "dead", error: toWire(error), lost });
  }
}

/** The bundle that guides. That its config.json cannot be had is said once the model itself is there. */
function guideAt(base: URL, signal: AbortSignal): GuideBundle {
  const config = downloadText(new URL("config.json", base), signal);
  config.catch(() => {}); // awaited by the host
  return { base, config };
}
