/**
 * What the wasm crate exports (`runtime-web/src`), the same in the CPU and in the WebGPU build. Every fallible call
 * throws or rejects with an `Error` that has a string property `code`; a Rust panic is a `WebAssembly.RuntimeError`.
 */
export interface Boundary {
  default(input?: { module_or_path: WebAssembly.Module | BufferSource }): Promise<unknown>;
  Device: { open(): Promise<WasmDevice> };
  /** `half`: compute in f16 if all weights are in f16 and the device has f16. */
  Loader: new (configJson: string, device: WasmDevice, half: boolean) => WasmLoader;
  /** Registers a listener for the message of a panic, which is called right before the instance traps. */
  onPanic(listener: (message: string) => void): void;
  /**
   * Hears what a task of the instance's own throws, which is a trap; otherwise it is an uncaught error, on which Node and
   * others end the process. Added by `scripts/build.mjs`.
   */
  onTrap?(listener: (thrown: unknown) => void): void;
  /** In the CPU build only. Means are [x, y] pairs, flattened. */
  Mixture: new (means: Float64Array, deviations: Float64Array, device: WasmDevice) => WasmMixture;
  /** In the CPU build only. Takes the bytes of a classifier's file. */
  Classifier: new (bytes: Uint8Array, device: WasmDevice) => WasmClassifier;
}

export interface WasmDevice {
  /** For people: `CPU (WebAssembly SIMD)`, or the adapter's name. */
  readonly name: string;
  /** Rejects with code `self-test` if the device computes wrong results, with `half` in 16 bits, else in 32. */
  selfTest(half: boolean): Promise<void>;
  free(): void;
}

/** Builds a model file by file. There is no model before every file has been verified. */
export interface WasmLoader {
  /** JSON: `[{ "name", "bytes", "sha256" }]`, in loading order. */
  files(): string;
  /** JSON: `{ "weights", "largest", "kept", "row", "activation" }`, in bytes. */
  memory(): string;
  begin(name: string): void;
  push(chunk: Uint8Array): void;
  /** Verifies length, SHA-256, tensor names, shapes, dtypes and finiteness. */
  end(): void;
  /** Consumes the loader. */
  finish(): WasmModel;
  free(): void;
}

export interface WasmModel {
  /** Normalised config.json. */
  readonly config: string;
  /** Whether it computes in f16. */
  readonly half: boolean;
  /** JSON: `{ "steps", "nfe", "levels", "rows", "settings" }`. */
  plan(requestJson: string): string;
  sample(requestJson: string): WasmRun;
  /** A run of that request that continues after its step `step`, from the `state` of another run, of any instance. */
  resume?(requestJson: string, step: number, state: Float32Array): WasmRun;
  /** Has another model on the same device guide this one's runs; the other may be freed then. Throws with code `input` where the two do not fit. */
  guideBy(guide: WasmModel): void;
  /** What devices agree about that compute this model rightly: z, of the order of 1, after a step between its noise levels. */
  probe(): Promise<Float32Array>;
  /** CPU build: the network's prediction for rows of another instance. */
  predict(z: Float32Array, logSnr: number, classes: Uint32Array, guidance?: Float64Array, nextLogSnr?: number, joints?: string): Float32Array;
  free(): void;
}

/** Rows of one evaluation for another instance to compute. */
export interface WasmPart {
  readonly z: Float32Array;
  readonly logSnr: number;
  readonly classes: Uint32Array;
  /** Strength of each row, of a network that takes it as an input. */
  readonly guidance?: Float64Array | undefined;
  /** λ that the step leads to, of a network that takes it as an input. */
  readonly nextLogSnr?: number | undefined;
  /** The attributes and the number of each row as JSON, of a network that takes them. */
  readonly joints?: string | undefined;
  free(): void;
}

export interface WasmRun {
  readonly steps: number;
  /** Finished steps. */
  readonly step: number;
  /** Network evaluations for one image, of the whole run. */
  readonly nfe: number;
  /** One step; on WebGPU resolves once the work is queued. */
  advance(): Promise<void>;
  /** Ends the run, so that `steps` is `step`, if the request has a tolerance and no image changes any more. Waits for the device. */
  settle(): Promise<void>;
  /** The state that `resume` continues from; empty in the middle of a step. */
  state?(): Promise<Float32Array>;
  /** Of a model in f16: whether the network's answers have been finite so far. Waits for the device. */
  isFinite?(): Promise<boolean>;
  /** RGBA8, image after image, row-major; after the last step `denoised` is the result. */
  images(kind: "denoised" | "latent"): Promise<Uint8Array>;
  /** RGBA8 of the estimates behind the last step: all conditional ones, then all unconditional; those not computed are zero. */
  branches(): Promise<Uint8Array>;
  /** CPU build: rows of the next evaluation, 0 after the last. */
  readonly rows: number;
  /** CPU build: computes all rows of the next evaluation; true if that completes a step. */
  evaluate(): boolean;
  /**
   * CPU build: divides the rows of the next evaluation into so many parts of about the same size, at most one for each row,
   * and returns all but the first; none if there is only one.
   */
  divide(parts: number): WasmPart[];
  /** CPU build: computes the first part. */
  compute(): void;
  /** CPU build: continues with the predictions for the parts of `divide`, one after another; true if that completes a step. */
  join(answer: Float32Array): boolean;
  free(): void;
}

/** A mixture of Gaussians in the plane. */
export interface WasmMixture {
  /** Of class `name`, or of all for −1: `side` × `side` values, row by row from the top, the largest 1. */
  density(name: number, guidance: number, side: number, extent: number): Float32Array;
  sample(requestJson: string): WasmMixtureRun;
  free(): void;
}

export interface WasmMixtureRun {
  readonly steps: number;
  readonly step: number;
  advance(): void;
  /** [x, y] pairs, flattened. */
  points(kind: "denoised" | "latent"): Promise<Float32Array>;
  free(): void;
}

/** A classifier. */
export interface WasmClassifier {
  /** JSON: `{ "name", "size", "classes", "held_out_accuracy", … }`. */
  readonly description: string;
  /** For each RGBA8 image its features, then its class probabilities. */
  classify(pixels: Uint8Array, side: number): Promise<Float32Array>;
  free(): void;
}
