import { DeviceError } from "./errors.js";
import type { GpuDevice } from "./gpu.js";

/** What the runtime estimates, in bytes. */
export interface MemoryEstimate {
  /** All weights. */
  readonly weights: number;
  /** The largest weight. */
  readonly largest: number;
  /** What a network on the CPU keeps of its weights beside them, as its kernels read them. */
  readonly kept: number;
  /** One row of an evaluation, of which a guided image has two. */
  readonly row: number;
  /** The largest buffer of activations that each row adds to. */
  readonly activation: number;
}

/** What WebAssembly can address, less what the runtime itself and the pieces of a file on its way take. */
const WASM_BYTES = 2 ** 32 - 2 ** 27;
/** `navigator.deviceMemory` says 8 where there is that or more. */
const TOLD_AT_MOST = 8;

function size(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

/** Why so much does not fit here, or undefined where it may. */
function shortage(bytes: number, gpu: GpuDevice | undefined): string | undefined {
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

/** The most that a GPU binds to a kernel at once. */
function largestBuffer({ limits }: GpuDevice): number {
  return Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
}

/**
 * Throws a `DeviceError` with `detail: "memory"` where not even one guided image could be drawn, before anything of the
 * weights is fetched.
 */
export function checkMemory({ weights, largest, kept, row }: MemoryEstimate, gpu: GpuDevice | undefined): void {
  const limit = gpu && largestBuffer(gpu);
  const why =
    limit !== undefined && largest > limit
      ? `its largest weight takes ${size(largest)}, and this GPU takes ${size(limit)} at once`
      : shortage(weights + kept + 2 * row, gpu);
  if (why) throw new DeviceError(`the model does not fit here: ${why}`, { detail: "memory" });
}

/**
 * Throws a `DeviceError` with `detail: "memory"` where the rows of one evaluation do not fit into memory beside the
 * weights, before anything is computed; says how many images would.
 */
export function checkBatch(
  { weights, kept, row, activation }: MemoryEstimate,
  { rows, images }: { rows: number; images: number },
  gpu: GpuDevice | undefined,
): void {
  const reason = (count: number): string | undefined => {
    const limit = gpu && largestBuffer(gpu);
    return limit !== undefined && count * activation > limit
      ? `its largest buffer takes ${size(count * activation)}, and this GPU takes ${size(limit)} at once`
      : shortage(weights + kept + count * row, gpu);
  };
  const why = reason(rows);
  if (!why) return;
  // The same share of the rows for each image, as near as can be said.
  let fits = images;
  while (fits > 1 && reason(Math.ceil((rows * fits) / images))) fits = Math.floor(fits / 2);
  throw new DeviceError(`a batch of ${images} images does not fit here: ${why}. Draw fewer at a time, ${fits} for instance`, { detail: "memory" });
}
