import type { Boundary, WasmDevice } from "./boundary.js";
import type { Build, Builds } from "./builds.js";
import { CrashWatch } from "./crash.js";
import { asFreeguideError, DeviceError } from "./errors.js";
import { findAdapter, handOver, lacksTimestamps, softwareReason, type Adapter, type GpuDevice } from "./gpu.js";
import type { DeviceOption, LoadProgress, RefusedDevice } from "./types.js";

export { softwareReason } from "./gpu.js";

/** A device that passed its self-test. */
export interface StartedDevice {
  build: Build;
  boundary: Boundary;
  device: WasmDevice;
  watch: CrashWatch;
  refused: RefusedDevice[];
  /** Of WebGPU: the device below the runtime. */
  gpu: GpuDevice | undefined;
}

/** What starting a device needs from the engine. */
export interface DeviceRequest {
  option: DeviceOption;
  builds: Builds;
  /** The page's own device, which then is the one that is used. */
  gpuDevice: GpuDevice | undefined;
  signal: AbortSignal;
  onProgress: (progress: LoadProgress) => void;
  /** Hears which instance is in use, so that an uncaught trap reaches the right one. */
  onWatch: (watch: CrashWatch) => void;
}

async function start(
  build: Build,
  request: DeviceRequest,
  adapter: Adapter | undefined,
): Promise<Omit<StartedDevice, "refused">> {
  const { signal, onProgress, onWatch, gpuDevice } = request;
  const boundary = await build.start(signal, (loaded, total, file) => {
    onProgress({ phase: "runtime", loaded, total, file, cached: false });
  });
  const watch = new CrashWatch();
  onWatch(watch);
  boundary.onPanic((message) => watch.panicked(message));
  try {
    const open = (): Promise<WasmDevice> => watch.guard(() => boundary.Device.open());
    let device: WasmDevice;
    if (adapter) {
      const opened = await handOver(adapter, gpuDevice, open);
      device = opened.value;
      // An instance opens its device once only, and keeps it for the next model.
      build.gpu ??= opened.device;
    } else {
      device = await open();
    }
    onProgress({ phase: "self-test", loaded: 0, total: undefined, file: undefined, cached: false });
    try {
      await watch.guard(() => device.selfTest());
    } catch (thrown) {
      if (!watch.error) device.free();
      throw thrown;
    }
    return { build, boundary, device, watch, gpu: build.gpu };
  } catch (thrown) {
    if (watch.error) build.abandon();
    throw thrown;
  }
}

/**
 * Starts the device that `option` asks for. `auto` tries WebGPU on a real adapter and goes on to the CPU, with the
 * reason kept; an explicit choice takes any adapter and rejects where it fails. The wasm file of WebGPU is fetched only
 * where there is an adapter.
 */
export async function startDevice(request: DeviceRequest): Promise<StartedDevice> {
  const { option, builds, gpuDevice, signal } = request;
  const refused: RefusedDevice[] = [];
  if (option !== "cpu") {
    try {
      const adapter = await findAdapter();
      const reason = option === "auto" && !gpuDevice ? softwareReason(adapter) : undefined;
      if (reason) throw new DeviceError(reason);
      if (lacksTimestamps(adapter)) throw new DeviceError("this GPU's driver has no timestamp-query, which the runtime needs");
      return { ...(await start(builds.webgpu, request, adapter)), refused };
    } catch (thrown) {
      const error = asFreeguideError(thrown);
      if (option === "webgpu" || gpuDevice || signal.aborted) throw error;
      refused.push({ kind: "webgpu", code: error.code, reason: error.message });
    }
  }
  return { ...(await start(builds.cpu, request, undefined)), refused };
}
