import type { BundleFiles, DeviceInfo, DeviceOption, LoadProgress } from "./types.js";
import type { Preview } from "./options.js";
import type { WireError } from "./errors.js";

/** From the page to the engine. `id` names the call that the answers carry. */
export type ToEngine =
  | { type: "load"; id: number; url: string; files?: BundleFiles; device: DeviceOption; cache: boolean }
  | { type: "plan"; id: number; request: string }
  | { type: "sample"; id: number; request: string; preview: Preview }
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
  /** The runtime crashed: nothing will be answered any more. */
  | { type: "dead"; error: WireError };

/** A finished step as it crosses from the worker. */
export interface WireStep {
  step: number;
  steps: number;
  nfe: number;
  milliseconds: number;
  /** RGBA8, image after image; null where the preview is `none` and the run goes on. */
  pixels: Uint8Array | null;
}

/** What a load resolves to. */
export interface Loaded {
  config: string;
  device: Omit<DeviceInfo, "thread">;
}

/** Steps that the engine may be ahead of the consumer: it computes the next one while this one is drawn. */
export const STEPS_AHEAD = 2;
