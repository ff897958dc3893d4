import type { WasmModel } from "./boundary.js";
import type { Build, Builds } from "./builds.js";
import type { CrashWatch } from "./crash.js";
import { startDevice, type StartedDevice } from "./device.js";
import { downloadText } from "./download.js";
import { asFreeguideError, DisposedError, makeError, PoisonedError, toWire } from "./errors.js";
import { holdFiles, type HeldFiles } from "./files-at-hand.js";
import type { FromEngine, Loaded, ToEngine } from "./protocol.js";
import { Runs } from "./runs.js";
import { loadWeights } from "./weights.js";

/** How the engine answers. */
export type Post = (message: FromEngine, transfer?: Transferable[]) => void;

/**
 * One model beside its wasm instance: in a worker, or on the calling thread. It is driven by messages, answers each call
 * once, and after a crash of the instance answers nothing but `dead`.
 */
export class Engine {
  readonly #builds: Builds;
  readonly #post: Post;
  readonly #abort = new AbortController();
  #started: StartedDevice | undefined;
  #build: Build | undefined;
  #watch: CrashWatch | undefined;
  #model: WasmModel | undefined;
  #runs: Runs | undefined;
  #files: HeldFiles | undefined;
  #dead = false;

  constructor(builds: Builds, post: Post) {
    this.#builds = builds;
    this.#post = post;
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
          this.#ready().runs.add(message.id, message.request, message.preview);
        } catch (thrown) {
          this.#fail(message.id, thrown);
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
    if (this.#model) this.#die(this.#watch?.error ?? new PoisonedError(`the runtime crashed: ${message}`));
  }

  /** Stops everything and gives the memory back. Nothing is answered afterwards. */
  close(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#abort.abort(new DisposedError());
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

  async #load({ id, url, files, device: option, cache }: Extract<ToEngine, { type: "load" }>): Promise<Loaded> {
    const { signal } = this.#abort;
    this.#files = files && holdFiles(files);
    const base = this.#files?.base ?? new URL(url);
    const onProgress = (progress: Extract<FromEngine, { type: "progress" }>["progress"]): void => {
      if (!this.#dead) this.#post({ type: "progress", id, progress });
    };
    const device = startDevice({
      option,
      builds: this.#builds,
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
    const { boundary, watch, refused } = started;
    let model;
    try {
      model = await watch.guard(() =>
        loadWeights({ boundary, device: started.device, base, configJson, useCache: cache, signal, onProgress }),
      );
    } catch (thrown) {
      if (!watch.error) started.device.free();
      throw thrown;
    }
    if (this.#dead) {
      model.free();
      started.device.free();
      throw new DisposedError();
    }
    this.#started = started;
    this.#model = model;
    this.#runs = new Runs(model, watch, {
      step: (run, step) => {
        if (!this.#dead) this.#post({ type: "step", id: run, step }, step.pixels ? [step.pixels.buffer as ArrayBuffer] : []);
      },
      fail: (run, error) => this.#fail(run, error),
    });
    const bytes = model.config.length;
    onProgress({ phase: "ready", loaded: bytes, total: bytes, file: undefined, cached: false });
    return { config: model.config, device: { kind: started.build.kind, name: started.device.name, refused } };
  }

  async #answer(id: number, work: () => Promise<unknown>): Promise<void> {
    try {
      const value = await work();
      if (!this.#dead) this.#post({ type: "result", id, value });
    } catch (thrown) {
      this.#fail(id, thrown);
    }
  }

  #fail(id: number, thrown: unknown): void {
    if (this.#dead) return;
    const error = asFreeguideError(thrown);
    if (error instanceof PoisonedError) this.#die(error);
    else this.#post({ type: "error", id, error: toWire(error) });
  }

  #die(error: PoisonedError): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#abort.abort(error);
    this.#build?.abandon();
    this.#post({ type: "dead", error: toWire(error) });
  }
}
