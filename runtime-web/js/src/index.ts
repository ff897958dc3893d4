/**
 * freeguide: classifier-free guided diffusion on the visitor's own machine.
 *
 * ```ts
 * const model = await loadModel("/models/emoji16/", { onProgress });
 * for await (const { images } of model.sample({ classes: ["food-drink", 3], guidance: 2, seed: 7 })) draw(images);
 * model.dispose();
 * ```
 *
 * @packageDocumentation
 */
export * from "./api.js";
export { loadModel } from "./packaged.js";
