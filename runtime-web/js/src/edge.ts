/**
 * Models on an edge platform, which compiles no fetched WebAssembly and has no workers: a model is given the compiled
 * runtime, runs where it is called, and serves many requests.
 *
 * ```js
 * import { loadModel, pictureToPng } from "freeguide/edge";
 * import runtime from "freeguide/wasm/cpu/freeguide_cpu_bg.wasm"; // a WebAssembly.Module, as the platform compiles it
 *
 * const model = await loadModel("https://example.org/models/emoji16/", { runtime });
 * const [picture] = await model.generate({ classes: ["food-drink"], seed: 7 });
 * const response = new Response(await pictureToPng(picture));
 * ```
 *
 * @packageDocumentation
 */
import { startCpu } from "./device.js";
import { DirectSession } from "./edge/session.js";
import { AbortedError, InputError, messageOf, NetworkError } from "./errors.js";
import { cpuOnly } from "./inline/builds.js";
import { bundleUrl } from "./load.js";
import type { ModelConfig } from "./config.js";
import { checkMemory, type MemoryEstimate } from "./memory.js";
import { Model } from "./model.js";
import { checkVersion } from "./version.js";
import { loadFiles, weightsOf, type WeightsFile } from "./weights.js";

export * from "./api.js";

/** A bundle's files by name. */
export type EdgeFiles = ReadonlyMap<string, ArrayBuffer | Uint8Array<ArrayBuffer> | Blob>;

/** Options of `loadModel()`. */
export interface EdgeOptions {
  /** The compiled CPU runtime, `wasm/cpu/freeguide_cpu_bg.wasm` of this package. */
  runtime: WebAssembly.Module;
  /** What fetches the bundle's files, for instance that of a binding of static files; the global one if left out. */
  fetch?: ((url: string, init: { signal: AbortSignal }) => Promise<Response>) | undefined;
  /** The memory that the platform gives, in bytes: 128 MiB if left out, as on Cloudflare. What needs more is refused. */
  memory?: number | undefined;
  /** Ends the load. */
  signal?: AbortSignal | undefined;
}

/**
 * Loads a bundle from its absolute address, or from its files. Every call makes an instance of its own: keep the model, in a
 * global variable, and not the promise, which never settles where the request that made it has ended.
 *
 * Rejects with `InputError`, `NetworkError`, `BundleError`, `DeviceError` (the runtime is of another version, or the model
 * needs more memory than there is),
 * `SelfTestError`, `AbortedError`.
 */
export async function loadModel(source: string | URL | EdgeFiles, options: EdgeOptions): Promise<Model> {
  const { runtime, fetch = globalThis.fetch.bind(globalThis), memory: platform = 128 << 20, signal = new AbortController().signal } = options;
  if (typeof platform !== "number" || !(platform > 0)) throw new InputError("memory must be a number of bytes above 0", { detail: "memory" });
  if (!(runtime instanceof WebAssembly.Module)) {
    throw new InputError("runtime must be a WebAssembly.Module, compiled from this package's wasm/cpu/freeguide_cpu_bg.wasm", { detail: "runtime" });
  }
  checkVersion(runtime, "cpu", "given as runtime");
  const read = source instanceof Map ? fromFiles(source as EdgeFiles) : fromAddress(bundleUrl(source as string | URL), fetch, signal);
  const configJson = await (await read("config.json")).text();
  const builds = cpuOnly(async () => runtime);
  const started = await startCpu({ builds, gpuDevice: undefined, runtime: undefined, signal, onProgress: () => {} });
  const { boundary, device, watch } = started;
  // Before any weights are fetched.
  await watch.guard(() => {
    const loader = new boundary.Loader(configJson, device, false);
    const estimate = JSON.parse(loader.memory()) as MemoryEstimate;
    loader.free();
    checkMemory(estimate, undefined, platform);
  });
  const files: WeightsFile[] = [];
  for (const { file: name } of weightsOf(configJson)) files.push({ name, blob: await read(name) });
  if (signal.aborted) throw new AbortedError("loading was aborted", { cause: signal.reason });
  const { model, memory } = await watch.guard(() => loadFiles({ boundary, device, configJson, half: false, gpu: undefined }, files));
  return new Model(new DirectSession(started, model, { memory, platform }), JSON.parse(model.config) as ModelConfig);
}

type Read = (name: string) => Promise<Blob>;

function fromFiles(files: EdgeFiles): Read {
  return async (name) => {
    const file = files.get(name);
    if (file === undefined) throw new NetworkError(`there is no ${name} among the files`, { detail: "404" });
    return file instanceof Blob ? file : new Blob([file]);
  };
}

function fromAddress(base: string, fetch: NonNullable<EdgeOptions["fetch"]>, signal: AbortSignal): Read {
  return async (name) => {
    const url = new URL(name, base).href;
    try {
      const response = await fetch(url, { signal });
      if (response.ok) return await response.blob();
      throw new NetworkError(`cannot load ${url}: the server answered ${response.status}`, { detail: String(response.status) });
    } catch (thrown) {
      if (thrown instanceof NetworkError) throw thrown;
      if (signal.aborted) throw new AbortedError("loading was aborted", { cause: signal.reason });
      throw new NetworkError(`cannot load ${url}: ${messageOf(thrown)}`, { cause: thrown });
    }
  };
}
