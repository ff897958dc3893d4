import type { WasmModel } from "./boundary.js";
import type { Build, Builds } from "./builds.js";
import type { CrashWatch } from "./crash.js";
import { startDevice, type StartedDevice } from "./device.js";
import { downloadText } from "./download.js";
import { asFreeguideError, DeviceError, DisposedError, FreeguideError, makeError, PoisonedError, toWire } from "./errors.js";
import { addLocalFiles, type LocalFolder } from "./local-files.js";
import type { GpuDevice } from "./gpu.js";
import { checkBatch } from "./memory.js";
import { HelperLink, type HelperWorker } from "./helper.js";
import type { FromEngine, Loaded, LoadRequest, ToEngine } from "./protocol.js";
import { Runs } from "./runs.js";
import { Sharing } from "./sharing.js";
import { cachedFiles, loadWeights } from "./weights.js";

/** How the engine answers. */
export type Post = (message: FromEngine, transfer?: Transferable[]) => void;

/** How long an error of a GPU waits for the news that the GPU is gone, in milliseconds. */
const LOSS_TAKES = 500;
/** Weights beyond this are loaded once only: a helper would hold them a second time. */
const HELPED_BYTES = 128 << 20;

/**
 * One model beside its wasm instance: in a worker, or on the calling thread. It is driven by messages, answers each call
 * once, and after a crash of the instance or the loss of its device answers nothing but `dead`.
 */
export class Engine {
  readonly #builds: Builds;
  readonly #post: Post;
  readonly #openHelper: (() => HelperWorker) | undefined;
  readonly #abort = new AbortController();
  #started: StartedDevice | undefined;
  #build: Build | undefined;
  #watch: CrashWatch | undefined;
  #lost: Promise<DeviceError> | undefined;
  #model: WasmModel | undefined;
  #runs: Runs | undefined;
  #sharing: Sharing | undefined;
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
          const { model, watch } = this.#ready();
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

  /** An uncaught error: whatever is under way in the instance will never settle. */
  crashed(message: string): void {
    this.#watch?.trip(message);
    // While a device is being started the watch alone is told: `auto` goes on to the next device.
    if (this.#model) void this.#end(this.#watch?.error ?? new PoisonedError(`the runtime crashed: ${message}`));
  }

  /** Stops everything and gives the memory back. Nothing is answered afterwards. */
  close(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#abort.abort(new DisposedError());
    this.#sharing?.close();
    this.#files?.release();
    void this.#free();
  }

  /** A run in the middle of a step still uses the model, and a crashed instance must not be called at all. */
  async #free(): Promise<void> {
    await this.#runs?.cancelAll();
    if (!this.#started || this.#started.watch.error) return;
    this.#model?.free();
    this.#started.device.free();
  }

  #ready(): { model: WasmModel; runs: Runs; watch: CrashWatch } {
    if (!this.#model || !this.#runs || !this.#watch) throw makeError("input", "no model is loaded yet");
    return { model: this.#model, runs: this.#runs, watch: this.#watch };
  }

  async #load({ id, url, files, device: option, cache, memoryCache, threads, half, gpuDevice }: { id: number } & LoadRequest): Promise<Loaded> {
    const { signal } = this.#abort;
    this.#files = files && addLocalFiles(files);
    const base = this.#files?.base ?? new URL(url);
    const inMemory = new Map(memoryCache);
    const onProgress = (progress: Extract<FromEngine, { type: "progress" }>["progress"]): void => {
      if (!this.#dead) this.#post({ type: "progress", id, progress });
    };
    const device = startDevice({
      option,
      builds: this.#builds,
      gpuDevice: gpuDevice as GpuDevice | undefined,
      signal,
      onProgress,
      onWatch: (watch) => {
        this.#watch = watch;
      },
    });
    device.catch(() => {}); // awaited below
    let configJson;
    try {
      configJson = await downloadText(new URL("config.json", base), signal);
    } catch (thrown) {
      // A missing config.json is the more useful complaint and does not wait for the device.
      device.then((started) => started.device.free()).catch(() => {});
      throw thrown;
    }
    const started = await device;
    this.#build = started.build;
    this.#watchLoss(started);
    const { boundary, watch, refused } = started;
    const openHelper = threads === 1 ? undefined : this.#helperFor(started, configJson);
    const helper = threads === 2 ? openHelper?.() : undefined;
    let loaded;
    try {
      loaded = await watch.guard(() =>
        loadWeights({
          boundary,
          device: started.device,
          base,
          configJson,
          half,
          gpu: started.gpu,
          useCache: cache,
          memoryCache: inMemory,
          signal,
          onProgress,
          onRefused: (sha256, blob) => {
            inMemory.set(sha256, blob);
            if (!this.#dead) this.#post({ type: "cache-refused", sha256, blob });
          },
          mirror: helper?.mirror,
        }),
      );
    } catch (thrown) {
      helper?.close();
      if (!watch.error) started.device.free();
      throw thrown;
    }
    const { model, memory } = loaded;
    if (this.#dead) {
      helper?.close();
      model.free();
      started.device.free();
      throw new DisposedError();
    }
    helper?.finish();
    if (openHelper) {
      const startHelper = async (): Promise<HelperLink | undefined> => {
        const files = await cachedFiles({ base, configJson, useCache: cache, memoryCache: inMemory });
        const link = files && openHelper();
        if (files) link?.give(files);
        return link;
      };
      this.#sharing = new Sharing(threads === 2 ? { always: true, helper } : { always: false, startHelper });
    }
    this.#started = started;
    this.#model = model;
    const events = {
      step: (run: number, step: Extract<FromEngine, { type: "step" }>["step"]) => {
        const transfer = [step.pixels, step.branches].flatMap((bytes) => (bytes ? [bytes.buffer as ArrayBuffer] : []));
        if (!this.#dead) this.#post({ type: "step", id: run, step }, transfer);
      },
      fail: (run: number, error: unknown) => void this.#fail(run, error),
    };
    const check = (rows: number, images: number): void => checkBatch(memory, { rows, images }, started.gpu);
    this.#runs = new Runs(model, watch, events, check, this.#sharing);
    const bytes = model.config.length;
    onProgress({ phase: "ready", loaded: bytes, total: bytes, file: undefined, cached: false });
    return { config: model.config, device: { kind: started.build.kind, name: started.device.name, precision: model.half ? "f16" : "f32", refused } };
  }

  /** Starts a second worker for the CPU; undefined where there is none, or the model is too large for two. */
  #helperFor({ build }: StartedDevice, configJson: string): (() => HelperLink | undefined) | undefined {
    const { module } = build;
    const open = this.#openHelper;
    if (build.kind !== "cpu" || !module || !open || weightBytes(configJson) > HELPED_BYTES) return undefined;
    return () => {
      try {
        return new HelperLink(open(), module, configJson);
      } catch {
        return undefined; // a page's policy may say so
      }
    };
  }

  #watchLoss({ gpu, build }: StartedDevice): void {
    this.#lost = gpu?.lost.then(({ reason, message }) => {
      const error = new DeviceError(`the GPU was lost: ${message || reason || "no reason was given"}`, { detail: "lost" });
      build.abandon();
      this.#watch?.trip("the GPU was lost");
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
    this.#sharing?.close();
    this.#build?.abandon();
    this.#post({ type: "dead", error: toWire(error), lost });
  }
}

/** Bytes of a bundle's weights; 0 where its config.json is none, of which the loader complains. */
function weightBytes(configJson: string): number {
  try {
    const { weights } = JSON.parse(configJson) as { weights: { bytes: number }[] };
    return weights.reduce((sum, { bytes }) => sum + bytes, 0);
  } catch {
    return 0;
  }
}
