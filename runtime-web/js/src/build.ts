import type { Boundary } from "./boundary.js";
import type { OnBytes } from "./compile.js";
import { DeviceError } from "./errors.js";
import type { GpuDevice } from "./gpu.js";
import { engine } from "./platform.js";
import type { RuntimeKind } from "./runtime-files.js";

/** One of the two builds of the wasm crate. */
export interface Build {
  readonly kind: RuntimeKind;
  /**
   * Instantiates the build, or hands out the instance there is. `onBytes` hears of every piece of the download; total
   * is undefined where it is not known. `folder`: where a copy of the package lies, if not around this module.
   */
  start(signal: AbortSignal, onBytes: OnBytes, folder?: string): Promise<Boundary>;
  /** Instantiates a build that another thread has compiled. */
  startFrom(module: WebAssembly.Module): Promise<Boundary>;
  /** Says that the instance crashed or lost its device: the next start makes a fresh one. */
  abandon(): void;
  /** What was compiled, once it was started. */
  readonly module: WebAssembly.Module | undefined;
  /** The device below the instance, where it has one of WebGPU. */
  gpu: GpuDevice | undefined;
}

/** Both builds. The few kilobytes of glue are imported with the engine; the wasm files only once they are started. */
export interface Builds {
  readonly cpu: Build;
  readonly webgpu: Build;
}

/** Where a build comes from. */
export interface BuildSource {
  /**
   * wasm-bindgen's module, which keeps one instance: for the first instance, or a fresh copy for the one of that number.
   * Rejects where there is no fresh copy. A module without `default` says that the build is not there.
   */
  glue(instance: number, folder: string | undefined): unknown;
  /** Compiles the WebAssembly. */
  compile(signal: AbortSignal, onBytes: OnBytes, folder: string | undefined): Promise<WebAssembly.Module>;
}

/** A build whose glue and WebAssembly come from `source`. */
export class WasmBuild implements Build {
  readonly kind: RuntimeKind;
  readonly #source: BuildSource;
  #glue: Boundary | undefined;
  #generation = 0;
  #turn: Promise<unknown> = Promise.resolve();
  module: WebAssembly.Module | undefined;
  gpu: GpuDevice | undefined;

  constructor(kind: RuntimeKind, source: BuildSource) {
    this.kind = kind;
    this.#source = source;
  }

  /** One start after another: two instances at once would take the glue from each other. */
  start(signal: AbortSignal, onBytes: OnBytes, folder?: string): Promise<Boundary> {
    const start = this.#turn.then(() => this.#start(signal, onBytes, folder));
    this.#turn = start.catch(() => {});
    return start;
  }

  async #start(signal: AbortSignal, onBytes: OnBytes, folder: string | undefined): Promise<Boundary> {
    if (this.#glue) return this.#glue;
    const glue = await this.#freshGlue(folder);
    this.module ??= await this.#source.compile(signal, onBytes, folder);
    return this.#instantiate(glue, this.module);
  }

  async startFrom(module: WebAssembly.Module): Promise<Boundary> {
    return this.#instantiate(await this.#freshGlue(undefined), module);
  }

  abandon(): void {
    if (!this.#glue) return; // by several models of one thread, one after another
    this.#glue = undefined;
    this.gpu = undefined;
    this.#generation += 1;
  }

  async #instantiate(glue: Boundary, module: WebAssembly.Module): Promise<Boundary> {
    try {
      await glue.default({ module_or_path: module });
    } catch (cause) {
      if (!(cause instanceof WebAssembly.LinkError)) throw cause;
      throw new DeviceError(`the ${this.kind} runtime does not fit this build of freeguide: serve both from one build`, { detail: "version", cause });
    }
    this.#glue = glue;
    return glue;
  }

  async #freshGlue(folder: string | undefined): Promise<Boundary> {
    let glue;
    try {
      glue = (await this.#source.glue(this.#generation, folder)) as object;
    } catch (cause) {
      const again = engine() === "browser" ? "reload the page" : "start the program again";
      throw new DeviceError(`the runtime crashed earlier and cannot be started again here; ${again}`, { cause });
    }
    if (!("default" in glue)) throw new DeviceError(`the ${this.kind} runtime is not part of this build of freeguide`);
    return glue as Boundary;
  }
}
