import type { Builds } from "./build.js";
import { Choice, gpuRuledOut, type StepTimes } from "./choice.js";
import { startCpu, startGpu, lookForAdapter, type DeviceRequest, type FoundAdapter, type StartedDevice } from "./device.js";
import { asFreeguideError, DisposedError, type PoisonedError } from "./errors.js";
import type { Gpu, GpuDevice } from "./gpu.js";
import { HelperLink, type HelperWorker } from "./helper.js";
import { together } from "./memory.js";
import { prove } from "./proof.js";
import type { LoadRequest } from "./protocol.js";
import { recallTimes, rememberTimes, timesKey } from "./remembered.js";
import { Sharing } from "./sharing.js";
import type { DeviceInfo, LoadProgress, RefusedDevice } from "./types.js";
import { newWay, type Way } from "./way.js";
import { Ways } from "./ways.js";
import { Collector, cachedFiles, loadFiles, loadWeights, weightBytes, type LoadedWeights, type WeightsFile } from "./weights.js";

/** Weights beyond this are loaded once only: each helper, or a second device, would hold them once more. */
const TWICE_BYTES = 128 << 20;

/** Who hears of what happens to a model. */
export interface HostEvents {
  /** Of the load. */
  progress(progress: LoadProgress): void;
  /** Of a GPU that is prepared beside the loaded model. */
  preparing(progress: LoadProgress): void;
  /** What `info` says has changed. */
  changed(): void;
  /** The cache refused a verified file. */
  cacheRefused(sha256: string, blob: Blob): void;
  /** An instance that computes the model has crashed. */
  crashed(error: PoisonedError): void;
  /** A device that computes the model, of WebGPU. */
  started(device: StartedDevice): void;
}

/** The other workers for the CPU. */
interface Helpers {
  readonly openHelper: (() => HelperLink | undefined) | undefined;
  readonly most: number;
  readonly always: boolean;
}

/** A bundle that guides another. */
export interface GuideBundle {
  readonly base: URL;
  readonly config: Promise<string>;
}

/** What a model is loaded with. */
export interface HostRequest extends Omit<LoadRequest, "guide" | "memoryCache" | "url"> {
  readonly builds: Builds;
  readonly base: URL;
  readonly memoryCache: Map<string, Blob>;
  readonly signal: AbortSignal;
  readonly openHelper: (() => HelperWorker) | undefined;
  readonly config: Promise<string>;
  readonly guide: GuideBundle | undefined;
  readonly events: HostEvents;
}

/** A loaded model on the devices that compute it: the one that it was loaded for, and a GPU once that is prepared. */
export class ModelHost {
  readonly #request: HostRequest;
  readonly #deviceRequest: DeviceRequest;
  readonly #refused: RefusedDevice[] = [];
  readonly #devices: StartedDevice[] = [];
  #choice = new Choice({ onDecided: () => this.#decided() });
  #ways = this.#newWays();
  #key: string | undefined;
  #sharing: Sharing | undefined;
  #names = new Map<string, string>();
  #preparing = false;
  /** Makes a GPU ready that was found, until that has begun. */
  #later: (() => Promise<void>) | undefined;
  /** Rows beyond which nothing was measured, of a GPU that was slower up to there. */
  #measured = Infinity;
  #now: { way: Way; rows: number } | undefined;
  #closed = false;

  private constructor(request: HostRequest) {
    this.#request = request;
    const { builds, gpuDevice, runtime, signal, events } = request;
    const onProgress = (progress: LoadProgress): void => {
      if (!this.#preparing) events.progress(progress);
      // Whatever it is that takes its time, the model is there already.
      else events.preparing(progress.phase === "gpu" ? progress : { ...progress, phase: "gpu", loaded: 0, total: undefined });
    };
    this.#deviceRequest = { builds, gpuDevice: gpuDevice as GpuDevice | undefined, runtime, signal, onProgress };
  }

  /** Loads a model. Rejects with what is wrong with the bundle, or with the last device there was. */
  static async load(request: HostRequest): Promise<ModelHost> {
    const host = new ModelHost(request);
    try {
      await host.#load();
    } catch (thrown) {
      host.#release();
      throw thrown;
    }
    if (host.#closed) throw new DisposedError();
    return host;
  }

  get ways(): Ways {
    return this.#ways;
  }

  get sharing(): Sharing | undefined {
    return this.#sharing;
  }

  /** Where the model runs. */
  get info(): Omit<DeviceInfo, "thread"> {
    const { kind, precision } = this.#now?.way ?? this.#ways.any;
    const name = this.#names.get(kind) ?? "";
    const preparing = this.#preparing || (this.#later !== undefined && this.#measured === Infinity);
    return { kind, name, why: this.#why(kind, preparing), precision, preparing, refused: [...this.#refused] };
  }

  /** A step of so many rows is about to be computed in that way. */
  computes(way: Way, rows: number): void {
    const before = this.#now;
    this.#now = { way, rows };
    if (before && before.way !== way) this.#request.events.changed();
    if (!before && way !== this.#ways.any) this.#request.events.changed();
    // What was slower for few images may be faster for many.
    if (rows > this.#measured) void this.#later?.();
  }

  /** Begins to make a GPU ready beside the loaded model, where one was found that may be worth it. */
  prepare(): void {
    if (this.#measured === Infinity) void this.#later?.();
  }

  /** Gives all memory back; nothing may be computed any more. */
  close(): void {
    this.#closed = true;
    this.#sharing?.close();
    this.#release();
  }

  /** What ends helpers at once, while a step may still be under way. */
  closeHelpers(): void {
    this.#closed = true;
    this.#sharing?.close();
  }

  #release(): void {
    for (const { model, watch } of this.#ways.all) if (!watch.error) model.free();
    for (const way of this.#ways.all) this.#ways.remove(way.name);
    for (const device of this.#devices.splice(0)) device.release();
  }

  #why(kind: DeviceInfo["kind"], preparing: boolean): string {
    const { device: option } = this.#request;
    const measured = this.#now && this.#choice.why(this.#now.rows);
    if (measured) return measured;
    if (option !== "auto") return `it was asked for`;
    if (kind === "webgpu") return "there is a GPU that passed the self-test";
    return preparing ? "it draws while the GPU is prepared" : (this.#refused[0]?.reason ?? "no other device is ready");
  }

  async #load(): Promise<void> {
    const { device: option, config, gpuDevice, gpu } = this.#request;
    if (option === "webgpu" || gpuDevice !== undefined) {
      const device = lookForAdapter(gpu as Gpu | undefined, false).then((found) => startGpu(this.#deviceRequest, found));
      return this.#loadFirst(device, await unlessMissing(config, device));
    }
    const device = startCpu(this.#deviceRequest);
    const configJson = await unlessMissing(config, device);
    const found = option === "auto" ? await this.#lookForGpu() : undefined;
    if (!found) return this.#loadFirst(device, configJson);
    if (weightBytes(configJson) > TWICE_BYTES) return this.#loadLarge(device, found, configJson);
    const slower = await this.#recall(found, configJson);
    const collector = slower === undefined ? new Collector() : undefined;
    const cpu = await device.catch((thrown: unknown) => this.#refuseFor(thrown, "cpu"));
    if (!cpu) return this.#loadFirst(startGpu(this.#deviceRequest, found), configJson);
    await this.#loadFirst(Promise.resolve(cpu), configJson, collector);
    if (slower !== undefined) this.#refused.push({ kind: "webgpu", code: "slower", reason: slower });
    this.#later = () => {
      this.#later = undefined;
      return this.#prepareGpu(found, configJson, collector?.take());
    };
  }

  async #lookForGpu(): Promise<FoundAdapter | undefined> {
    try {
      return await lookForAdapter(this.#request.gpu as Gpu | undefined, true);
    } catch (thrown) {
      this.#refuseFor(thrown);
      return undefined;
    }
  }

  /** Why the GPU is not worth it, by what was measured before; undefined where it may be. */
  async #recall({ adapter }: FoundAdapter, configJson: string): Promise<string | undefined> {
    let remembered: StepTimes = {};
    // What is remembered is of models that draw alone.
    if (this.#request.guide) return undefined;
    try {
      this.#key = timesKey(adapter, configJson);
      remembered = await recallTimes(this.#key);
    } catch {
      return undefined; // a config.json that is none, of which the loader complains
    }
    this.#choice = new Choice({ remembered, onDecided: () => this.#decided() });
    this.#ways = this.#newWays();
    const slower = gpuRuledOut(remembered);
    if (slower !== undefined) this.#measured = Math.max(...Object.keys(remembered).map(Number));
    return slower;
  }

  #newWays(): Ways {
    return new Ways(this.#choice, (from, reason) => this.#widen(from, reason));
  }

  /** A model that shall not be in memory twice: on the GPU where that goes well, else on the CPU. */
  async #loadLarge(cpu: Promise<StartedDevice>, found: FoundAdapter, configJson: string): Promise<void> {
    cpu.catch(() => {}); // awaited below, if it is needed
    try {
      const gpu = await startGpu(this.#deviceRequest, found);
      await this.#loadFirst(Promise.resolve(gpu), configJson);
      void cpu.then((unused) => unused.release()).catch(() => {});
    } catch (thrown) {
      if (asFreeguideError(thrown).code === "bundle" || this.#request.signal.aborted) throw thrown;
      this.#refuseFor(thrown);
      await this.#loadFirst(cpu, configJson);
    }
  }

  /** Loads the model from where it lies onto the first device. */
  async #loadFirst(starting: Promise<StartedDevice>, configJson: string, collector?: Collector): Promise<void> {
    const { base, half, cache: useCache, memoryCache, signal, events } = this.#request;
    const started = await starting;
    const { boundary, device, gpu, watch } = started;
    // A GPU that was not asked for is given up if it goes away before it has proven itself.
    const isGpu = started.build.kind === "webgpu";
    const asked = !isGpu || this.#request.device !== "auto" || this.#request.gpuDevice !== undefined;
    if (asked) this.#adopt(started);
    const { openHelper, most, always } = this.#helpersFor(started, configJson);
    const opened = always ? Array.from({ length: most }, () => openHelper?.()) : [];
    const helpers = opened.filter((helper) => helper !== undefined);
    const mirrors = [...helpers.map(({ mirror }) => mirror), collector].filter((mirror) => mirror !== undefined);
    const onRefused = (sha256: string, blob: Blob): void => {
      memoryCache.set(sha256, blob);
      events.cacheRefused(sha256, blob);
    };
    const { onProgress } = this.#deviceRequest;
    try {
      let loaded = await watch.guard(() =>
        loadWeights({ boundary, device, base, configJson, half, gpu, useCache, memoryCache, signal, onProgress, onRefused, mirrors }),
      );
      if (isGpu) loaded = await this.#proven(started, loaded, () => this.#loadAgain(started, configJson, false));
      loaded = await this.#guided(started, loaded);
      this.#goOn(loaded);
      if (!asked) this.#adopt(started);
      this.#seat(started, loaded);
    } catch (thrown) {
      for (const helper of helpers) helper.close();
      throw asked ? thrown : started.fail(thrown);
    }
    for (const helper of helpers) helper.finish();
    if (!openHelper) return;
    const startHelper = async (): Promise<HelperLink | undefined> => {
      const files = await cachedFiles({ base, configJson, useCache, memoryCache });
      const link = files && openHelper();
      if (files) link?.give(files);
      return link;
    };
    this.#sharing = new Sharing(always ? { always, helpers } : { always, most, startHelper });
  }

  /** Counts on a device. */
  #adopt(started: StartedDevice): void {
    this.#devices.push(started);
    this.#request.events.started(started);
  }

  /** Throws, and frees what was loaded, where nobody waits for it any more. */
  #goOn({ model }: LoadedWeights): void {
    if (!this.#closed && !this.#request.signal.aborted) return;
    model.free();
    throw new DisposedError();
  }

  /** A model on a device is ready to compute. */
  #seat(started: StartedDevice, { model, memory }: LoadedWeights): Way {
    const { build, watch, gpu } = started;
    this.#names.set(build.kind, started.device.name);
    watch.onCrash = (error) => this.#request.events.crashed(error);
    const way = newWay(build.kind, model, watch, memory, gpu);
    this.#ways.add(way);
    return way;
  }

  /**
   * A model that a GPU computes rightly: the one that is loaded or, where that is in 16 bits and does not come out right, what
   * `loadWide` loads in 32. Rejects with code `self-test`, and frees the model, where neither does.
   */
  async #proven(device: StartedDevice, loaded: LoadedWeights, loadWide: () => Promise<LoadedWeights>): Promise<LoadedWeights> {
    this.#goOn(loaded);
    this.#deviceRequest.onProgress({ phase: "self-test", loaded: 0, total: undefined, file: undefined, cached: false });
    try {
      await prove(device, loaded.model, this.#ways.get("cpu"));
      return loaded;
    } catch (thrown) {
      const { half } = loaded.model;
      if (!device.watch.error) loaded.model.free();
      const { code, message: reason } = asFreeguideError(thrown);
      if (!half || code !== "self-test") throw thrown;
      this.#refused.push({ kind: "webgpu", precision: "f16", code, reason });
      return this.#proven(device, await device.watch.guard(loadWide), loadWide);
    }
  }

  /** Makes a GPU ready beside the loaded model. What goes wrong is a reason not to use it. */
  async #prepareGpu(found: FoundAdapter, configJson: string, files: readonly WeightsFile[] | undefined): Promise<void> {
    const { half, events, signal } = this.#request;
    this.#measured = Infinity;
    this.#preparing = true;
    events.changed();
    let started: StartedDevice | undefined;
    try {
      const device = (started = await startGpu(this.#deviceRequest, found));
      const load = (inHalf: boolean): Promise<LoadedWeights> =>
        files ? loadFiles({ ...device, configJson, half: inHalf }, files) : this.#loadAgain(device, configJson, inHalf);
      const proven = await this.#proven(device, await device.watch.guard(() => load(half)), () => load(false));
      const loaded = await this.#guided(device, proven);
      this.#goOn(loaded);
      this.#adopt(device);
      this.#seat(device, loaded);
    } catch (thrown) {
      const reason = started?.fail(thrown) ?? thrown;
      if (!this.#closed && !signal.aborted) this.#refuseFor(reason);
    } finally {
      this.#preparing = false;
      if (!this.#closed) events.changed();
    }
  }

  /** The weights from the cache or, where they are not in it, from where they lie. */
  #loadAgain({ boundary, device, gpu }: StartedDevice, configJson: string, half: boolean, base = this.#request.base): Promise<LoadedWeights> {
    const { cache: useCache, memoryCache, signal } = this.#request;
    const { onProgress } = this.#deviceRequest;
    const onRefused = (): void => {};
    return loadWeights({ boundary, device, base, configJson, half, gpu, useCache, memoryCache, signal, onProgress, onRefused, mirrors: [] });
  }

  /** The model in 32 bits beside the one in 16, which goes where there is a reason. */
  async #widen(from: Way, reason: string | undefined): Promise<Way> {
    const device = this.#devices.find(({ watch }) => watch === from.watch);
    if (!device) throw new DisposedError();
    const there = this.#ways.get("webgpu f32");
    const way = there ?? this.#seat(device, await this.#loadWide(device));
    if (reason !== undefined && this.#ways.has(from.name)) {
      this.#refused.push({ kind: "webgpu", precision: "f16", code: "device", reason });
      this.#ways.remove(from.name);
      if (!from.watch.error) from.model.free();
      this.#request.events.changed();
    }
    return way;
  }

  async #loadWide(device: StartedDevice): Promise<LoadedWeights> {
    const configJson = await this.#request.config;
    const load = (): Promise<LoadedWeights> => device.watch.guard(() => this.#loadAgain(device, configJson, false));
    return this.#guided(device, await this.#proven(device, await load(), load));
  }

  /** The model together with the one that guides it, where one was asked for. Frees both where they do not fit. */
  async #guided(started: StartedDevice, { model, memory }: LoadedWeights): Promise<LoadedWeights> {
    const { guide } = this.#request;
    if (!guide) return { model, memory };
    const { watch } = started;
    try {
      const configJson = await guide.config;
      const other = await watch.guard(() => this.#loadAgain(started, configJson, model.half, guide.base));
      try {
        await watch.guard(() => model.guideBy(other.model));
      } finally {
        if (!watch.error) other.model.free();
      }
      return { model, memory: together(memory, other.memory) };
    } catch (thrown) {
      if (!watch.error) model.free();
      throw thrown;
    }
  }

  /** Ways have been compared. Of a GPU's two precisions the slower one is not kept, which takes memory. */
  #decided(): void {
    if (this.#key !== undefined) void rememberTimes(this.#key, this.#choice.times());
    const rows = this.#now?.rows;
    if (this.#closed || rows === undefined) return;
    const [half, full] = [this.#choice.best(rows, "webgpu f16"), this.#choice.best(rows, "webgpu f32")];
    if (half < Infinity && full < Infinity && this.#now?.way.kind === "webgpu") {
      const slower = half <= full ? "webgpu f32" : "webgpu f16";
      if (this.#ways.has(slower) && this.#now.way.name !== slower) {
        const way = this.#ways.remove(slower);
        if (way && !way.watch.error) way.model.free();
      }
    }
    this.#request.events.changed();
  }

  #refuseFor(thrown: unknown, kind: RefusedDevice["kind"] = "webgpu"): undefined {
    const { code, message } = asFreeguideError(thrown);
    this.#refused.push({ kind, code, reason: message });
  }

  /**
   * What starts another worker for the CPU, undefined where there is none or the model is too large for two; how many of
   * them there may be, and whether all of them are wanted from the beginning.
   */
  #helpersFor({ build }: StartedDevice, configJson: string): Helpers {
    const { module } = build;
    const { openHelper: open, threads, cores } = this.#request;
    const always = threads !== "auto";
    const most = Math.min(always ? threads : cores, Math.floor(TWICE_BYTES / weightBytes(configJson))) - 1;
    if (build.kind !== "cpu" || !module || !open || most < 1) return { openHelper: undefined, most: 0, always };
    const openHelper = (): HelperLink | undefined => {
      try {
        return new HelperLink(open(), module, configJson);
      } catch {
        return undefined; // a page's policy may say so
      }
    };
    return { openHelper, most, always };
  }
}

/** The config.json; where it cannot be had, which is the more useful complaint, a device that is starting is not waited for. */
async function unlessMissing(config: Promise<string>, device: Promise<StartedDevice>): Promise<string> {
  device.catch(() => {}); // awaited by others
  try {
    return await config;
  } catch (thrown) {
    device.then((started) => started.release()).catch(() => {});
    throw thrown;
  }
}
