import { NetworkError } from "./errors.js";
import type { BundleFiles } from "./types.js";

/** What stands for an address where a bundle's files are at hand. */
export const FILES_AT_HAND = "freeguide-files:///";

/** Files that have addresses until they are released. */
export interface HeldFiles {
  /** Address of the folder that they are in. */
  readonly base: URL;
  release(): void;
}

const folders = new Map<string, BundleFiles>();
let count = 0;

/**
 * Gives files addresses, so that they are loaded as files of a server are. Not `blob:` addresses: fetching those is
 * something that a page's policy would have to allow.
 */
export function holdFiles(files: BundleFiles): HeldFiles {
  const base = new URL(`${FILES_AT_HAND}${count++}/`);
  folders.set(base.href, files);
  return { base, release: () => void folders.delete(base.href) };
}

/** The file at an address that `holdFiles` gave; undefined for any other. Throws `NetworkError` where it is not there. */
export function heldFile(url: URL): Blob | undefined {
  if (!url.href.startsWith(FILES_AT_HAND)) return undefined;
  const slash = url.href.indexOf("/", FILES_AT_HAND.length) + 1;
  const name = decodeURIComponent(url.href.slice(slash));
  const file = folders.get(url.href.slice(0, slash))?.get(name);
  if (!file) throw new NetworkError(`there is no ${name} among the files`, { detail: "404" });
  return file;
}
