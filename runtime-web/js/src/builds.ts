import * as cpuGlue from "../wasm/cpu/freeguide_cpu.js";
import * as webgpuGlue from "../wasm/webgpu/freeguide_webgpu.js";
import type { Boundary } from "./boundary.js";
import { runtimeBytes } from "./built.js";
import { compile, type OnBytes } from "./compile.js";
import { DeviceError } from "./errors.js";
import { engine } from "./platform.js";
import { glueUrl, runtimeUrl, type RuntimeKind } from "./runtime-files.js";
import type { GpuDevice } from "./gpu.js";

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

class WasmBuild implements Build {
  readonly kind: RuntimeKind;
  #glue: Boundary;
  #started = false;
  #generation = 0;
  module: WebAssembly.Module | undefined;
  gpu: GpuDevice | undefined;

  constructor(kind: RuntimeKind, glue: unknown) {
    this.kind = kind;
    this.#glue = glue as Boundary;
  }

  async start(signal: AbortSignal, onBytes: OnBytes, folder?: string): Promise<Boundary> {
    if (this.#started) return this.#glue;
    if (!("default" in this.#glue)) {
      throw new DeviceError(`the ${this.kind} runtime is not part of this build of freeguide`);
    }
    const glue = this.#generation === 0 ? this.#glue : await this.#freshGlue(folder);
    this.module ??= await compile(runtimeUrl(this.kind, folder), runtimeBytes[this.kind], signal, onBytes);
    await glue.default({ module_or_path: this.module });
    this.#glue = glue;
    this.#started = true;
    return glue;
  }

  async startFrom(module: WebAssembly.Module): Promise<Boundary> {
    await this.#glue.default({ module_or_path: module });
    this.#started = true;
    return this.#glue;
  }

  abandon(): void {
    if (!this.#started) return; // by several models of one thread, one after another
    this.#started = false;
    this.gpu = undefined;
    this.#generation += 1;
  }

  /**
   * wasm-bindgen keeps its instance in the module, so that a fresh instance takes a fresh module. A worker never gets
   * here, since it dies with its instance; a page that runs on its own thread does, and where a bundler moved the file
   * it has to be reloaded.
   */
  async #freshGlue(folder: string | undefined): Promise<Boundary> {
    const url = glueUrl(this.kind, folder);
    url.search = `?instance=${this.#generation}`;
    try {
      return (await import(/* @vite-ignore */ /* webpackIgnore: true */ /* turbopackIgnore: true */ url.href)) as Boundary;
    } catch (cause) {
      throw new DeviceError(`the runtime crashed earlier and cannot be started again here; ${engine() === "browser" ? "reload the page" : "start the program again"}`, { cause });
    }
  }
}

/** The builds that ship with this package. */
export function packagedBuilds(): Builds {
  return { cpu: new WasmBuild("cpu", cpuGlue), webgpu: new WasmBuild("webgpu", webgpuGlue) };
}
