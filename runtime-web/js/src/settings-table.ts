// Written from src/settings/description/table.rs by
//   FREEGUIDE_UPDATE=1 cargo test --release --lib settings
// A test fails where this file is out of date.

/**
 * Classes, by name or id, and their weights, which are from 0 to 1 and add up to 1: each step takes the weighted mean of their
 * estimates, for one row of the network a class.
 */
export interface ClassMix {
  readonly [name: string]: number;
}

/** Several attributes that hold together, by name or id, of a model whose `network.conditions` is `"attributes"`. */
export type Attributes = readonly (number | string)[];

/** A class: its id, its name, `null` for the unconditional model, several attributes, or a mix of classes. */
export type ClassChoice = number | string | null | Attributes | ClassMix;

/**
 * How several attributes, and a number, are guided: joint (one estimate of all together; the default) or each
 * (the sum of what each adds to the unconditional estimate, in one evaluation for each; Liu et al. 2022).
 */
export type Composition = "joint" | "each";

/**
 * How guidance combines the two estimates: cfg (the paper's mix), apg (adaptive projected guidance, Sadat et al.
 * 2024) or cfg++ (Chung et al. 2024; meant for w from −1 to 0, −0.4 by default).
 */
export type PolicyKind = "cfg" | "apg" | "cfg++";

/**
 * The solver: ddim (deterministic), ancestral (Algorithm 2 of the paper, adds noise at every step), dpm++2m
 * (DPM-Solver++(2M), second order, one evaluation a step) or heun (second order, two evaluations a step).
 */
export type Sampler = "ddim" | "ancestral" | "dpm++2m" | "heun";

/**
 * How the noise levels are spaced: uniform-u (the paper's; default of ddim and ancestral), uniform-lambda,
 * karras (Karras et al. 2022; default of dpm++2m and heun), or leading or trailing (diffusers' timesteps, for
 * models trained on timesteps).
 */
export type Spacing = "uniform-u" | "uniform-lambda" | "karras" | "leading" | "trailing";

/**
 * The symmetry of the picture: left-right or top-bottom (one half mirrors the other), both (a quarter mirrors
 * its neighbours) or quarter-turn (every quarter turn gives the same picture). With a picture to start from, its
 * left or upper part counts.
 */
export type Symmetry = "left-right" | "top-bottom" | "both" | "quarter-turn";

/**
 * Interpolates the noise with that of a second seed: t from 0 (the first seed alone) to 1 (the second alone),
 * 0.5 by default.
 */
export interface SeedInterpolation {
  /** The second seed, from 0 to 2^53 − 1. */
  readonly seed: number;
  /**
   * The weight of the second seed, from 0 (the first seed alone) to 1 (the second alone); 0.5 by default.
   */
  readonly t?: number;
}

/** A range of λ = log(α²/σ²), in nats. */
export interface LogSnrRange {
  /** The noisy end, in nats. */
  readonly min: number;
  /** The clean end, in nats. */
  readonly max: number;
}

/** The noise levels that the solver visits. */
export type Grid =
  | Spacing
  | {
      /**
       * How the noise levels are spaced: uniform-u (the paper's; default of ddim and ancestral), uniform-lambda,
       * karras (Karras et al. 2022; default of dpm++2m and heun), or leading or trailing (diffusers' timesteps, for
       * models trained on timesteps).
       */
      readonly spacing?: Spacing;
      /** The first and the last λ, in nats. */
      readonly logSnr?: LogSnrRange;
      /** With karras: its exponent ρ; 7 by default. */
      readonly rho?: number;
      /** With dpm++2m and heun: whether the last step is taken in first order; it is by default. */
      readonly lowerOrderLast?: boolean;
    };

/** How guidance combines the conditional and the unconditional estimate. */
export type GuidancePolicy =
  | PolicyKind
  | {
      readonly kind?: "cfg";
      /**
       * With cfg: how much of the conditional estimate's contrast is restored, from 0 (none, the default) to 1 (Lin et
       * al. 2023).
       */
      readonly rescale?: number;
    }
  | {
      readonly kind?: "apg";
      /**
       * With apg: how much of the update parallel to the conditional estimate is kept, from 0 (the default) to 1.
       */
      readonly eta?: number;
      /** With apg: the momentum of the update over the steps, above −1 and below 1; −0.5 by default. */
      readonly momentum?: number;
      /** With apg: the largest norm of the update of an image, above 0; unlimited by default. */
      readonly normThreshold?: number;
    }
  | {
      readonly kind: "cfg++";
    };

/** What to draw. Everything but `classes` may be left out and then comes from the bundle's `config.sampling`. */
export interface DrawOptions {
  /**
   * One class for each image: an id, a name, `null` for the unconditional model, several attributes such as
   * `["smiling", "hat"]`, or a mix such as `{ cat: 0.7, dog: 0.3 }`.
   */
  classes: readonly ClassChoice[];
  /**
   * Of a model that is conditioned on a number, such as an age: the number to draw, within the model's range.
   * Without it, images of any number are drawn. One for all images, or one for each.
   */
  number?: number | readonly number[];
  /**
   * How several attributes, and a number, are guided: joint (one estimate of all together; the default) or each
   * (the sum of what each adds to the unconditional estimate, in one evaluation for each; Liu et al. 2022).
   */
  composition?: Composition;
  /**
   * Guidance strength w: 0 is the conditional model, −1 the unconditional one, and more trades diversity for
   * fidelity. Tools that use a scale s mean s = 1 + w. One for all images, or one for each.
   */
  guidance?: number | readonly number[];
  /**
   * A class, by name or id, that guidance leads away from. Without it, guidance leads away from the unconditional
   * estimate.
   */
  negative?: string;
  /** How guidance combines the conditional and the unconditional estimate. */
  guidancePolicy?: GuidancePolicy;
  /**
   * Guides only between these λ = log(α²/σ²), in nats; outside, the conditional model draws alone, in one
   * evaluation (Kynkäänniemi et al. 2024).
   */
  guidanceInterval?: LogSnrRange;
  /** Sampling steps T. */
  steps?: number;
  /**
   * The solver: ddim (deterministic), ancestral (Algorithm 2 of the paper, adds noise at every step), dpm++2m
   * (DPM-Solver++(2M), second order, one evaluation a step) or heun (second order, two evaluations a step).
   */
  sampler?: Sampler;
  /** The noise levels that the solver visits. */
  grid?: Grid;
  /**
   * The seed, from 0 to 2^53 − 1; 0 by default. Image k of a seed does not depend on the batch it is drawn in.
   */
  seed?: number;
  /**
   * Interpolates the noise with that of a second seed: t from 0 (the first seed alone) to 1 (the second alone),
   * 0.5 by default.
   */
  toward?: SeedInterpolation;
  /** The number of the first image within the seed; 0 by default. */
  firstImage?: number;
  /** Whether the estimate of the clean image is clipped to [−1, 1] at every step. */
  clip?: boolean;
  /**
   * Dynamic thresholding (Saharia et al. 2022) in the place of clipping: with s, the quantile P of the magnitudes
   * of the estimate, but at least 1, the estimate is clipped to [−s, s] and divided by s, so that a high w
   * saturates less. P is above 0 and at most 1; 0.995 is usual.
   */
  dynamicThreshold?: number;
  /** With ancestral: ν, the exponent between the two variances of the paper's sampler, from 0 to 1. */
  varianceInterpolation?: number;
  /**
   * Finishes an image once no value of its estimate changes by more than N of 255 while λ rises by 1 or, with
   * longer steps, from one step to the next; the run ends when all its images are finished. Changes count from λ =
   * 2 on. Without it, all steps are taken.
   */
  tolerance?: number;
  /**
   * Whether the picture fits to itself at opposite edges, so that copies of it make a seamless pattern. Each step
   * is taken on a picture that is shifted cyclically (noise rolling, Vecchio et al. 2024); it needs some 20 steps.
   */
  tileable?: boolean;
  /**
   * The symmetry of the picture: left-right or top-bottom (one half mirrors the other), both (a quarter mirrors
   * its neighbours) or quarter-turn (every quarter turn gives the same picture). With a picture to start from, its
   * left or upper part counts.
   */
  symmetry?: Symmetry;
  /**
   * With a picture to start from: the share of the steps that are taken, above 0 (the picture nearly as it is) to
   * 1 (noise alone); 0.6 by default, and 1 with a mask (SDEdit, Meng et al. 2022).
   */
  strength?: number;
  /**
   * With a mask and ddim or ancestral: how often every step is taken, with noise added again in between, so that
   * the new part fits the picture better (RePaint, Lugmayr et al. 2022); 1 by default.
   */
  resampling?: number;
}

/** What a picture was drawn with, as its PNG carries it; enough to draw it again. */
export interface PictureSettings {
  /** Name of the model. */
  model: string;
  /** Class name or id; null is the unconditional model; a list has several attributes; a mix has the weights of its classes. */
  class: ClassChoice;
  /** Name of the model that guided, where it was another. */
  guide?: string;
  /** The classifier that guided, and its strength; only natively. */
  classifier?: { readonly name: string; readonly strength: number };
  /**
   * Of a model that is conditioned on a number, such as an age: the number to draw, within the model's range.
   * Without it, images of any number are drawn.
   */
  number?: number;
  /**
   * How several attributes, and a number, are guided: joint (one estimate of all together; the default) or each
   * (the sum of what each adds to the unconditional estimate, in one evaluation for each; Liu et al. 2022).
   */
  composition?: Composition;
  /**
   * Guidance strength w: 0 is the conditional model, −1 the unconditional one, and more trades diversity for
   * fidelity. Tools that use a scale s mean s = 1 + w.
   */
  guidance: number;
  /**
   * A class, by name or id, that guidance leads away from. Without it, guidance leads away from the unconditional
   * estimate.
   */
  negative?: string;
  /** How guidance combines the conditional and the unconditional estimate. */
  guidance_policy?: { readonly kind: PolicyKind; readonly rescale?: number; readonly eta?: number; readonly momentum?: number; readonly norm_threshold?: number };
  /**
   * Guides only between these λ = log(α²/σ²), in nats; outside, the conditional model draws alone, in one
   * evaluation (Kynkäänniemi et al. 2024).
   */
  guidance_interval?: { readonly min: number; readonly max: number };
  /** Sampling steps T. */
  steps: number;
  /**
   * The solver: ddim (deterministic), ancestral (Algorithm 2 of the paper, adds noise at every step), dpm++2m
   * (DPM-Solver++(2M), second order, one evaluation a step) or heun (second order, two evaluations a step).
   */
  sampler: Sampler;
  /** The noise levels that the solver visits. */
  grid?: { readonly spacing: Spacing; readonly log_snr?: LogSnrRange; readonly rho?: number; readonly lower_order_last?: boolean };
  /**
   * The seed, from 0 to 2^53 − 1; 0 by default. Image k of a seed does not depend on the batch it is drawn in.
   */
  seed: number;
  /**
   * Interpolates the noise with that of a second seed: t from 0 (the first seed alone) to 1 (the second alone),
   * 0.5 by default.
   */
  toward?: { readonly seed: number; readonly t: number };
  /** The number of the first image within the seed; 0 by default. */
  image: number;
  /** Whether the estimate of the clean image is clipped to [−1, 1] at every step. */
  clip: boolean;
  /**
   * Dynamic thresholding (Saharia et al. 2022) in the place of clipping: with s, the quantile P of the magnitudes
   * of the estimate, but at least 1, the estimate is clipped to [−s, s] and divided by s, so that a high w
   * saturates less. P is above 0 and at most 1; 0.995 is usual.
   */
  dynamic_threshold?: number;
  /** With ancestral: ν, the exponent between the two variances of the paper's sampler, from 0 to 1. */
  variance_interpolation: number;
  /**
   * Finishes an image once no value of its estimate changes by more than N of 255 while λ rises by 1 or, with
   * longer steps, from one step to the next; the run ends when all its images are finished. Changes count from λ =
   * 2 on. Without it, all steps are taken.
   */
  tolerance?: number;
  /**
   * Whether the picture fits to itself at opposite edges, so that copies of it make a seamless pattern. Each step
   * is taken on a picture that is shifted cyclically (noise rolling, Vecchio et al. 2024); it needs some 20 steps.
   */
  tileable?: boolean;
  /**
   * The symmetry of the picture: left-right or top-bottom (one half mirrors the other), both (a quarter mirrors
   * its neighbours) or quarter-turn (every quarter turn gives the same picture). With a picture to start from, its
   * left or upper part counts.
   */
  symmetry?: Symmetry;
  /**
   * With a picture to start from: the share of the steps that are taken, above 0 (the picture nearly as it is) to
   * 1 (noise alone); 0.6 by default, and 1 with a mask (SDEdit, Meng et al. 2022).
   */
  strength?: number;
  /**
   * With a mask and ddim or ancestral: how often every step is taken, with noise added again in between, so that
   * the new part fits the picture better (RePaint, Lugmayr et al. 2022); 1 by default.
   */
  resampling?: number;
  /** The program that drew it, for instance `freeguide 0.1.0`. */
  freeguide: string;
}

/** How one setting is called everywhere, and what it may be. */
export interface Setting {
  /** Its place in `DrawOptions`. */
  readonly path: readonly string[];
  /** Its place in a request to the runtime. */
  readonly field: readonly string[];
  /** Its place in `PictureSettings`. */
  readonly picture: readonly string[];
  readonly kind: "integer" | "number" | "log-snr" | "switch" | "name" | "class";
  /** Bounds of a number, inclusive. */
  readonly min?: number;
  readonly max?: number;
  /** λ that stands for no limit. */
  readonly unlimited?: number;
  /** What a name may be. */
  readonly names?: readonly string[];
  /** Whether its group is not complete without it. */
  readonly required: boolean;
  /** Its key in an address of the page. */
  readonly address: string;
  /** The option of `freeguide sample`, without dashes; a switch has `off` for no. */
  readonly option: string;
  readonly off?: string;
  /** What separates it from another setting of the same option. */
  readonly separator?: string;
  /** Where it has an effect; everywhere if left out. */
  readonly applies?: { readonly path: readonly string[]; readonly values: readonly string[] };
  /** Whether it has an effect only in a run from a picture. */
  readonly ofPicture?: boolean;
  /** Whether it has an effect only with a model that takes a number. */
  readonly ofNumber?: boolean;
  /** Whether it has an effect only with a model of attributes. */
  readonly ofAttributes?: boolean;
  /** For people. */
  readonly label: string;
  readonly help: string;
}

/** Every setting but the classes. */
export const SETTINGS: readonly Setting[] = [
  { path: ["number"], field: ["number"], picture: ["number"], kind: "number", min: -1000000000, max: 1000000000, required: false, address: "number", option: "number", ofNumber: true, label: "Number", help: "Of a model that is conditioned on a number, such as an age: the number to draw, within the model's range. Without it, images of any number are drawn." },
  { path: ["composition"], field: ["composition"], picture: ["composition"], kind: "name", names: ["joint", "each"], required: false, address: "composition", option: "composition", ofAttributes: true, label: "Several attributes", help: "How several attributes, and a number, are guided: joint (one estimate of all together; the default) or each (the sum of what each adds to the unconditional estimate, in one evaluation for each; Liu et al. 2022)." },
  { path: ["guidance"], field: ["guidance"], picture: ["guidance"], kind: "number", min: -1000, max: 1000, required: false, address: "w", option: "guidance", label: "Guidance w", help: "Guidance strength w: 0 is the conditional model, −1 the unconditional one, and more trades diversity for fidelity. Tools that use a scale s mean s = 1 + w." },
  { path: ["negative"], field: ["negative"], picture: ["negative"], kind: "class", required: false, address: "negative", option: "negative", label: "Away from", help: "A class, by name or id, that guidance leads away from. Without it, guidance leads away from the unconditional estimate." },
  { path: ["guidancePolicy", "kind"], field: ["guidance_policy", "kind"], picture: ["guidance_policy", "kind"], kind: "name", names: ["cfg", "apg", "cfg++"], required: false, address: "policy", option: "guidance-policy", label: "Guidance policy", help: "How guidance combines the two estimates: cfg (the paper's mix), apg (adaptive projected guidance, Sadat et al. 2024) or cfg++ (Chung et al. 2024; meant for w from −1 to 0, −0.4 by default)." },
  { path: ["guidancePolicy", "rescale"], field: ["guidance_policy", "rescale"], picture: ["guidance_policy", "rescale"], kind: "number", min: 0, max: 1, required: false, address: "rescale", option: "guidance-rescale", applies: {"path": ["guidancePolicy", "kind"], "values": ["cfg"]}, label: "Restore contrast φ", help: "With cfg: how much of the conditional estimate's contrast is restored, from 0 (none, the default) to 1 (Lin et al. 2023)." },
  { path: ["guidancePolicy", "eta"], field: ["guidance_policy", "eta"], picture: ["guidance_policy", "eta"], kind: "number", min: 0, max: 1, required: false, address: "eta", option: "apg-eta", applies: {"path": ["guidancePolicy", "kind"], "values": ["apg"]}, label: "Parallel part η", help: "With apg: how much of the update parallel to the conditional estimate is kept, from 0 (the default) to 1." },
  { path: ["guidancePolicy", "momentum"], field: ["guidance_policy", "momentum"], picture: ["guidance_policy", "momentum"], kind: "number", min: -1, max: 1, required: false, address: "momentum", option: "apg-momentum", applies: {"path": ["guidancePolicy", "kind"], "values": ["apg"]}, label: "Momentum β", help: "With apg: the momentum of the update over the steps, above −1 and below 1; −0.5 by default." },
  { path: ["guidancePolicy", "normThreshold"], field: ["guidance_policy", "norm_threshold"], picture: ["guidance_policy", "norm_threshold"], kind: "number", min: 0, required: false, address: "norm", option: "apg-norm", applies: {"path": ["guidancePolicy", "kind"], "values": ["apg"]}, label: "Norm threshold r", help: "With apg: the largest norm of the update of an image, above 0; unlimited by default." },
  { path: ["guidanceInterval", "min"], field: ["guidance_interval", "min"], picture: ["guidance_interval", "min"], kind: "log-snr", unlimited: -40, required: true, address: "from", option: "guidance-interval", separator: ",", label: "Guide from λ", help: "The noisy end, in nats." },
  { path: ["guidanceInterval", "max"], field: ["guidance_interval", "max"], picture: ["guidance_interval", "max"], kind: "log-snr", unlimited: 40, required: true, address: "until", option: "guidance-interval", separator: ",", label: "Guide until λ", help: "The clean end, in nats." },
  { path: ["steps"], field: ["steps"], picture: ["steps"], kind: "integer", min: 1, max: 10000, required: false, address: "steps", option: "steps", label: "Steps", help: "Sampling steps T." },
  { path: ["sampler"], field: ["sampler"], picture: ["sampler"], kind: "name", names: ["ddim", "ancestral", "dpm++2m", "heun"], required: false, address: "sampler", option: "sampler", label: "Sampler", help: "The solver: ddim (deterministic), ancestral (Algorithm 2 of the paper, adds noise at every step), dpm++2m (DPM-Solver++(2M), second order, one evaluation a step) or heun (second order, two evaluations a step)." },
  { path: ["grid", "spacing"], field: ["grid", "spacing"], picture: ["grid", "spacing"], kind: "name", names: ["uniform-u", "uniform-lambda", "karras", "leading", "trailing"], required: false, address: "grid", option: "grid", label: "Level spacing", help: "How the noise levels are spaced: uniform-u (the paper's; default of ddim and ancestral), uniform-lambda, karras (Karras et al. 2022; default of dpm++2m and heun), or leading or trailing (diffusers' timesteps, for models trained on timesteps)." },
  { path: ["grid", "logSnr", "min"], field: ["grid", "log_snr", "min"], picture: ["grid", "log_snr", "min"], kind: "log-snr", required: true, address: "grid-from", option: "grid-range", separator: ",", label: "First level λ", help: "The noisy end, in nats." },
  { path: ["grid", "logSnr", "max"], field: ["grid", "log_snr", "max"], picture: ["grid", "log_snr", "max"], kind: "log-snr", required: true, address: "grid-until", option: "grid-range", separator: ",", label: "Last level λ", help: "The clean end, in nats." },
  { path: ["grid", "rho"], field: ["grid", "rho"], picture: ["grid", "rho"], kind: "number", min: 1, max: 100, required: false, address: "rho", option: "grid-rho", applies: {"path": ["grid", "spacing"], "values": ["karras"]}, label: "Karras ρ", help: "With karras: its exponent ρ; 7 by default." },
  { path: ["grid", "lowerOrderLast"], field: ["grid", "lower_order_last"], picture: ["grid", "lower_order_last"], kind: "switch", off: "full-order-last", required: false, address: "lower-order-last", option: "lower-order-last", applies: {"path": ["sampler"], "values": ["dpm++2m", "heun"]}, label: "Last step in first order", help: "With dpm++2m and heun: whether the last step is taken in first order; it is by default." },
  { path: ["seed"], field: ["seed"], picture: ["seed"], kind: "integer", min: 0, max: 9007199254740991, required: false, address: "seed", option: "seed", label: "Seed", help: "The seed, from 0 to 2^53 − 1; 0 by default. Image k of a seed does not depend on the batch it is drawn in." },
  { path: ["toward", "seed"], field: ["toward", "seed"], picture: ["toward", "seed"], kind: "integer", min: 0, max: 9007199254740991, required: true, address: "toward", option: "toward", separator: ":", label: "Second seed", help: "The second seed, from 0 to 2^53 − 1." },
  { path: ["toward", "t"], field: ["toward", "t"], picture: ["toward", "t"], kind: "number", min: 0, max: 1, required: false, address: "t", option: "toward", separator: ":", label: "Interpolation t", help: "The weight of the second seed, from 0 (the first seed alone) to 1 (the second alone); 0.5 by default." },
  { path: ["firstImage"], field: ["first_image"], picture: ["image"], kind: "integer", min: 0, max: 9007199254740991, required: false, address: "first", option: "first-image", label: "First image", help: "The number of the first image within the seed; 0 by default." },
  { path: ["clip"], field: ["clip"], picture: ["clip"], kind: "switch", off: "no-clip", required: false, address: "clip", option: "clip", label: "Clip estimates", help: "Whether the estimate of the clean image is clipped to [−1, 1] at every step." },
  { path: ["dynamicThreshold"], field: ["dynamic_threshold"], picture: ["dynamic_threshold"], kind: "number", min: 0, max: 1, required: false, address: "threshold", option: "dynamic-threshold", label: "Dynamic threshold", help: "Dynamic thresholding (Saharia et al. 2022) in the place of clipping: with s, the quantile P of the magnitudes of the estimate, but at least 1, the estimate is clipped to [−s, s] and divided by s, so that a high w saturates less. P is above 0 and at most 1; 0.995 is usual." },
  { path: ["varianceInterpolation"], field: ["variance_interpolation"], picture: ["variance_interpolation"], kind: "number", min: 0, max: 1, required: false, address: "nu", option: "variance-interpolation", applies: {"path": ["sampler"], "values": ["ancestral"]}, label: "Variance interpolation ν", help: "With ancestral: ν, the exponent between the two variances of the paper's sampler, from 0 to 1." },
  { path: ["tolerance"], field: ["tolerance"], picture: ["tolerance"], kind: "number", min: 0, max: 255, required: false, address: "tolerance", option: "tolerance", label: "Until unchanged", help: "Finishes an image once no value of its estimate changes by more than N of 255 while λ rises by 1 or, with longer steps, from one step to the next; the run ends when all its images are finished. Changes count from λ = 2 on. Without it, all steps are taken." },
  { path: ["tileable"], field: ["tileable"], picture: ["tileable"], kind: "switch", off: "no-tileable", required: false, address: "tile", option: "tileable", label: "Tileable", help: "Whether the picture fits to itself at opposite edges, so that copies of it make a seamless pattern. Each step is taken on a picture that is shifted cyclically (noise rolling, Vecchio et al. 2024); it needs some 20 steps." },
  { path: ["symmetry"], field: ["symmetry"], picture: ["symmetry"], kind: "name", names: ["left-right", "top-bottom", "both", "quarter-turn"], required: false, address: "symmetry", option: "symmetry", label: "Symmetry", help: "The symmetry of the picture: left-right or top-bottom (one half mirrors the other), both (a quarter mirrors its neighbours) or quarter-turn (every quarter turn gives the same picture). With a picture to start from, its left or upper part counts." },
  { path: ["strength"], field: ["strength"], picture: ["strength"], kind: "number", min: 0, max: 1, required: false, address: "strength", option: "strength", ofPicture: true, label: "Strength", help: "With a picture to start from: the share of the steps that are taken, above 0 (the picture nearly as it is) to 1 (noise alone); 0.6 by default, and 1 with a mask (SDEdit, Meng et al. 2022)." },
  { path: ["resampling"], field: ["resampling"], picture: ["resampling"], kind: "integer", min: 1, max: 20, required: false, address: "resampling", option: "resampling", ofPicture: true, label: "Resampling", help: "With a mask and ddim or ancestral: how often every step is taken, with noise added again in between, so that the new part fits the picture better (RePaint, Lugmayr et al. 2022); 1 by default." },
];

/** How the levels are spaced that each solver has by itself. */
export const SPACING_OF: Readonly<Record<Sampler, Spacing>> = {
  "ddim": "uniform-u",
  "ancestral": "uniform-u",
  "dpm++2m": "karras",
  "heun": "karras",
};

/** An option that has fields of its own. */
export interface Group {
  /** Its place in a request to the runtime. */
  readonly field: readonly string[];
  /** The field that may be given alone in its place. */
  readonly shorthand: string | null;
}

/** The options that have fields of their own, by their place in `DrawOptions`. */
export const GROUPS: Readonly<Record<string, Group>> = {
  "guidancePolicy": { field: ["guidance_policy"], shorthand: "kind" },
  "guidanceInterval": { field: ["guidance_interval"], shorthand: null },
  "grid": { field: ["grid"], shorthand: "spacing" },
  "grid.logSnr": { field: ["grid", "log_snr"], shorthand: null },
  "toward": { field: ["toward"], shorthand: null },
};
