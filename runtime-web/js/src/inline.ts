/**
 * `freeguide` in one module, for bundlers that copy no files: the worker and the CPU runtime are inside, as text. There is
 * no WebGPU in it. A worker starts from a `blob:` address, which a content security policy may forbid: then the model runs
 * on the calling thread.
 *
 * @packageDocumentation
 */
import type { Builds } from "./build.js";
import { Engine } from "./engine.js";
import { DeviceError, InputError } from "./errors.js";
import { cpuOnly } from "./inline/builds.js";
import { runtimeBase64, workerCode } from "./inline/contents.js";
import type { InlineRuntime } from "./inline/worker.js";
import { engineLink, openLink, type Link } from "./link.js";
import { loadModelOver } from "./load.js";
import type { Model } from "./model.js";
import type { BundleFiles, LoadOptions } from "./types.js";

export * from "./api.js";

/** Options of `loadModel()`: those of `freeguide` that do not need other files or a GPU. */
export interface InlineOptions extends Omit<LoadOptions, "device" | "worker" | "runtime" | "gpu" | "gpuDevice" | "precision"> {
  device?: "auto" | "cpu";
  /** False runs on the calling thread; true if left out. */
  worker?: boolean;
}

/** As `loadModel` of `freeguide`, on the CPU. */
export async function loadModel(source: string | URL | BundleFiles, options: InlineOptions = {}): Promise<Model> {
  const given = options as LoadOptions;
  for (const name of ["runtime", "gpu", "gpuDevice"] as const) {
    if (given[name] === undefined) continue;
    throw new InputError(`freeguide/inline has its runtime inside and takes no ${name}; import freeguide for that`, { detail: name });
  }
  if (given.worker !== undefined && typeof given.worker !== "boolean") {
    throw new InputError("freeguide/inline has its worker inside: worker must be true or false", { detail: "worker" });
  }
  return loadModelOver(openInline, source, { ...given, device: given.device === undefined || given.device === "auto" ? "cpu" : given.device });
}

function openInline(worker: boolean | string | URL | undefined): Promise<Link> {
  return openLink(worker as boolean | undefined, startWorker, callerLink);
}

let workerUrl: string | undefined;

function startWorker(): Worker {
  // Kept: the worker starts its helper from the same address.
  workerUrl ??= URL.createObjectURL(new Blob([workerCode], { type: "text/javascript" }));
  const worker = new Worker(workerUrl, { type: "module", name: "freeguide-worker" });
  const bytes = runtimeBytes();
  worker.postMessage({ to: "inline", bytes } satisfies InlineRuntime, [bytes]);
  return worker;
}

let sharedBuilds: Builds | undefined;

async function callerLink(): Promise<Link> {
  const builds = (sharedBuilds ??= cpuOnly(() => WebAssembly.compile(runtimeBytes())));
  return engineLink((post) => new Engine(builds, post));
}

function runtimeBytes(): ArrayBuffer {
  if (runtimeBase64 === "") throw new DeviceError("the cpu runtime is not part of this build of freeguide");
  const text = atob(runtimeBase64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return bytes.buffer;
}
