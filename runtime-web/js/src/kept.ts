import type { CachedFile } from "./cache.js";

// Blobs, so that the bytes are the browser's and a worker gets them without a copy.
const files = new Map<string, Blob>();

/** Keeps a verified file that the cache refused, as long as this page is open. */
export function keep(sha256: string, blob: Blob): void {
  files.set(sha256, blob);
}

/** The files that this page keeps, by SHA-256. */
export function keptFiles(): ReadonlyMap<string, Blob> {
  return files;
}

/** The same as `cache.list()` says it. */
export function listKept(): CachedFile[] {
  return [...files].map(([sha256, blob]) => ({ sha256, bytes: blob.size, where: "memory" }));
}

/** Forgets the file of that SHA-256 or, without one, every file. */
export function dropKept(sha256?: string): void {
  if (sha256 === undefined) files.clear();
  else files.delete(sha256);
}
