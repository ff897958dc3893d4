/**
 * Weights by content hash, in the Cache API. Two sites' bundles with the same file share one entry, an address that
 * changes costs nothing, and an entry can never be out of date. Where the cache refuses (quota, private window) the page
 * keeps verified files as long as it is open; where there is none (Node, insecure context) nothing is kept.
 */
import { dropFromMemory, listMemoryCache } from "./memory-cache.js";
import type { CachedFile } from "./types.js";

const NAME = "freeguide-weights-v2";
/** Its entries had addresses of the page's origin, which a worker from a `blob:` address and a server do not have. */
const OLD_NAME = "freeguide-weights-v1";

let droppedOld: Promise<boolean> | undefined;

async function open(): Promise<Cache | undefined> {
  try {
    await (droppedOld ??= globalThis.caches?.delete(OLD_NAME).catch(() => false));
    return await globalThis.caches?.open(NAME);
  } catch {
    return undefined;
  }
}

// Never fetched: entries need an address, and this one says what is in it.
function addressOf(sha256: string): string {
  return `https://weights.freeguide.invalid/sha256/${sha256}`;
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

/** The cached file, or undefined. */
export async function readCachedWhole(sha256: string): Promise<Blob | undefined> {
  try {
    return await (await (await open())?.match(addressOf(sha256)))?.blob();
  } catch {
    return undefined;
  }
}

/** A file on its way into the cache, chunk by chunk, where it appears only once `commit` says that it was verified. */
export interface CacheWriter {
  write(chunk: Uint8Array<ArrayBuffer>): void;
  /** Resolves to the file itself where the cache refused it, else to undefined. */
  commit(): Promise<Blob | undefined>;
  discard(): void;
}

// Pieces of this size leave the heap for wherever the browser keeps blobs.
const PIECE = 4 << 20;

/** Starts to write a file of `bytes` bytes; undefined where there is no cache at all. */
export async function writeCached(sha256: string, bytes: number): Promise<CacheWriter | undefined> {
  if (!globalThis.caches) return undefined;
  const cache = await open();
  let pieces: Blob[] = [];
  let piece: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const flush = (): void => {
    if (size > 0) pieces.push(new Blob(piece));
    piece = [];
    size = 0;
  };
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let stored: Promise<boolean> = Promise.resolve(false);
  if (cache) {
    const body = new ReadableStream<Uint8Array>({
      start(given) {
        controller = given;
      },
      cancel() {
        controller = undefined; // the cache gave up (quota)
      },
    });
    // A body that ends in an error is not stored.
    const headers = { "Content-Type": "application/octet-stream", "Content-Length": String(bytes) };
    stored = cache.put(addressOf(sha256), new Response(body, { headers })).then(
      () => true,
      () => {
        controller = undefined;
        return false;
      },
    );
  }
  return {
    write(chunk) {
      controller?.enqueue(chunk);
      piece.push(chunk);
      size += chunk.length;
      if (size >= PIECE) flush();
    },
    async commit() {
      flush();
      const whole = pieces;
      pieces = [];
      controller?.close();
      controller = undefined;
      return (await stored) ? undefined : new Blob(whole);
    },
    discard() {
      pieces = [];
      piece = [];
      controller?.error(new Error("not verified"));
      controller = undefined;
    },
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

async function listDisk(): Promise<CachedFile[]> {
  const files: CachedFile[] = [];
  try {
    const cache = await open();
    for (const request of (await cache?.keys()) ?? []) {
      const length = (await cache?.match(request))?.headers.get("Content-Length");
      const sha256 = request.url.slice(request.url.lastIndexOf("/") + 1);
      files.push({ sha256, bytes: Number(length ?? 0), where: "disk" });
    }
  } catch {
    // A cache that cannot be read has nothing.
  }
  return files;
}

/** The weights that `loadModel` has kept, by content hash. */
export const cache = {
  /** What is kept for this origin and by this page. */
  async list(): Promise<CachedFile[]> {
    return [...(await listDisk()), ...listMemoryCache()];
  },
  /** Forgets the file of that SHA-256 or, without one, every file. Models that are loaded are not touched. */
  async delete(sha256?: string): Promise<void> {
    dropFromMemory(sha256);
    if (sha256 !== undefined) return dropCached(sha256);
    try {
      await globalThis.caches?.delete(NAME);
    } catch {
      // Nothing to forget where there is no cache.
    }
  },
};
