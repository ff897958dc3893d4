import type { ModelConfig } from "./config.js";
import { AbortedError, FreeguideError, InputError, messageOf } from "./errors.js";
import { LOCAL_FILES } from "./local-files.js";
import type { Link } from "./link.js";
import { Model } from "./model.js";
import { baseUrl } from "./platform.js";
import { Session } from "./session.js";
import type { BundleFiles, LoadOptions } from "./types.js";

/** The address of a bundle's folder, absolute and with a slash at its end. */
export function bundleUrl(url: string | URL, base = baseUrl(), option = "url"): string {
  return folderUrl(String(url).replace(/\/config\.json(?=$|[?#])/, "/"), option, base);
}

/** The address of a folder, absolute and with a slash at its end. */
function folderUrl(url: string | URL, option: string, base = baseUrl()): string {
  let absolute;
  try {
    absolute = new URL(url, base);
  } catch (cause) {
    throw new InputError(`${JSON.stringify(String(url))} is not an address: ${messageOf(cause)}`, { detail: option, cause });
  }
  absolute.hash = "";
  if (!absolute.pathname.endsWith("/")) absolute.pathname += "/";
  return absolute.href;
}

/** `loadModel` over a given way to an engine. */
export async function loadModelOver(
  open: (worker: boolean | string | URL | undefined, runtime?: string) => Promise<Link>,
  source: string | URL | BundleFiles,
  options: LoadOptions = {},
): Promise<Model> {
  const { device = "auto", onProgress, onDevice, onDeviceLost, signal, cache = true, worker, precision = "auto", gpu, gpuDevice } = options;
  if (device !== "auto" && device !== "cpu" && device !== "webgpu") {
    throw new InputError(`device must be auto, cpu or webgpu, not ${JSON.stringify(device)}`, { detail: "device" });
  }
  if (gpuDevice !== undefined && device === "cpu") {
    throw new InputError("gpuDevice was given, and device says cpu", { detail: "gpuDevice" });
  }
  if (gpu !== undefined && typeof (gpu as { requestAdapter?: unknown } | null)?.requestAdapter !== "function") {
    throw new InputError("gpu must be a GPU object, with requestAdapter", { detail: "gpu" });
  }
  if (gpuDevice !== undefined && (gpuDevice as { features?: ReadonlySet<string> }).features?.has("timestamp-query") !== true) {
    throw new InputError('gpuDevice needs the feature "timestamp-query": name it in requiredFeatures', { detail: "gpuDevice" });
  }
  if (precision !== "auto" && precision !== "f32") {
    throw new InputError(`precision must be auto or f32, not ${JSON.stringify(precision)}`, { detail: "precision" });
  }
  const threads = threadsOf(options.threads);
  const files = source instanceof Map ? (source as BundleFiles) : undefined;
  const runtime = options.runtime === undefined ? undefined : folderUrl(options.runtime, "runtime");
  const url = files ? LOCAL_FILES : bundleUrl(source as string | URL);
  const guide = options.guide === undefined ? undefined : bundleUrl(options.guide, undefined, "guide");
  const aborted = (): AbortedError => new AbortedError("loading was aborted", { cause: signal?.reason });
  if (signal?.aborted) throw aborted();

  // No device and no GPU object can be handed to a worker.
  const own = gpuDevice !== undefined || gpu !== undefined;
  const session = await Session.over(() => open(own ? false : worker, runtime), {
    lost: (reason) => heard(() => onDeviceLost?.(reason)),
    device: (info) => heard(() => onDevice?.(info)),
    progress: (progress) => heard(() => onProgress?.(progress)),
  });
  const onAbort = (): void => session.end(aborted());
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    if (signal?.aborted) throw aborted(); // while the worker started
    const page = { ...(gpuDevice !== undefined && { gpuDevice }), ...(gpu !== undefined && { gpu }), ...(runtime !== undefined && { runtime }) };
    const request = { url, device, cache, threads, cores: coresHere(), half: precision === "auto", ...(files && { files }), ...(guide !== undefined && { guide }), ...page };
    const config = await session.load(request, (progress) => heard(() => onProgress?.(progress)));
    return new Model(session, JSON.parse(config) as ModelConfig);
  } catch (thrown) {
    if (thrown instanceof FreeguideError) session.end(thrown);
    throw thrown;
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

/** What a listener throws is an uncaught error of its own and stops nothing here. */
function heard(call: () => void): void {
  try {
    call();
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown;
    });
  }
}

/** The most workers that can be asked for. */
const MOST_THREADS = 64;

function threadsOf(threads: unknown): "auto" | number {
  if (threads === undefined || threads === "auto") return "auto";
  if (typeof threads !== "number" || !Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
    throw new InputError(`threads must be auto or a whole number from 1 to ${MOST_THREADS}, not ${String(threads)}`, { detail: "threads" });
  }
  return threads;
}

/** Cores of this machine; 1 where nobody says. */
function coresHere(): number {
  const { navigator } = globalThis as { navigator?: { hardwareConcurrency?: number } };
  return navigator?.hardwareConcurrency ?? 1;
}
