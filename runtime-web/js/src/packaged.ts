import { openLink, engineLink, type Link } from "./link.js";
import { loadModelOver } from "./load.js";
import type { Model } from "./model.js";
import { baseUrl } from "./platform.js";
import type { BundleFiles, LoadOptions } from "./types.js";

/**
 * Loads a bundle: the folder at an address (relative to the page; in Node to the working directory), which any static
 * host can serve, or files that are at hand. Runs in a worker of its own where one can be started.
 *
 * Rejects with `NetworkError` (a file could not be fetched), `BundleError` (damaged, incomplete, or of a newer format;
 * nothing half-loaded is ever used), `DeviceError` or `SelfTestError` (no device works), `AbortedError`, `InputError`.
 */
export async function loadModel(source: string | URL | BundleFiles, options: LoadOptions = {}): Promise<Model> {
  return loadModelOver(openPackaged, source, options);
}

/** A link to the packaged worker, to the one at an address of the caller's, or to an engine on this thread. */
export function openPackaged(worker: boolean | string | URL | undefined, runtime?: string): Promise<Link> {
  const own = runtime === undefined ? undefined : new URL("dist/worker.js", runtime);
  const address = typeof worker === "boolean" || worker === undefined ? own : worker;
  const wanted = typeof worker === "boolean" || worker === undefined ? worker : true;
  return openLink(wanted, () => startWorker(address), callerLink);
}

/** Starts the worker's file, or the one at `address`, relative to the page. */
function startWorker(address: string | URL | undefined): Worker {
  // The literal form of the address lets bundlers find the file.
  return address === undefined
    ? new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "freeguide-worker" })
    : new Worker(new URL(address, baseUrl()), { type: "module", name: "freeguide-worker" });
}

// One wasm instance per build serves every model of this thread, because the glue module holds only one.
let sharedBuilds: import("./build.js").Builds | undefined;

/** Runs the engine on this thread. */
async function callerLink(): Promise<Link> {
  const [{ Engine }, { packagedBuilds }] = await Promise.all([import("./engine.js"), import("./builds.js")]);
  const builds = (sharedBuilds ??= packagedBuilds());
  return engineLink((post) => new Engine(builds, post));
}
