import type { BundleFiles, DeviceInfo, DeviceOption, LoadProgress } from "./types.js";
import type { Preview } from "./options.js";
import type { WireError } from "./errors.js";

/** What a load asks for. */
export interface LoadRequest {
  url: string;
  /** The files of the bundle, where it is a local folder. */
  files?: BundleFiles;
  device: DeviceOption;
  cache: boolean;
  /** Workers that compute on the CPU, this one included; `auto` starts another where it pays. */
  threads: "auto" | 1 | 2;
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

/** From the page to the engine. `id` names the call that the answers carry. */
export type ToEngine =
  | ({ type: "load"; id: number } & LoadRequest)
  | { type: "plan"; id: number; request: string }
  /** `skip`: the steps that an engine whose device was lost has already shown. */
  | { type: "sample"; id: number; request: string; preview: Preview; skip: number }
  /** The consumer took a step: the engine may run one more. */
  | { type: "more"; id: number }
  | { type: "cancel"; id: number };

/** From the engine to the page. */
export type FromEngine =
  /** The worker's file was loaded and runs. */
  | { type: "hello" }
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
   * Nothing will be answered any more: the runtime crashed or, where `lost` says so, its device went away and another
   * engine may go on.
   */
  | { type: "dead"; error: WireError; lost: boolean };

/** A finished step as it crosses from the worker. */
export interface WireStep {
  step: number;
  steps: number;
  nfe: number;
  milliseconds: number;
  /** RGBA8, image after image; null where the preview is `none` and the run goes on. */
  pixels: Uint8Array | null;
  /** With the preview `branches`: the conditional estimates, then the unconditional ones; those not computed are zero. */
  branches: Uint8Array | null;
}

/** What a load resolves to. */
export interface Loaded {
  config: string;
  device: Omit<DeviceInfo, "thread">;
}

/** Steps that the engine may be ahead of the consumer: it computes the next one while this one is drawn. */
export const STEPS_AHEAD = 2;
