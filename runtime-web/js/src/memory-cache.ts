import type { CachedFile } from "./types.js";

// Blobs, so that the bytes are the browser's and a worker gets them without a copy.
const files = new Map<string, Blob>();

/** Holds a verified file that the Cache API refused, for as long as this page is open. */
export function keepInMemory(sha256: string, blob: Blob): void {
  files.set(sha256, blob);
}

/** The files that this page holds in memory, by SHA-256. */
export function memoryCache(): ReadonlyMap<string, Blob> {
  return files;
}

/** The same files as entries of `cache.list()`. */
export function listMemoryCache(): CachedFile[] {
  return [...files].map(([sha256, blob]) => ({ sha256, bytes: blob.size, where: "memory" }));
}

/** Forgets the file of that SHA-256 or, without one, every file. */
export function dropFromMemory(sha256?: string): void {
  if (sha256 === undefined) files.clear();
  else files.delete(sha256);
}
