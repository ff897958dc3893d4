// Written by scripts/build.mjs from the glue of the CPU runtime.

/** A fresh copy of the glue, which keeps an instance of its own. */
export function makeGlue(): object;
