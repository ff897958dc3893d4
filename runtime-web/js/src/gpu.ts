import { DeviceError, messageOf } from "./errors.js";

// The parts of WebGPU that are used here; the types are not in every TypeScript library.
interface AdapterInfo {
  readonly vendor?: string;
  readonly architecture?: string;
  readonly device?: string;
  readonly description?: string;
  readonly isFallbackAdapter?: boolean;
}
interface Limits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
}
/** A `GPUDevice`, as far as it matters here. */
export interface GpuDevice {
  readonly lost: Promise<{ readonly reason?: string; readonly message: string }>;
  readonly limits: Limits;
  readonly features: ReadonlySet<string>;
}
/** A `GPUAdapter`, as far as it matters here. */
export interface Adapter {
  readonly isFallbackAdapter?: boolean;
  readonly info?: AdapterInfo;
  readonly limits: Limits;
  readonly features: ReadonlySet<string>;
  requestDevice(descriptor?: object): Promise<GpuDevice>;
}
interface Gpu {
  requestAdapter(options?: { powerPreference?: "high-performance" }): Promise<Adapter | null>;
}

const software = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|warp/i;

/** Why `adapter` is a CPU in disguise, or undefined for a real GPU. A renderer on the CPU is slower than the CPU build. */
export function softwareReason({ info, isFallbackAdapter }: Pick<Adapter, "info" | "isFallbackAdapter">): string | undefined {
  const words = [info?.description, info?.device, info?.architecture, info?.vendor].filter(Boolean).join(" ");
  if (info?.isFallbackAdapter || isFallbackAdapter) {
    return `the adapter is a software fallback${words && ` (${words})`}`;
  }
  return software.test(words) ? `the adapter renders in software (${words})` : undefined;
}

/** Whether an adapter is known to lack the one feature that the runtime does not start without (cubecl 0.11 opens its clock with it). */
export function lacksTimestamps({ features }: { readonly features?: ReadonlySet<string> }): boolean {
  return features?.has("timestamp-query") === false;
}

function findGpu(): Gpu {
  const gpu = (globalThis as { navigator?: { gpu?: Gpu } }).navigator?.gpu;
  if (!gpu) throw new DeviceError("this browser has no WebGPU, or the page is not in a secure context");
  return gpu;
}

/** The adapter that the browser prefers for work. Rejects with `DeviceError`. */
export async function findAdapter(): Promise<Adapter> {
  const gpu = findGpu();
  let adapter;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (cause) {
    throw new DeviceError(`WebGPU refused an adapter: ${messageOf(cause)}`, { cause });
  }
  if (!adapter) throw new DeviceError("WebGPU offers no adapter on this machine");
  return adapter;
}

/**
 * Runs `open`, inside which the runtime asks `navigator.gpu` for an adapter and that for a device, and resolves to what
 * `open` gives and to the device. wgpu takes no device from outside on the web, and tells nobody of a lost one: so it is
 * handed this `adapter`, whose device is `own` where the page has one and is watched in any case.
 */
export async function handOver<T>(
  adapter: Adapter,
  own: GpuDevice | undefined,
  open: () => Promise<T>,
): Promise<{ value: T; device: GpuDevice | undefined }> {
  const gpu = findGpu();
  const { requestDevice } = adapter;
  let device = own;
  const stand = (on: object, name: string, value: unknown): void => {
    Object.defineProperty(on, name, { value, configurable: true, writable: true });
  };
  stand(adapter, "requestDevice", async (descriptor?: object) => (device ??= await requestDevice.call(adapter, descriptor)));
  if (own) {
    // What the runtime may count on is what this device was made with.
    stand(adapter, "limits", own.limits);
    stand(adapter, "features", own.features);
  }
  const before = Object.getOwnPropertyDescriptor(gpu, "requestAdapter");
  stand(gpu, "requestAdapter", async () => adapter);
  try {
    return { value: await open(), device };
  } finally {
    if (before) Object.defineProperty(gpu, "requestAdapter", before);
    else delete (gpu as Partial<Gpu>).requestAdapter;
  }
}
