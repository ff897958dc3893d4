/** `auto`: WebGPU on a real adapter that passes the self-test, else the CPU. `webgpu`: any adapter, or an error. */
export type DeviceOption = "auto" | "cpu" | "webgpu";

/** Where a model runs. */
export interface DeviceInfo {
  readonly kind: "cpu" | "webgpu";
  /** For people: `CPU (WebAssembly SIMD)`, or the GPU adapter's name. */
  readonly name: string;
  /** Devices that `auto` looked at and did not take, with the reason in words. */
  readonly refused: readonly RefusedDevice[];
  /** `worker`, or `caller` where no worker could be started: steps then run on the calling thread and yield between. */
  readonly thread: "worker" | "caller";
}

/** A device that `auto` looked at and did not take. */
export interface RefusedDevice {
  readonly kind: "cpu" | "webgpu";
  /** `device`, `self-test`, `network` or `poisoned`. */
  readonly code: string;
  readonly reason: string;
}

/** How far a load is. */
export interface LoadProgress {
  /** `runtime`: the WebAssembly file; `self-test`: the device proves itself; `weights`: the bundle's files; `ready`. */
  readonly phase: "runtime" | "self-test" | "weights" | "ready";
  /** Bytes so far, over all files of the phase. */
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
  /** Called on every piece of news; what it throws is reported as an uncaught error and does not stop the load. */
  onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Ends the load at any moment. */
  signal?: AbortSignal | undefined;
  /** Keep verified weights in the Cache API, by content hash; true if left out. */
  cache?: boolean;
  /**
   * False runs on the calling thread even where a worker could be started; true if left out. Where the package comes
   * from another origin, which may not start a worker here: the address of a module of this origin that imports the
   * package's `worker.js`.
   */
  worker?: boolean | string | URL;
}

/** A bundle's files by name (`config.json`, and the weights that it names), for instance of a folder that was dropped. */
export type BundleFiles = ReadonlyMap<string, Blob>;

/** One image: RGBA, 8 bits a channel, row after row. An `ImageData` where that exists. */
export interface Picture {
  readonly data: Uint8ClampedArray<ArrayBuffer>;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
}

/** One finished step of a run. */
export interface SampleStep {
  /** Finished steps, from 1. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  /** One an entry of `classes`; empty where `preview` is `none` and this is not the last step. */
  readonly images: Picture[];
  /** Time of this step, read-back included. With `preview: "none"` on WebGPU, the time to queue it. */
  readonly milliseconds: number;
  /** Network evaluations for one image, of the whole run. */
  readonly nfe: number;
}

/** What a run would cost. */
export interface Plan {
  readonly steps: number;
  /** Network evaluations for one image. */
  readonly nfe: number;
}
