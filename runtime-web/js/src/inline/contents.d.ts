// Written by scripts/build.mjs, since only the build has the runtime.

/** The program of the worker, as a module that imports nothing. */
export const workerCode: string;
/** The CPU runtime's WebAssembly in base64; empty where it was not built. */
export const runtimeBase64: string;
