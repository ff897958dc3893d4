// Stands in for wasm-bindgen's own declarations, which exist only once the crate was built; `boundary.ts` has the types.
declare module "*/freeguide_cpu.js";
declare module "*/freeguide_webgpu.js";
