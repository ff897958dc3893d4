import type { BundleFiles } from "freeguide";
import type { Source } from "../app/host.js";

/** A file with its path below what was dropped or chosen. */
export interface PlacedFile {
  readonly path: string;
  readonly file: File;
}

const CONFIG = "config.json";
/** Depth of folders that are searched, so that a home folder dropped by mistake does not hang the page. */
const DEEPEST = 4;

/** All files of a drop, including those in folders. Must be called while the drop event is handled. */
export async function droppedFiles(data: DataTransfer): Promise<PlacedFile[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return [...data.files].map((file) => ({ path: file.name, file }));
  return (await Promise.all(entries.map((entry) => filesBelow(entry, 0)))).flat();
}

/** The files of `<input type="file" webkitdirectory>`. */
export function chosenFiles(files: FileList): PlacedFile[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

async function filesBelow(entry: FileSystemEntry, depth: number): Promise<PlacedFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  if (depth >= DEEPEST) return [];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: PlacedFile[] = [];
  // A reader returns entries in batches and ends with an empty one.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    found.push(...(await Promise.all(some.map((each) => filesBelow(each, depth + 1)))).flat());
  }
}

/** The bundle among files: the folder of the outermost `config.json`. Undefined if there is none. */
export function sourceOf(files: readonly PlacedFile[]): Source | undefined {
  const configs = files.filter(({ path }) => path === CONFIG || path.endsWith(`/${CONFIG}`));
  const [outermost] = configs.sort((a, b) => a.path.split("/").length - b.path.split("/").length);
  if (!outermost) return undefined;
  const folder = outermost.path.slice(0, -CONFIG.length);
  const below = files.filter(({ path }) => path.startsWith(folder));
  const bundle: BundleFiles = new Map(below.map(({ path, file }) => [path.slice(folder.length), file]));
  return { asked: undefined, name: folder.replace(/\/$/, "") || "a dropped model", bundle };
}
