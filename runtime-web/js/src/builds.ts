import * as cpuGlue from "../wasm/cpu/freeguide_cpu.js";
import * as webgpuGlue from "../wasm/webgpu/freeguide_webgpu.js";
import type { Boundary } from "./boundary.js";
import { runtimeBytes } from "./built.js";
import { download, drain } from "./download.js";
import { DeviceError, messageOf } from "./errors.js";
import { runtimeUrl } from "./runtime-files.js";
import type { GpuDevice } from "./gpu.js";

/** One of the two builds of the wasm crate. */
export interface Build {
  readonly kind: "cpu" | "webgpu";
  /**
   * Instantiates the build, or hands out the instance there is. `onBytes` hears of every piece of the download; total
   * is undefined where it is not known.
   */
  start(signal: AbortSignal, onBytes: (loaded: number, total: number | undefined, file: string) => void): Promise<Boundary>;
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
  readonly kind: "cpu" | "webgpu";
  readonly #wasm: () => URL;
  #glue: Boundary;
  #started = false;
  #generation = 0;
  module: WebAssembly.Module | undefined;
  gpu: GpuDevice | undefined;

  constructor(kind: "cpu" | "webgpu", glue: unknown, wasm: () => URL) {
    this.kind = kind;
    this.#glue = glue as Boundary;
    this.#wasm = wasm;
  }

  async start(
    signal: AbortSignal,
    onBytes: (loaded: number, total: number | undefined, file: string) => void,
  ): Promise<Boundary> {
    if (this.#started) return this.#glue;
    if (!("default" in this.#glue)) {
      throw new DeviceError(`the ${this.kind} runtime is not part of this build of freeguide`);
    }
    const glue = this.#generation === 0 ? this.#glue : await this.#freshGlue();
    this.module ??= await compile(this.#wasm(), runtimeBytes[this.kind], signal, onBytes);
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
  async #freshGlue(): Promise<Boundary> {
    const path = `../wasm/${this.kind}/freeguide_${this.kind}.js?instance=${this.#generation}`;
    const url = new URL(path, import.meta.url).href;
    try {
      return (await import(/* @vite-ignore */ /* webpackIgnore: true */ url)) as Boundary;
    } catch (cause) {
      throw new DeviceError("the runtime crashed earlier and cannot be started again here; reload the page", { cause });
    }
  }
}

async function compile(
  url: URL,
  bytes: number,
  signal: AbortSignal,
  onBytes: (loaded: number, total: number | undefined, file: string) => void,
): Promise<WebAssembly.Module> {
  const file = url.pathname.split("/").pop() ?? "";
  const source = await download(url, signal);
  const total = bytes > 0 ? bytes : source.bytes;
  let loaded = 0;
  let interrupted: unknown;
  onBytes(0, total, file);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const take = (chunk: Uint8Array): void => {
        loaded += chunk.length;
        onBytes(loaded, total, file);
        controller.enqueue(chunk);
      };
      drain(url, source, signal, take).then(
        () => controller.close(),
        (thrown: unknown) => {
          interrupted = thrown;
          controller.error(thrown);
        },
      );
    },
  });
  const response = new Response(body, { headers: { "Content-Type": "application/wasm" } });
  try {
    // Compiles while it downloads, where that exists.
    return await (typeof WebAssembly.compileStreaming === "function"
      ? WebAssembly.compileStreaming(response)
      : WebAssembly.compile(await response.arrayBuffer()));
  } catch (cause) {
    // Compilers report a broken stream in words of their own.
    if (interrupted) throw interrupted;
    throw new DeviceError(`this browser cannot compile ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** The builds that ship with this package. */
export function packagedBuilds(): Builds {
  return {
    cpu: new WasmBuild("cpu", cpuGlue, () => runtimeUrl("cpu")),
    webgpu: new WasmBuild("webgpu", webgpuGlue, () => runtimeUrl("webgpu")),
  };
}
