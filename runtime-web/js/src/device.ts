import type { Boundary, WasmDevice } from "./boundary.js";
import type { Build, Builds } from "./build.js";
import { CrashWatch, watchOver } from "./crash.js";
import { DeviceError } from "./errors.js";
import { countPipelines, findAdapter, handOver, lacksTimestamps, softwareReason, type Adapter, type Gpu, type GpuDevice } from "./gpu.js";
import type { LoadProgress } from "./types.js";

/** A device that has been opened; that of the CPU has passed its self-test, a GPU is put to the proof with its model. */
export interface StartedDevice {
  readonly build: Build;
  readonly boundary: Boundary;
  readonly device: WasmDevice;
  readonly watch: CrashWatch;
  /** Of WebGPU: the device below the runtime. */
  readonly gpu: GpuDevice | undefined;
  /** Gives the device back, unless its instance has crashed, which must not be called again. */
  release(): void;
  /** Gives up what failed with `thrown`, and says why: because the GPU was lost, which makes calls fail in many ways, or that. */
  fail(thrown: unknown): unknown;
}

/** What starting a device needs from the engine. */
export interface DeviceRequest {
  readonly builds: Builds;
  /** The page's own device, which then is the one that is used. */
  readonly gpuDevice: GpuDevice | undefined;
  /** Where a copy of the package lies, if not around this module. */
  readonly runtime: string | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LoadProgress) => void;
}

/** Where WebGPU is to be had, and with what. */
export interface FoundAdapter {
  readonly adapter: Adapter;
  /** The object to ask, where it is not the engine's own. */
  readonly gpu: Gpu | undefined;
}

/**
 * Looks for an adapter that the runtime can use. `real`: none that computes on the CPU, which is slower than the CPU build.
 * Rejects with `DeviceError`.
 */
export async function lookForAdapter(gpu: Gpu | undefined, real: boolean): Promise<FoundAdapter> {
  const adapter = await findAdapter(gpu);
  const reason = real ? softwareReason(adapter) : undefined;
  if (reason) throw new DeviceError(reason);
  if (lacksTimestamps(adapter)) throw new DeviceError("this GPU's driver has no timestamp-query, which the runtime needs");
  return { adapter, gpu };
}

/** Starts the CPU build. */
export function startCpu(request: DeviceRequest): Promise<StartedDevice> {
  return start(request.builds.cpu, request, undefined);
}

/** Starts the WebGPU build on an adapter. A device that is lost meanwhile is a `DeviceError` with the detail `lost`. */
export async function startGpu(request: DeviceRequest, found: FoundAdapter): Promise<StartedDevice> {
  return start(request.builds.webgpu, request, found);
}

async function start(build: Build, request: DeviceRequest, found: FoundAdapter | undefined): Promise<StartedDevice> {
  const { signal, onProgress, runtime } = request;
  const onBytes = (loaded: number, total: number | undefined, file: string): void => {
    onProgress({ phase: "runtime", loaded, total, file, cached: false });
  };
  const boundary = await build.start(signal, onBytes, runtime);
  const watch = new CrashWatch();
  const unwatch = watchOver(boundary, watch);
  const during: During = { lost: undefined };
  try {
    const device = found ? await openGpu(build, boundary, watch, request, found, during) : await openCpu(boundary, watch, onProgress);
    const release = (): void => {
      unwatch();
      if (!watch.error) device.free();
    };
    const fail = (thrown: unknown): unknown => {
      release();
      if (watch.error) build.abandon();
      return during.lost ?? thrown;
    };
    return { build, boundary, device, watch, gpu: build.gpu, release, fail };
  } catch (thrown) {
    unwatch();
    if (watch.error) build.abandon();
    throw during.lost ?? thrown;
  }
}

async function openCpu(boundary: Boundary, watch: CrashWatch, onProgress: DeviceRequest["onProgress"]): Promise<WasmDevice> {
  const device = await watch.guard(() => boundary.Device.open());
  onProgress({ phase: "self-test", loaded: 0, total: undefined, file: undefined, cached: false });
  try {
    await watch.guard(() => device.selfTest(false));
  } catch (thrown) {
    if (!watch.error) device.free();
    throw thrown;
  }
  return device;
}

/** What has happened to a device since it was opened. */
interface During {
  lost: DeviceError | undefined;
}

async function openGpu(
  build: Build,
  boundary: Boundary,
  watch: CrashWatch,
  { gpuDevice, onProgress }: DeviceRequest,
  { adapter, gpu }: FoundAdapter,
  during: During,
): Promise<WasmDevice> {
  const watchLoss = (device: GpuDevice): void => {
    void device.lost.then(({ reason, message }) => {
      during.lost = lostError(reason, message);
      build.abandon();
      watch.trip("the GPU was lost");
    });
  };
  const onDevice = (device: GpuDevice): void => {
    watchLoss(device);
    // A device of the page's own stays as it is.
    if (device === gpuDevice) return;
    countPipelines(device, (loaded) => {
      onProgress({ phase: "gpu", loaded, total: undefined, file: undefined, cached: false });
    });
  };
  // An instance opens its device once only, and keeps it for the next model.
  if (build.gpu) watchLoss(build.gpu);
  const opened = await handOver({ adapter, gpu, own: gpuDevice, onDevice }, () => watch.guard(() => boundary.Device.open()));
  build.gpu ??= opened.device;
  return opened.value;
}

/** What the loss of a GPU is to a caller. */
export function lostError(reason: string | undefined, message: string): DeviceError {
  return new DeviceError(`the GPU was lost: ${message || reason || "no reason was given"}`, { detail: "lost" });
}
