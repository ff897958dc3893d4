import { DeviceError } from "./errors.js";
import type { GpuDevice } from "./gpu.js";

/** The runtime's estimate of memory, in bytes. */
export interface MemoryEstimate {
  /** All weights. */
  readonly weights: number;
  /** The largest weight. */
  readonly largest: number;
  /** Weights that the CPU's kernels keep in a packed layout, in addition to the weights themselves. */
  readonly kept: number;
  /** One row of an evaluation; a guided image has two rows. */
  readonly row: number;
  /** One row's share of the largest buffer of activations. */
  readonly activation: number;
}

/** The memory of two models that compute one after the other. */
export function together(one: MemoryEstimate, other: MemoryEstimate): MemoryEstimate {
  return {
    weights: one.weights + other.weights,
    largest: Math.max(one.largest, other.largest),
    kept: one.kept + other.kept,
    row: Math.max(one.row, other.row),
    activation: Math.max(one.activation, other.activation),
  };
}

/** The address space of WebAssembly, minus what the runtime and the chunks of a download need. */
const WASM_BYTES = 2 ** 32 - 2 ** 27;
/** The largest value of `navigator.deviceMemory`, which stands for 8 GiB or more. */
const TOLD_AT_MOST = 8;

function size(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

/** Why this many bytes do not fit into memory, or undefined if they may. `platform`: what a platform gives, in bytes. */
function shortage(bytes: number, gpu: GpuDevice | undefined, platform: number | undefined): string | undefined {
  if (platform !== undefined && bytes > platform) {
    return `it needs about ${size(bytes)}, and the platform gives ${size(platform)} (the option memory says how much)`;
  }
  if (!gpu && bytes > WASM_BYTES) {
    return `it needs about ${size(bytes)}, and WebAssembly can have ${size(WASM_BYTES)}; a GPU may have more`;
  }
  const { navigator } = globalThis as { navigator?: { deviceMemory?: number } };
  const memory = navigator?.deviceMemory;
  if (memory !== undefined && memory < TOLD_AT_MOST && bytes > memory * 2 ** 30) {
    return `it needs about ${size(bytes)}, and this device has about ${size(memory * 2 ** 30)}`;
  }
  return undefined;
}

/** The largest buffer that the GPU can bind to a kernel. */
function largestBuffer({ limits }: GpuDevice): number {
  return Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
}

/**
 * Throws a `DeviceError` with `detail: "memory"` if there is not enough memory for a single guided image. Called before any
 * weights are fetched.
 */
export function checkMemory({ weights, largest, kept, row }: MemoryEstimate, gpu: GpuDevice | undefined, platform?: number): void {
  const limit = gpu && largestBuffer(gpu);
  const why =
    limit !== undefined && largest > limit
      ? `its largest weight takes ${size(largest)}, and this GPU takes ${size(limit)} at once`
      : shortage(weights + kept + 2 * row, gpu, platform);
  if (why) throw new DeviceError(`the model does not fit here: ${why}`, { detail: "memory" });
}

/**
 * Throws a `DeviceError` with `detail: "memory"` if the rows of one evaluation do not fit into memory beside the weights.
 * The message says how many images fit. Called before anything is computed.
 */
export function checkBatch(
  { weights, kept, row, activation }: MemoryEstimate,
  { rows, images }: { rows: number; images: number },
  gpu: GpuDevice | undefined,
  platform?: number,
): void {
  const reason = (count: number): string | undefined => {
    const limit = gpu && largestBuffer(gpu);
    return limit !== undefined && count * activation > limit
      ? `its largest buffer takes ${size(count * activation)}, and this GPU takes ${size(limit)} at once`
      : shortage(weights + kept + count * row, gpu, platform);
  };
  const why = reason(rows);
  if (!why) return;
  // Assumes that each image has the same number of rows.
  let fits = images;
  while (fits > 1 && reason(Math.ceil((rows * fits) / images))) fits = Math.floor(fits / 2);
  throw new DeviceError(`a batch of ${images} images does not fit here: ${why}. Draw fewer at a time, ${fits} for instance`, { detail: "memory" });
}
