import type { PictureSettings } from "./settings-table.js";

/**
 * `auto`: the CPU draws at once; where there is a real GPU that passes the self-test, it is prepared meanwhile, and each is
 * timed, and the faster one is kept. `webgpu`: any adapter, or an error.
 */
export type DeviceOption = "auto" | "cpu" | "webgpu";

/** Where a model runs. With `device: "auto"` it may change: `LoadOptions.onDevice` hears of that. */
export interface DeviceInfo {
  readonly kind: "cpu" | "webgpu";
  /** Why it is this one, in words. */
  readonly why: string;
  /** Whether a GPU is being prepared meanwhile, and may take over. */
  readonly preparing: boolean;
  /** For people: `CPU (WebAssembly SIMD)`, or the GPU adapter's name. */
  readonly name: string;
  /** Devices, and precisions of a GPU, that were looked at and are not used, with the reason in words. */
  readonly refused: readonly RefusedDevice[];
  /**
   * What the network computes in: `f16` on a GPU that does (the feature `shader-f16`, and a self-test in it that passed),
   * for weights that come in 16 bits; else `f32`.
   */
  readonly precision: "f16" | "f32";
  /** `worker`, or `caller` where no worker could be started: steps then run on the calling thread and yield between. */
  readonly thread: "worker" | "caller";
}

/** A device that was looked at and is not used. */
export interface RefusedDevice {
  readonly kind: "cpu" | "webgpu";
  /** `f16`, where the device is used, but not in 16 bits. */
  readonly precision?: "f16";
  /** `device`, `self-test`, `network`, `poisoned` or, of one that works and takes longer, `slower`. */
  readonly code: string;
  readonly reason: string;
}

/** How far a load is. */
export interface LoadProgress {
  /**
   * `runtime`: the WebAssembly file; `self-test`: the device proves itself; `weights`: the bundle's files; `gpu`: the GPU's
   * driver compiles what the model needs, which may take seconds, and may follow after `ready`; `ready`.
   */
  readonly phase: "runtime" | "self-test" | "weights" | "gpu" | "ready";
  /** Bytes so far, over all files of the phase; of `gpu` compiled pipelines. */
  readonly loaded: number;
  /** Bytes of all files of the phase; undefined where the server does not say. */
  readonly total: number | undefined;
  /** The file being loaded. */
  readonly file: string | undefined;
  /** True while the bytes come from the cache and not from the network. */
  readonly cached: boolean;
}

/** Options of `loadModel()`. */
export interface LoadOptions {
  /** `auto` if left out. */
  device?: DeviceOption;
  /**
   * Address of another bundle, whose estimate takes the place of the unconditional one in every run: guidance then leads away
   * from it. It draws images of the same size and has the same classes, or none; else loading rejects with `InputError`.
   */
  guide?: string | URL | undefined;
  /** Called on every piece of news; what it throws is reported as an uncaught error and does not stop the load. */
  onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Ends the load at any moment. */
  signal?: AbortSignal | undefined;
  /** Called with the new `model.device` when a loaded model moves to another device, or when more is known about its device. */
  onDevice?: ((device: DeviceInfo) => void) | undefined;
  /**
   * Called when the GPU is lost. The model then opens a device again, loads its weights from the cache, and takes up
   * what was running; a run ends in the same images, and what follows of `model.device` may be another device.
   */
  onDeviceLost?: ((reason: string) => void) | undefined;
  /**
   * Keep verified weights in the Cache API, by content hash, or in this page where the browser refuses; true if left
   * out.
   */
  cache?: boolean;
  /**
   * False runs on the calling thread even where a worker could be started; true if left out. Where the package comes
   * from another origin, which may not start a worker here: the address of a module of this origin that imports the
   * package's `worker.js`. In Node there are no such workers, and in Deno none is started unless this says true, since it
   * would keep the process from ending.
   */
  worker?: boolean | string | URL;
  /**
   * Workers that compute on the CPU: each takes some of the rows of a step, of which a guided image has two, and holds the
   * weights once more. With `auto`, runs of a second or two start one other worker after another, up to the number of
   * cores, if the weights are cached. For each number of rows, as many workers compute as was found to be fastest. The
   * pictures are the same. All workers together hold at most 128 MiB of weights (as stored), or there is one. `auto` if
   * left out.
   */
  threads?: "auto" | number;
  /**
   * `auto`: weights in 16 bits are computed with in 16 bits where the GPU does that, which is faster and takes half the
   * memory; pictures then differ from those of other devices by a few of 255. In a long run both are timed, and where
   * values leave the range of 16 bits the run goes back to its last good step and on in 32. `f32`: always in 32 bits. `auto`
   * if left out.
   */
  precision?: "auto" | "f32";
  /**
   * Where a copy of the package lies: the folder that has `dist` and `wasm` in it, relative to the page. For what a bundler
   * has made that does not copy the files which the package names by `new URL(…, import.meta.url)`.
   */
  runtime?: string | URL | undefined;
  /**
   * A `GPU` to use in place of `navigator.gpu`: in Node and Bun that of npm's `webgpu`, for instance. Such a model runs on
   * the calling thread, and all models of a thread are on the device of the first.
   */
  gpu?: object | undefined;
  /**
   * A `GPUDevice` of the page's own to compute on. Such a model runs on the calling thread, which is where the device
   * is, and a page has one such device for all its models. It must come from `navigator.gpu` of this page and have been
   * made with `requiredFeatures: ["timestamp-query"]` or more: the runtime counts on the features and limits that the
   * device has (with `shader-f16` it may compute in 16 bits; the default limits do). Losing it ends the model.
   */
  gpuDevice?: object | undefined;
}

/** A bundle's files by name (`config.json`, and the weights that it names), for instance of a folder that was dropped. */
export type BundleFiles = ReadonlyMap<string, Blob>;

/** One cached weights file. */
export interface CachedFile {
  readonly sha256: string;
  readonly bytes: number;
  /** `disk`: stored by the browser. `memory`: held by this page alone, because the browser refused to store it. */
  readonly where: "disk" | "memory";
}

/** One image: RGBA, 8 bits a channel, row after row. An `ImageData` where that exists. */
export interface Picture {
  readonly data: Uint8ClampedArray<ArrayBuffer>;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
}

/** The estimates of the clean image behind one step of one image. An estimate that the step did not need is null. */
export interface Branches {
  /** x̃ of the class. */
  readonly conditional: Picture | null;
  /** x̃ of the null class. */
  readonly unconditional: Picture | null;
  /** x̃ that guidance made of them, and that the solver follows. */
  readonly guided: Picture;
}

/** One finished step of a run. */
export interface SampleStep {
  /** Finished steps, from 1. */
  readonly step: number;
  /** Steps of the whole run. A run with a `tolerance` may end before: its last step is the number of its steps. */
  readonly steps: number;
  /** One an entry of `classes`; empty where `preview` is `none` and this is not the last step. */
  readonly images: Picture[];
  /** With `preview: "branches"`, one an entry of `classes`; else undefined. */
  readonly branches: Branches[] | undefined;
  /** Time of this step, read-back included. With `preview: "none"` on WebGPU, the time to queue it. */
  readonly milliseconds: number;
  /** Network evaluations of the whole run, for the image that needs most. */
  readonly nfe: number;
}

/** What a run would cost. */
export interface Plan {
  readonly steps: number;
  /** Network evaluations for the image that needs most. */
  readonly nfe: number;
  /** λ of every step, in nats. */
  readonly levels: readonly number[];
  /** The most rows that one evaluation has, for all images together: memory grows with them. */
  readonly rows: number;
  /** The complete settings of each image, which its PNG should carry. */
  readonly settings: readonly PictureSettings[];
}
