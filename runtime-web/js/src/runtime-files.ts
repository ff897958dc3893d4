/** One of the two builds of the runtime. */
export type RuntimeKind = "cpu" | "webgpu";

/**
 * Address of a runtime's WebAssembly file: inside `folder`, where a copy of the package lies, or beside this module.
 * Written out, so that bundlers find the files.
 */
export function runtimeUrl(kind: RuntimeKind, folder?: string): URL {
  if (folder !== undefined) return new URL(`wasm/${kind}/freeguide_${kind}_bg.wasm`, folder);
  return kind === "cpu"
    ? new URL("../wasm/cpu/freeguide_cpu_bg.wasm", import.meta.url)
    : new URL("../wasm/webgpu/freeguide_webgpu_bg.wasm", import.meta.url);
}

/** Address of a runtime's JavaScript, which lies beside its WebAssembly file unless a bundler has moved that. */
export function glueUrl(kind: RuntimeKind, folder?: string): URL {
  return new URL(`freeguide_${kind}.js`, runtimeUrl(kind, folder));
}
