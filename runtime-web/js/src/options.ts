import type { Sampler } from "./config.js";
import { InputError } from "./errors.js";
import { gridOf, intervalOf, policyOf, towardOf, type Grid, type GuidancePolicy, type LogSnrRange } from "./steering.js";

/** A class: its id, its name, or `null` for the unconditional model. */
export type ClassChoice = number | string | null;

/** What to draw. Everything but `classes` may be left out and then comes from the bundle's `config.sampling`. */
export interface DrawOptions {
  /** One entry an image: an id, a name, or `null` for the unconditional model. */
  classes: readonly ClassChoice[];
  /**
   * Guidance strength w, one for all images or one for each: 0 is the conditional model, −1 the unconditional one. Other
   * tools print a scale s = 1 + w.
   */
  guidance?: number | readonly number[];
  /** What is made of the two estimates, `cfg` if neither this nor the bundle says otherwise. */
  guidancePolicy?: GuidancePolicy;
  /** The λ that are guided, all if left out; outside, the second pass is skipped. */
  guidanceInterval?: LogSnrRange;
  /** Sampling steps T, at least 1. */
  steps?: number;
  sampler?: Sampler;
  /** The levels; the sampler's own if neither this nor the bundle says otherwise. */
  grid?: Grid;
  /** Integer from 0 to 2⁵³ − 1, 0 if left out. Image k of a seed does not depend on the batch it is drawn in. */
  seed?: number;
  /** Another seed, and how much of the way to it the noise is taken: 0 is `seed` itself, 1 the other. */
  toward?: { readonly seed: number; readonly t: number };
  /** Number of the first image within the seed, 0 if left out: image k of this batch is image `firstImage + k`. */
  firstImage?: number;
  /** Clip x̃ to [−1, 1] at every step. */
  clip?: boolean;
  /** ν in [0, 1]: the exponent between the two variances of the ancestral sampler. */
  varianceInterpolation?: number;
}

/**
 * What a step shows: the estimate x̃ of the clean image, the noisy latent z, x̃ beside the two estimates that it was made
 * of (`SampleStep.branches`), or nothing before the last step.
 */
export type Preview = "denoised" | "latent" | "branches" | "none";

/** Options of `sample()`. */
export interface SampleOptions extends DrawOptions {
  /** What the images of a step are, `denoised` if left out. The last step always carries the result. */
  preview?: Preview;
  /** Ends the run within one step. */
  signal?: AbortSignal | undefined;
}

/** Options of `generate()`. */
export interface GenerateOptions extends DrawOptions {
  /** Ends the run within one step. */
  signal?: AbortSignal | undefined;
}

const previews: readonly Preview[] = ["denoised", "latent", "branches", "none"];
const drawKeys = [
  "classes",
  "guidance",
  "guidancePolicy",
  "guidanceInterval",
  "steps",
  "sampler",
  "grid",
  "seed",
  "toward",
  "firstImage",
  "clip",
  "varianceInterpolation",
];

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}

function refuse(name: string, value: unknown, allowed: string): never {
  throw new InputError(`${name} must be ${allowed}, not ${show(value)}`, { detail: name });
}

function integer(name: string, value: unknown, least: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < least) {
    refuse(name, value, `an integer from ${least} to 2^53 - 1`);
  }
  return (value as number) + 0; // -0 becomes 0, which is what JSON writes
}

/** Checks a seed: an integer from 0 to 2⁵³ − 1. Throws `InputError`. */
export function checkSeed(seed: unknown): number {
  return integer("seed", seed, 0);
}

/** Refuses names that mean nothing, so that a misspelt option is not silently a default. */
function checkNames(options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new InputError(`unknown option ${show(name)}; the options are ${known.join(", ")}`, { detail: name });
    }
  }
}

/** The preview of `options`, checked. Throws `InputError`. */
export function checkPreview(value: unknown): Preview {
  if (value === undefined) return "denoised";
  if (!previews.includes(value as Preview)) refuse("preview", value, `one of ${previews.join(", ")}`);
  return value as Preview;
}

/** The request as the runtime reads it. Throws `InputError`, which names the option and what is allowed. */
export function requestJson(options: DrawOptions, also: readonly string[] = []): string {
  if (typeof options !== "object" || options === null) refuse("options", options, "an object with `classes`");
  checkNames(options, [...drawKeys, ...also]);

  const { classes, guidance, steps, sampler, seed, firstImage, clip, varianceInterpolation } = options;
  const { guidancePolicy, guidanceInterval, grid, toward } = options;
  if (!Array.isArray(classes) || classes.length === 0) {
    refuse("classes", classes, "a list with one class (id, name or null) for each image");
  }
  classes.forEach((choice: unknown, at: number) => {
    if (choice === null || typeof choice === "string") return;
    if (!Number.isSafeInteger(choice) || (choice as number) < 0) {
      refuse(`classes[${at}]`, choice, "a class id (an integer from 0), a class name or null");
    }
  });
  for (const w of Array.isArray(guidance) ? (guidance as readonly unknown[]) : [guidance]) {
    if (guidance !== undefined && !Number.isFinite(w)) refuse("guidance", w, "a finite number, or one for each image");
  }
  if (sampler !== undefined && typeof sampler !== "string") refuse("sampler", sampler, "the name of a sampler");
  if (clip !== undefined && typeof clip !== "boolean") refuse("clip", clip, "true or false");
  if (varianceInterpolation !== undefined && !(varianceInterpolation >= 0 && varianceInterpolation <= 1)) {
    refuse("varianceInterpolation", varianceInterpolation, "a number from 0 to 1");
  }
  // JSON.stringify leaves out what is undefined: the runtime then takes the bundle's own setting.
  return JSON.stringify({
    classes,
    guidance,
    guidance_policy: policyOf(guidancePolicy),
    guidance_interval: intervalOf(guidanceInterval),
    steps: steps === undefined ? undefined : integer("steps", steps, 1),
    sampler,
    grid: gridOf(grid),
    seed: seed === undefined ? undefined : checkSeed(seed),
    toward: towardOf(toward),
    first_image: firstImage === undefined ? undefined : integer("firstImage", firstImage, 0),
    clip,
    variance_interpolation: varianceInterpolation,
  });
}
