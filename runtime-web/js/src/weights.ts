import type { Boundary, WasmDevice, WasmModel } from "./boundary.js";
import { dropCached, readCached, readCachedWhole, writeCached } from "./cache.js";
import { downloadResuming, drain } from "./download.js";
import { asFreeguideError } from "./errors.js";
import { localFile } from "./local-files.js";
import type { GpuDevice } from "./gpu.js";
import { checkMemory, type MemoryEstimate } from "./memory.js";
import type { LoadProgress } from "./types.js";

interface File {
  name: string;
  bytes: number;
  sha256: string;
}

/** A verified weights file: its name in the bundle, and its bytes. */
export interface WeightsFile {
  readonly name: string;
  readonly blob: Blob;
}

/** Receives the same bytes as the runtime does, so that a second instance loads the same model. */
export interface Mirror {
  begin(name: string): void;
  push(chunk: Uint8Array<ArrayBuffer>): void;
  end(): void;
  /** Everything again from the beginning. */
  restart(): void;
}

/** What a load needs to know. */
export interface WeightsRequest {
  boundary: Boundary;
  device: WasmDevice;
  /** Address of the bundle's folder. */
  base: URL;
  configJson: string;
  /** Whether the network may compute in 16 bits. */
  half: boolean;
  /** The GPU that will hold them. */
  gpu: GpuDevice | undefined;
  useCache: boolean;
  /** Files that the page holds in memory, by SHA-256. */
  memoryCache: ReadonlyMap<string, Blob>;
  signal: AbortSignal;
  onProgress: (progress: LoadProgress) => void;
  /** Hears of a verified file that the cache refused. */
  onRefused: (sha256: string, blob: Blob) => void;
  mirrors: readonly Mirror[];
}

/** A model, and the memory that it needs. */
export interface LoadedWeights {
  readonly model: WasmModel;
  readonly memory: MemoryEstimate;
}

/** Keeps the bytes of a load, as blobs, for another instance that is not ready yet. */
export class Collector implements Mirror {
  readonly #files: WeightsFile[] = [];
  #name = "";
  #pieces: Blob[] = [];

  begin(name: string): void {
    this.#name = name;
    this.#pieces = [];
  }

  push(chunk: Uint8Array<ArrayBuffer>): void {
    this.#pieces.push(new Blob([chunk]));
  }

  end(): void {
    this.#files.push({ name: this.#name, blob: new Blob(this.#pieces) });
    this.#pieces = [];
  }

  restart(): void {
    this.#files.length = 0;
  }

  /** The files, which are not kept any longer. */
  take(): WeightsFile[] {
    return this.#files.splice(0);
  }
}

/** Loads files that have been verified before into another instance. */
export async function loadFiles(
  { boundary, device, configJson, half, gpu }: Pick<WeightsRequest, "boundary" | "device" | "configJson" | "half" | "gpu">,
  files: readonly WeightsFile[],
): Promise<LoadedWeights> {
  const loader = new boundary.Loader(configJson, device, half);
  const memory = JSON.parse(loader.memory()) as MemoryEstimate;
  try {
    checkMemory(memory, gpu);
    for (const { name, blob } of files) {
      loader.begin(name);
      const reader = (blob.stream() as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
      for (let read = await reader.read(); read.value; read = await reader.read()) loader.push(read.value);
      loader.end();
    }
  } catch (thrown) {
    if (asFreeguideError(thrown).code !== "poisoned") loader.free();
    throw thrown;
  }
  return { model: loader.finish(), memory };
}

/** A cached file that failed verification: forget it and start over. */
class StaleCache extends Error {}

/** Streams the weights into the runtime, which verifies each file, and returns the model. */
export async function loadWeights(request: WeightsRequest): Promise<LoadedWeights> {
  for (;;) {
    try {
      return await attempt(request);
    } catch (thrown) {
      // Each turn takes one damaged entry out of the cache, so this ends.
      if (!(thrown instanceof StaleCache)) throw thrown;
      for (const mirror of request.mirrors) mirror.restart();
    }
  }
}

async function attempt(request: WeightsRequest): Promise<LoadedWeights> {
  const loader = new request.boundary.Loader(request.configJson, request.device, request.half);
  const memory = JSON.parse(loader.memory()) as MemoryEstimate;
  try {
    checkMemory(memory, request.gpu);
    const files = JSON.parse(loader.files()) as File[];
    const total = files.reduce((sum, file) => sum + file.bytes, 0);
    let before = 0;
    for (const file of files) {
      const report = (loaded: number, cached: boolean): void => {
        request.onProgress({ phase: "weights", loaded: before + loaded, total, file: file.name, cached });
      };
      await loadFile(request, loader, file, report);
      before += file.bytes;
    }
  } catch (thrown) {
    // A crashed instance must not be called again, not even to free memory.
    if (thrown instanceof StaleCache || asFreeguideError(thrown).code !== "poisoned") loader.free();
    throw thrown;
  }
  return { model: loader.finish(), memory }; // `finish` consumes the loader, whatever comes of it
}

async function loadFile(
  { base, useCache, memoryCache, signal, onRefused, mirrors }: WeightsRequest,
  loader: InstanceType<Boundary["Loader"]>,
  file: File,
  report: (loaded: number, cached: boolean) => void,
): Promise<void> {
  const url = new URL(file.name, base);
  const stored = useCache
    ? ((memoryCache.get(file.sha256)?.stream() as ReadableStream<Uint8Array<ArrayBuffer>> | undefined) ??
      (await readCached(file.sha256)))
    : undefined;
  const writer = useCache && !stored ? await writeCached(file.sha256, file.bytes) : undefined;
  let loaded = 0;
  const take = (chunk: Uint8Array<ArrayBuffer>): void => {
    loader.push(chunk);
    for (const mirror of mirrors) mirror.push(chunk);
    writer?.write(chunk);
    loaded += chunk.length;
    report(loaded, stored !== undefined);
  };
  try {
    report(0, stored !== undefined);
    loader.begin(file.name);
    for (const mirror of mirrors) mirror.begin(file.name);
    if (stored) await drain(url, { stream: stored, bytes: file.bytes }, signal, take);
    else await downloadResuming(url, file.bytes, signal, take);
    loader.end();
    for (const mirror of mirrors) mirror.end();
  } catch (thrown) {
    writer?.discard();
    const { code } = asFreeguideError(thrown);
    if (stored && !memoryCache.has(file.sha256) && (code === "bundle" || code === "network")) {
      await dropCached(file.sha256);
      throw new StaleCache();
    }
    throw thrown;
  }
  // Beside the load: the browser takes its time to write.
  void writer?.commit().then((refused) => {
    if (refused) onRefused(file.sha256, refused);
  });
}

/** The weights files of a loaded model, if all of them are local or cached; undefined otherwise, so that nothing is fetched twice. */
export async function cachedFiles({
  base,
  configJson,
  useCache,
  memoryCache,
}: Pick<WeightsRequest, "base" | "configJson" | "useCache" | "memoryCache">): Promise<WeightsFile[] | undefined> {
  const { weights } = JSON.parse(configJson) as { weights: { file: string; sha256: string }[] };
  const files: WeightsFile[] = [];
  for (const { file: name, sha256 } of weights) {
    const blob = localFile(new URL(name, base)) ?? (useCache ? (memoryCache.get(sha256) ?? (await readCachedWhole(sha256))) : undefined);
    if (!blob) return undefined;
    files.push({ name, blob });
  }
  return files;
}

/** The weights files that a config.json lists; none where it is no config.json, of which the loader complains. */
export function weightsOf(configJson: string): { file: string; bytes: number; sha256: string }[] {
  try {
    const { weights } = JSON.parse(configJson) as { weights: { file: string; bytes: number; sha256: string }[] };
    return weights.map(({ file, bytes, sha256 }) => ({ file, bytes, sha256 }));
  } catch {
    return [];
  }
}

/** Bytes of a bundle's weights. */
export function weightBytes(configJson: string): number {
  return weightsOf(configJson).reduce((sum, { bytes }) => sum + bytes, 0);
}
