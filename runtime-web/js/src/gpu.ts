import { DeviceError, messageOf } from "./errors.js";
import { engine, engineName } from "./platform.js";

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
  createComputePipeline?(descriptor: object): unknown;
}
/** A `GPUAdapter`, as far as it matters here. */
export interface Adapter {
  readonly isFallbackAdapter?: boolean;
  readonly info?: AdapterInfo;
  readonly limits: Limits;
  readonly features: ReadonlySet<string>;
  requestDevice(descriptor?: object): Promise<GpuDevice>;
}
/** A `GPU`, as far as it matters here. */
export interface Gpu {
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

/**
 * The GPU object to use: `given`, or the engine's own. Rejects with `DeviceError` where there is none, in words for the
 * engine.
 */
export function findGpu(given?: Gpu): Gpu {
  const { navigator, isSecureContext } = globalThis as { navigator?: { gpu?: Gpu }; isSecureContext?: boolean };
  const gpu = given ?? navigator?.gpu;
  if (gpu) return gpu;
  if (engine() !== "browser") {
    throw new DeviceError(`${engineName()} has no WebGPU of its own; one can be passed as gpu, such as that of npm's webgpu`);
  }
  throw new DeviceError(
    isSecureContext === false ? "WebGPU needs a secure context: https, or localhost" : "this browser has no WebGPU",
  );
}

/** The adapter that the engine prefers for work. Rejects with `DeviceError`. */
export async function findAdapter(given?: Gpu): Promise<Adapter> {
  const gpu = findGpu(given);
  let adapter;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (cause) {
    throw new DeviceError(`WebGPU refused an adapter: ${messageOf(cause)}`, { cause });
  }
  if (!adapter) throw new DeviceError("WebGPU offers no adapter on this machine");
  return adapter;
}

function stand(on: object, name: string, value: unknown): void {
  Object.defineProperty(on, name, { value, configurable: true, writable: true });
}

/** Gives `on` another property of that name; what is returned takes it back. */
function lend(on: object, name: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(on, name);
  let lent = true;
  stand(on, name, value);
  return () => {
    if (!lent) return;
    lent = false;
    if (before) Object.defineProperty(on, name, before);
    else delete (on as Record<string, unknown>)[name];
  };
}

/**
 * Makes `gpu` what wgpu finds: it looks for `navigator.gpu`, and for a window or a worker around it, and panics where it
 * finds neither, as in Node. What is returned makes all as it was.
 */
function showGpu(gpu: Gpu): () => void {
  const scope = globalThis as { navigator?: { gpu?: Gpu }; Window?: unknown; WorkerGlobalScope?: unknown };
  const undo: (() => void)[] = [];
  if (scope.navigator === undefined) undo.push(lend(scope, "navigator", { gpu }));
  else if (scope.navigator.gpu !== gpu) undo.push(lend(scope.navigator, "gpu", gpu));
  if (scope.Window === undefined && scope.WorkerGlobalScope === undefined) {
    undo.push(lend(scope, "Window", { [Symbol.hasInstance]: (value: unknown) => value === globalThis }));
  }
  return () => {
    for (const step of undo.splice(0)) step();
  };
}

/** Tells `hear` how many compute pipelines a device has been asked for, at each of them. */
export function countPipelines(device: GpuDevice, hear: (count: number) => void): void {
  const { createComputePipeline } = device;
  if (!createComputePipeline) return;
  let count = 0;
  stand(device, "createComputePipeline", (descriptor: object) => {
    hear((count += 1));
    return createComputePipeline.call(device, descriptor);
  });
}

/** What the runtime is handed. */
export interface Handing {
  readonly adapter: Adapter;
  /** The object to ask, where it is not the engine's own. */
  readonly gpu: Gpu | undefined;
  /** The page's own device. */
  readonly own: GpuDevice | undefined;
  /** Hears of the device, before the runtime has it. */
  onDevice?(device: GpuDevice): void;
}

/** What a device came from, kept as long as the device: npm's webgpu ends with the object that it was made by, and crashes then. */
const origins = new WeakMap<GpuDevice, Gpu>();

/** One opening after another: each has the engine's globals to itself. */
let opening: Promise<unknown> = Promise.resolve();

/**
 * Runs `open`, inside which the runtime asks `navigator.gpu` for an adapter and that for a device, and resolves to what
 * `open` gives and to the device. wgpu takes no device from outside on the web, and tells nobody of a lost one: so it is
 * handed this `adapter`, whose device is `own` where the page has one and is watched in any case. Nothing global is left
 * changed once the runtime has asked.
 */
export function handOver<T>(
  { adapter, gpu, own, onDevice }: Handing,
  open: () => Promise<T>,
): Promise<{ value: T; device: GpuDevice | undefined }> {
  const handing = opening.then(async () => {
    const found = findGpu(gpu);
    const { requestDevice } = adapter;
    let device: GpuDevice | undefined;
    stand(adapter, "requestDevice", async (descriptor?: object) => {
      device ??= own ?? (await requestDevice.call(adapter, descriptor));
      origins.set(device, found);
      onDevice?.(device);
      return device;
    });
    if (own) {
      // What the runtime may count on is what this device was made with.
      stand(adapter, "limits", own.limits);
      stand(adapter, "features", own.features);
    }
    const hide = showGpu(found);
    const restore = lend(found, "requestAdapter", async () => {
      hide();
      restore();
      return adapter;
    });
    try {
      return { value: await open(), device };
    } finally {
      hide();
      restore();
    }
  });
  opening = handing.catch(() => {});
  return handing;
}
