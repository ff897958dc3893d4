/** Address of a runtime's WebAssembly file. Written out, so that bundlers find the files. */
export function runtimeUrl(kind: "cpu" | "webgpu"): URL {
  return kind === "cpu"
    ? new URL("../wasm/cpu/freeguide_cpu_bg.wasm", import.meta.url)
    : new URL("../wasm/webgpu/freeguide_webgpu_bg.wasm", import.meta.url);
}
