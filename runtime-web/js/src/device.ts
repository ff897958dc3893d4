import type { Boundary, WasmDevice } from "./boundary.js";
import type { Build, Builds } from "./builds.js";
import { CrashWatch } from "./crash.js";
import { asFreeguideError, DeviceError } from "./errors.js";
import type { DeviceOption, LoadProgress, RefusedDevice } from "./types.js";

/** A device that passed its self-test. */
export interface StartedDevice {
  build: Build;
  boundary: Boundary;
  device: WasmDevice;
  watch: CrashWatch;
  refused: RefusedDevice[];
}

/** What starting a device needs from the engine. */
export interface DeviceRequest {
  option: DeviceOption;
  builds: Builds;
  signal: AbortSignal;
  onProgress: (progress: LoadProgress) => void;
  /** Hears which instance is in use, so that an uncaught trap reaches the right one. */
  onWatch: (watch: CrashWatch) => void;
}

// The part of WebGPU that is looked at here; the types are not in every TypeScript library.
interface Adapter {
  readonly isFallbackAdapter?: boolean;
  readonly info?: AdapterInfo;
}
interface AdapterInfo {
  readonly vendor?: string;
  readonly architecture?: string;
  readonly device?: string;
  readonly description?: string;
  readonly isFallbackAdapter?: boolean;
}
interface Gpu {
  requestAdapter(options?: { powerPreference?: "high-performance" }): Promise<Adapter | null>;
}

const software = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|warp/i;

/** Why `adapter` is a CPU in disguise, or undefined for a real GPU. A renderer on the CPU is slower than the CPU build. */
export function softwareReason({ info, isFallbackAdapter }: Adapter): string | undefined {
  const words = [info?.description, info?.device, info?.architecture, info?.vendor].filter(Boolean).join(" ");
  if (info?.isFallbackAdapter || isFallbackAdapter) {
    return `the adapter is a software fallback${words && ` (${words})`}`;
  }
  return software.test(words) ? `the adapter renders in software (${words})` : undefined;
}

async function findAdapter(): Promise<Adapter> {
  const gpu = (globalThis as { navigator?: { gpu?: Gpu } }).navigator?.gpu;
  if (!gpu) throw new DeviceError("this browser has no WebGPU, or the page is not in a secure context");
  let adapter;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (cause) {
    throw new DeviceError(`WebGPU refused an adapter: ${asFreeguideError(cause).message}`, { cause });
  }
  if (!adapter) throw new DeviceError("WebGPU offers no adapter on this machine");
  return adapter;
}

async function start(build: Build, request: DeviceRequest): Promise<Omit<StartedDevice, "refused">> {
  const { signal, onProgress, onWatch } = request;
  const boundary = await build.start(signal, (loaded, total, file) => {
    onProgress({ phase: "runtime", loaded, total, file, cached: false });
  });
  const watch = new CrashWatch();
  onWatch(watch);
  try {
    const device = await watch.guard(() => boundary.Device.open());
    onProgress({ phase: "self-test", loaded: 0, total: undefined, file: undefined, cached: false });
    try {
      await watch.guard(() => device.selfTest());
    } catch (thrown) {
      if (!watch.error) device.free();
      throw thrown;
    }
    return { build, boundary, device, watch };
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
  const { option, builds, signal } = request;
  const refused: RefusedDevice[] = [];
  if (option !== "cpu") {
    try {
      const adapter = await findAdapter();
      const reason = option === "auto" ? softwareReason(adapter) : undefined;
      if (reason) throw new DeviceError(reason);
      return { ...(await start(builds.webgpu, request)), refused };
    } catch (thrown) {
      const error = asFreeguideError(thrown);
      if (option === "webgpu" || signal.aborted) throw error;
      refused.push({ kind: "webgpu", code: error.code, reason: error.message });
    }
  }
  return { ...(await start(builds.cpu, request)), refused };
}
