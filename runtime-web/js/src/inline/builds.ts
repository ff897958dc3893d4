import { WasmBuild, type Build, type Builds } from "../build.js";
import { DeviceError } from "../errors.js";
import { makeGlue } from "./glue.js";

/** The CPU build around a module that is at hand. Every instance has glue of its own. */
export function cpuBuild(module: () => Promise<WebAssembly.Module>): Build {
  return new WasmBuild("cpu", { glue: makeGlue, compile: module });
}

/** Builds of an entry that has the CPU runtime only. */
export function cpuOnly(module: () => Promise<WebAssembly.Module>): Builds {
  const compile = async (): Promise<never> => {
    throw new DeviceError("this entry of freeguide has no WebGPU runtime");
  };
  return { cpu: cpuBuild(module), webgpu: new WasmBuild("webgpu", { glue: () => ({ default: compile }), compile }) };
}
