/**
 * Weights by content hash, in the Cache API. Two sites' bundles with the same file share one entry, an address that
 * changes costs nothing, and an entry can never be out of date. Every function does without where the cache is refused
 * (insecure context, private window, quota, Node).
 */

const NAME = "freeguide-weights-v1";

/** One cached weights file. */
export interface CachedFile {
  readonly sha256: string;
  readonly bytes: number;
}

async function open(): Promise<Cache | undefined> {
  try {
    return await globalThis.caches?.open(NAME);
  } catch {
    return undefined;
  }
}

// Never fetched: entries need an address, and this one says what is in it.
function addressOf(sha256: string): string {
  return new URL(`/freeguide-weights/sha256/${sha256}`, globalThis.location.href).href;
}

/** The cached file as a stream, or undefined. */
export async function readCached(sha256: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined> {
  try {
    const response = await (await open())?.match(addressOf(sha256));
    return (response?.body as ReadableStream<Uint8Array<ArrayBuffer>> | null | undefined) ?? undefined;
  } catch {
    return undefined;
  }
}

/** A file on its way into the cache, chunk by chunk, where it appears only once `commit` says that it was verified. */
export interface CacheWriter {
  write(chunk: Uint8Array<ArrayBuffer>): void;
  commit(): void;
  discard(): void;
}

/** Starts to write a file, or returns undefined where there is no cache. */
export async function writeCached(sha256: string, bytes: number): Promise<CacheWriter | undefined> {
  const cache = await open();
  if (!cache) return undefined;
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
    },
    cancel() {
      controller = undefined; // the cache gave up (quota): go on without
    },
  });
  const finish = (then: (open: ReadableStreamDefaultController<Uint8Array>) => void): void => {
    const open = controller;
    controller = undefined;
    if (open) then(open);
  };
  // A body that ends in an error is not stored.
  const headers = { "Content-Type": "application/octet-stream", "Content-Length": String(bytes) };
  cache.put(addressOf(sha256), new Response(body, { headers })).catch(() => {
    controller = undefined;
  });
  return {
    write: (chunk) => controller?.enqueue(chunk),
    commit: () => finish((open) => open.close()),
    discard: () => finish((open) => open.error(new Error("not verified"))),
  };
}

/** Removes a file that turned out to be damaged. */
export async function dropCached(sha256: string): Promise<void> {
  try {
    await (await open())?.delete(addressOf(sha256));
  } catch {
    // Nothing to remove where there is no cache.
  }
}

/** The weights that this origin has cached. Empty where there is no cache. */
export async function listCachedWeights(): Promise<CachedFile[]> {
  const cache = await open();
  if (!cache) return [];
  const files: CachedFile[] = [];
  for (const request of await cache.keys()) {
    const length = (await cache.match(request))?.headers.get("Content-Length");
    files.push({ sha256: request.url.slice(request.url.lastIndexOf("/") + 1), bytes: Number(length ?? 0) });
  }
  return files;
}

/** Forgets every cached weights file of this origin. */
export async function clearCachedWeights(): Promise<void> {
  try {
    await globalThis.caches?.delete(NAME);
  } catch {
    // Nothing to forget where there is no cache.
  }
}
