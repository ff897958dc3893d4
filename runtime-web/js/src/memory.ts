import { DeviceError } from "./errors.js";
import type { GpuDevice } from "./gpu.js";

/** What the runtime estimates, in bytes. */
export interface MemoryEstimate {
  /** All weights. */
  readonly weights: number;
  /** The largest weight. */
  readonly largest: number;
  /** One row of an evaluation, of which a guided image has two. */
  readonly row: number;
}

/** What WebAssembly can address, less what the runtime itself and the pieces of a file on its way take. */
const WASM_BYTES = 2 ** 32 - 2 ** 27;
/** `navigator.deviceMemory` says 8 where there is that or more. */
const TOLD_AT_MOST = 8;

function size(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

/**
 * Throws a `DeviceError` with `detail: "memory"` where not even one guided image could be drawn, before anything of the
 * weights is fetched.
 */
export function checkMemory({ weights, largest, row }: MemoryEstimate, gpu: GpuDevice | undefined): void {
  const refuse = (why: string): never => {
    throw new DeviceError(`the model does not fit here: ${why}`, { detail: "memory" });
  };
  const needed = weights + 2 * row;
  const limit = gpu && Math.min(gpu.limits.maxBufferSize, gpu.limits.maxStorageBufferBindingSize);
  if (limit !== undefined && largest > limit) {
    refuse(`its largest weight takes ${size(largest)}, and this GPU takes ${size(limit)} at once`);
  }
  if (!gpu && needed > WASM_BYTES) {
    refuse(`it needs about ${size(needed)}, and a browser gives WebAssembly ${size(WASM_BYTES)}; a GPU may have more`);
  }
  const { navigator } = globalThis as { navigator?: { deviceMemory?: number } };
  const memory = navigator?.deviceMemory;
  if (memory !== undefined && memory < TOLD_AT_MOST && needed > memory * 2 ** 30) {
    refuse(`it needs about ${size(needed)}, and this device has about ${size(memory * 2 ** 30)}`);
  }
}
