import { NetworkError } from "./errors.js";
import type { BundleFiles } from "./types.js";

/** The scheme of the addresses that local files get. */
export const LOCAL_FILES = "freeguide-files:///";

/** A folder of local files, which have addresses until it is released. */
export interface LocalFolder {
  /** Address of the folder. */
  readonly base: URL;
  release(): void;
}

const folders = new Map<string, BundleFiles>();
let count = 0;

/**
 * Gives local files addresses, so that they are loaded in the same way as files of a server. They are not `blob:` addresses,
 * because a page's content security policy would have to allow those.
 */
export function addLocalFiles(files: BundleFiles): LocalFolder {
  const base = new URL(`${LOCAL_FILES}${count++}/`);
  folders.set(base.href, files);
  return { base, release: () => void folders.delete(base.href) };
}

/** The file at an address that `addLocalFiles` gave; undefined for any other address. Throws `NetworkError` if the folder has no such file. */
export function localFile(url: URL): Blob | undefined {
  if (!url.href.startsWith(LOCAL_FILES)) return undefined;
  const slash = url.href.indexOf("/", LOCAL_FILES.length) + 1;
  const name = decodeURIComponent(url.href.slice(slash));
  const file = folders.get(url.href.slice(0, slash))?.get(name);
  if (!file) throw new NetworkError(`there is no ${name} among the files`, { detail: "404" });
  return file;
}
