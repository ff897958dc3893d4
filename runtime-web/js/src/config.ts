/** A bundle's `config.json`, as the runtime normalised it. */
export interface ModelConfig {
  /** Version of the bundle format; 2 for networks other than the plain one and models without a null class, else 1. */
  readonly format_version: number;
  /** The program that wrote the bundle, for instance `freeguide 0.1.0`. */
  readonly written_by: string;
  /** Name of the model. */
  readonly name: string;
  readonly image: {
    /** Width and height of an image, in pixels. */
    readonly size: number;
    /** Colour channels that the network works on: 1 (grey) or 3. Pictures are RGBA all the same. */
    readonly channels: number;
  };
  /** Class names; a class's id is its place in this list. A model without any is unconditional: its one class is `null`. */
  readonly classes: readonly string[];
  /**
   * `false` where the model was trained without a null class: then it is conditional only, and asking for guidance or
   * for the class `null` is an `InputError`. Else it may be missing.
   */
  readonly null_class?: boolean;
  /** The network's kind and its own settings. */
  readonly network: { readonly kind: string; readonly [setting: string]: unknown };
  /** The noise schedule and what the network predicts. */
  readonly diffusion: {
    /** `epsilon` or `v`. */
    readonly target: string;
    /** The range of λ, in nats: `min` is pure noise, `max` a clean image. */
    readonly log_snr: { readonly min: number; readonly max: number };
    readonly [setting: string]: unknown;
  };
  /** What `sample()` uses where an option is left out. */
  readonly sampling: {
    readonly sampler: Sampler;
    readonly steps: number;
    /** Guidance strength w (not the scale s = 1 + w). */
    readonly guidance: number;
    readonly clip: boolean;
    readonly variance_interpolation: number;
    readonly [setting: string]: unknown;
  };
  /** The weights files, in loading order. */
  readonly weights: readonly { readonly file: string; readonly bytes: number; readonly sha256: string }[];
  /** Where the model comes from. */
  readonly provenance: Provenance;
}

/** Where a model comes from and what may be done with it. Every field may be missing from a foreign bundle. */
export interface Provenance {
  readonly dataset?: string;
  readonly license?: string;
  readonly attribution?: string;
  readonly recipe?: string;
  /** Optimizer steps. */
  readonly steps?: number;
  readonly images_seen?: number;
  /** Probability that training replaced the class by the null class. */
  readonly p_uncond?: number;
  readonly ema_decay?: number;
  /** Number of weights. */
  readonly parameters?: number;
  readonly metrics?: { readonly [name: string]: unknown };
  readonly [field: string]: unknown;
}

/**
 * `ddim` (deterministic), `ancestral` (Algorithm 2 of the paper, fresh noise at every step), `dpm++2m` (DPM-Solver++(2M),
 * second order at the price of DDIM) or `heun` (second order, two evaluations a step).
 */
export type Sampler = "ddim" | "ancestral" | "dpm++2m" | "heun";
