import type { Boundary, WasmDevice, WasmModel } from "./boundary.js";
import { dropCached, readCached, writeCached } from "./cache.js";
import { download, drain } from "./download.js";
import { asFreeguideError } from "./errors.js";
import type { LoadProgress } from "./types.js";

interface File {
  name: string;
  bytes: number;
  sha256: string;
}

/** What a load needs to know. */
export interface WeightsRequest {
  boundary: Boundary;
  device: WasmDevice;
  /** Address of the bundle's folder. */
  base: URL;
  configJson: string;
  useCache: boolean;
  signal: AbortSignal;
  onProgress: (progress: LoadProgress) => void;
}

/** A cached file that failed verification: forget it and start over. */
class StaleCache extends Error {}

/** Streams the weights into the runtime, which verifies each file, and returns the model. */
export async function loadWeights(request: WeightsRequest): Promise<WasmModel> {
  for (;;) {
    try {
      return await attempt(request);
    } catch (thrown) {
      // Each turn takes one damaged entry out of the cache, so this ends.
      if (!(thrown instanceof StaleCache)) throw thrown;
    }
  }
}

async function attempt(request: WeightsRequest): Promise<WasmModel> {
  const loader = new request.boundary.Loader(request.configJson, request.device);
  try {
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
  return loader.finish(); // consumes the loader, whatever comes of it
}

async function loadFile(
  { base, useCache, signal }: WeightsRequest,
  loader: InstanceType<Boundary["Loader"]>,
  file: File,
  report: (loaded: number, cached: boolean) => void,
): Promise<void> {
  const url = new URL(file.name, base);
  const cached = useCache ? await readCached(file.sha256) : undefined;
  const source = cached ? { stream: cached, bytes: file.bytes } : await download(url, signal);
  const writer = useCache && !cached ? await writeCached(file.sha256, file.bytes) : undefined;
  let loaded = 0;
  try {
    report(0, cached !== undefined);
    loader.begin(file.name);
    await drain(url, source, signal, (chunk) => {
      loader.push(chunk);
      writer?.write(chunk);
      loaded += chunk.length;
      report(loaded, cached !== undefined);
    });
    loader.end();
    writer?.commit();
  } catch (thrown) {
    writer?.discard();
    const { code } = asFreeguideError(thrown);
    if (cached && (code === "bundle" || code === "network")) {
      await dropCached(file.sha256);
      throw new StaleCache();
    }
    throw thrown;
  }
}
