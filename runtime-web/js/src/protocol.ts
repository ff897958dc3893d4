import type { BundleFiles, DeviceInfo, DeviceOption, LoadProgress } from "./types.js";
import type { Preview } from "./options.js";
import type { WireError } from "./errors.js";

/** The parameters of a load. */
export interface LoadRequest {
  url: string;
  /** The bundle's files, if it is a local folder. */
  files?: BundleFiles;
  /** Where the bundle lies that guides it, if another does. */
  guide?: string;
  device: DeviceOption;
  cache: boolean;
  /** Workers that compute on the CPU, including this one; `auto` starts others, one at a time, as long as that is faster. */
  threads: "auto" | number;
  /** Cores of the machine, as far as the page is told. */
  cores: number;
  /** Whether the network may compute in 16 bits. */
  half: boolean;
  /** Weights by SHA-256 that the page holds in memory because the cache refused them. */
  memoryCache: ReadonlyMap<string, Blob>;
  /** Where a copy of the package lies. */
  runtime?: string;
  /** A device of the page's own, and a `GPU` object. They never cross to a worker, which none can. */
  gpuDevice?: unknown;
  gpu?: unknown;
}

/** Messages from the page to the engine. Answers carry the `id` of their call. */
export type ToEngine =
  | ({ type: "load"; id: number } & LoadRequest)
  | { type: "plan"; id: number; request: string }
  /** `skip`: steps that were already shown before the device was lost. */
  | { type: "sample"; id: number; request: string; preview: Preview; skip: number }
  /** The consumer has taken a step, so the engine may compute one more. */
  | { type: "more"; id: number }
  | { type: "cancel"; id: number };

/** Messages from the engine to the page. */
export type FromEngine =
  /** The worker has started; it is of that version of the package. */
  | { type: "hello"; version: string }
  | { type: "progress"; id: number; progress: LoadProgress }
  | { type: "result"; id: number; value: unknown }
  | { type: "step"; id: number; step: WireStep }
  | { type: "error"; id: number; error: WireError }
  /** A loaded model is, or may soon be, on another device. */
  | { type: "device"; device: Omit<DeviceInfo, "thread"> }
  /** A GPU is being prepared beside a loaded model. */
  | { type: "preparing"; progress: LoadProgress }
  /** The cache refused a verified file: the page holds it in memory for as long as it is open. */
  | { type: "cache-refused"; sha256: string; blob: Blob }
  /**
   * The engine answers nothing from now on: the runtime crashed or, if `lost`, its device was lost and another engine may
   * take over.
   */
  | { type: "dead"; error: WireError; lost: boolean };

/** A finished step as the engine sends it. */
export interface WireStep {
  step: number;
  steps: number;
  nfe: number;
  milliseconds: number;
  /** RGBA8, image after image; null if the preview is `none` and this is not the last step. */
  pixels: Uint8Array | null;
  /** With the preview `branches`: the conditional estimates, then the unconditional ones; those not computed are zero. */
  branches: Uint8Array | null;
}

/** The result of a load. */
export interface Loaded {
  config: string;
  device: Omit<DeviceInfo, "thread">;
}

/** Steps that the engine may be ahead of the consumer, so that it computes the next one while this one is drawn. */
export const STEPS_AHEAD = 2;
