/** What every entry that loads models exports, but for `loadModel`. */
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
export type { Model } from "./model.js";
export type { GenerateOptions, Preview, SampleOptions } from "./options.js";
export { pictureToBitmap, pictureToFrame, pictureToPng } from "./pictures.js";
export { pngText, pngWithText } from "./png.js";
export type {
  Attributes,
  ClassChoice,
  ClassMix,
  Composition,
  DrawOptions,
  Grid,
  GuidancePolicy,
  LogSnrRange,
  PictureSettings,
  PolicyKind,
  Sampler,
  Spacing,
  Symmetry,
  SeedInterpolation,
} from "./settings-table.js";
export type { PictureOptions, PictureSource } from "./source-image.js";
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
