import type { Boundary, WasmDevice, WasmModel } from "./boundary.js";
import { dropCached, readCached, readCachedWhole, writeCached } from "./cache.js";
import { downloadResuming, drain } from "./download.js";
import { asFreeguideError } from "./errors.js";
import { heldFile } from "./files-at-hand.js";
import type { GpuDevice } from "./gpu.js";
import type { FileAtHand } from "./helper.js";
import { checkMemory, type MemoryEstimate } from "./memory.js";
import type { LoadProgress } from "./types.js";

interface File {
  name: string;
  bytes: number;
  sha256: string;
}

/** Hears the bytes that the runtime gets, to load another instance with them. */
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
  /** Files that the page keeps, by SHA-256. */
  kept: ReadonlyMap<string, Blob>;
  signal: AbortSignal;
  onProgress: (progress: LoadProgress) => void;
  /** Hears of a verified file that the cache refused. */
  onRefused: (sha256: string, blob: Blob) => void;
  mirror: Mirror | undefined;
}

/** A model, and the memory that it needs. */
export interface LoadedWeights {
  readonly model: WasmModel;
  readonly memory: MemoryEstimate;
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
      request.mirror?.restart();
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
  { base, useCache, kept, signal, onRefused, mirror }: WeightsRequest,
  loader: InstanceType<Boundary["Loader"]>,
  file: File,
  report: (loaded: number, cached: boolean) => void,
): Promise<void> {
  const url = new URL(file.name, base);
  const stored = useCache
    ? ((kept.get(file.sha256)?.stream() as ReadableStream<Uint8Array<ArrayBuffer>> | undefined) ??
      (await readCached(file.sha256)))
    : undefined;
  const writer = useCache && !stored ? await writeCached(file.sha256, file.bytes) : undefined;
  let loaded = 0;
  const take = (chunk: Uint8Array<ArrayBuffer>): void => {
    loader.push(chunk);
    mirror?.push(chunk);
    writer?.write(chunk);
    loaded += chunk.length;
    report(loaded, stored !== undefined);
  };
  try {
    report(0, stored !== undefined);
    loader.begin(file.name);
    mirror?.begin(file.name);
    if (stored) await drain(url, { stream: stored, bytes: file.bytes }, signal, take);
    else await downloadResuming(url, file.bytes, signal, take);
    loader.end();
    mirror?.end();
  } catch (thrown) {
    writer?.discard();
    const { code } = asFreeguideError(thrown);
    if (stored && !kept.has(file.sha256) && (code === "bundle" || code === "network")) {
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

/** A loaded model's files, where all of them are at hand; undefined otherwise, since nothing is fetched twice. */
export async function filesAtHand({
  base,
  configJson,
  useCache,
  kept,
}: Pick<WeightsRequest, "base" | "configJson" | "useCache" | "kept">): Promise<FileAtHand[] | undefined> {
  const { weights } = JSON.parse(configJson) as { weights: { file: string; sha256: string }[] };
  const files: FileAtHand[] = [];
  for (const { file: name, sha256 } of weights) {
    const blob = heldFile(new URL(name, base)) ?? (useCache ? (kept.get(sha256) ?? (await readCachedWhole(sha256))) : undefined);
    if (!blob) return undefined;
    files.push({ name, blob });
  }
  return files;
}
