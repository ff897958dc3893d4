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
export { version } from "./built.js";
export { cache } from "./cache.js";
export type { ModelConfig, Provenance } from "./config.js";
export {
  AbortedError,
  BundleError,
  DeviceError,
  DisposedError,
  FreeguideError,
  InputError,
  NetworkError,
  PoisonedError,
  SelfTestError,
  type ErrorCode,
} from "./errors.js";
export { loadModel } from "./load.js";
export type { Model } from "./model.js";
export type { GenerateOptions, Preview, SampleOptions } from "./options.js";
export { pngText, pngWithText } from "./png.js";
export type {
  ClassChoice,
  DrawOptions,
  Grid,
  GuidancePolicy,
  LogSnrRange,
  PictureSettings,
  PolicyKind,
  Sampler,
  Spacing,
  Toward,
} from "./settings-table.js";
export type {
  Branches,
  BundleFiles,
  CachedFile,
  DeviceInfo,
  DeviceOption,
  LoadOptions,
  LoadProgress,
  Picture,
  Plan,
  RefusedDevice,
  SampleStep,
} from "./types.js";
export { describeError, type ErrorWords } from "./words.js";
