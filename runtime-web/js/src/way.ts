import type { WasmModel } from "./boundary.js";
import type { CrashWatch } from "./crash.js";
import type { GpuDevice } from "./gpu.js";
import { checkBatch, type MemoryEstimate } from "./memory.js";
import type { RuntimeKind } from "./runtime-files.js";

/** The name of a way: what it computes on, and in. */
export type WayName = "cpu" | "webgpu f16" | "webgpu f32";

/** One way to compute a model's steps: the model in an instance of the runtime. A run may go from one to another between steps. */
export interface Way {
  readonly name: WayName;
  readonly kind: RuntimeKind;
  readonly precision: "f16" | "f32";
  readonly model: WasmModel;
  /** Of the instance that the model is in. */
  readonly watch: CrashWatch;
  /** Throws where the rows of one evaluation, of a run of so many images, do not fit into memory. */
  check(rows: number, images: number): void;
}

/** The name of the way on that device in that precision. */
export function wayName(kind: RuntimeKind, precision: "f16" | "f32"): WayName {
  return kind === "cpu" ? "cpu" : `webgpu ${precision}`;
}

/** The way of a loaded model. */
export function newWay(kind: RuntimeKind, model: WasmModel, watch: CrashWatch, memory: MemoryEstimate, gpu: GpuDevice | undefined): Way {
  const precision = model.half ? "f16" : "f32";
  const check = (rows: number, images: number): void => checkBatch(memory, { rows, images }, gpu);
  return { name: wayName(kind, precision), kind, precision, model, watch, check };
}

const words: Record<WayName, string> = {
  cpu: "the CPU",
  "webgpu f16": "the GPU in 16 bits",
  "webgpu f32": "the GPU in 32 bits",
};

/** A way in words. */
export function wayWords(name: WayName): string {
  return words[name];
}
