import * as cpuGlue from "../wasm/cpu/freeguide_cpu.js";
import * as webgpuGlue from "../wasm/webgpu/freeguide_webgpu.js";
import { WasmBuild, type Builds } from "./build.js";
import { runtimes } from "./built.js";
import { compile } from "./compile.js";
import { glueUrl, runtimeUrl, type RuntimeKind } from "./runtime-files.js";
import { checkVersion } from "./version.js";

function packagedBuild(kind: RuntimeKind, glue: unknown): WasmBuild {
  return new WasmBuild(kind, {
    // A fresh instance takes a fresh module. A worker never gets here, since it dies with its instance; a page that runs on
    // its own thread does, and where a bundler moved the file it has to be reloaded.
    glue(instance, folder) {
      if (instance === 0) return glue;
      const url = glueUrl(kind, folder);
      url.search = `?instance=${instance}`;
      return import(/* @vite-ignore */ /* webpackIgnore: true */ /* turbopackIgnore: true */ url.href) as Promise<unknown>;
    },
    async compile(signal, onBytes, folder) {
      const url = runtimeUrl(kind, folder);
      const module = await compile(url, runtimes[kind].bytes, signal, onBytes);
      checkVersion(module, kind, url.href);
      return module;
    },
  });
}

/** The builds that ship with this package. */
export function packagedBuilds(): Builds {
  return { cpu: packagedBuild("cpu", cpuGlue), webgpu: packagedBuild("webgpu", webgpuGlue) };
}
