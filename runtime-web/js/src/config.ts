import type { PictureSettings, Sampler } from "./settings-table.js";

/** A bundle's `config.json`, as the runtime normalised it. */
export interface ModelConfig {
  /**
   * Version of the bundle format: 5 for networks of super-resolution, which the package refuses, 4 for networks with attributes or a number, 3 for networks that take the guidance strength as an input, 2 for other networks than the
   * default and for models without a null class, else 1.
   */
  readonly format_version: number;
  /** The program that wrote the bundle, for instance `freeguide 0.1.0`. */
  readonly written_by: string;
  /** Name of the model. */
  readonly name: string;
  readonly image: {
    /** Width and height of an image, in pixels. */
    readonly size: number;
    /** Colour channels of the network: 1 (grey) or 3. Pictures are RGBA in both cases. */
    readonly channels: number;
  };
  /** Class names; a class's id is its index in this list. A model without classes is unconditional: its only class is `null`. */
  readonly classes: readonly string[];
  /**
   * `false` if the model was trained without a null class: it is then conditional only, and guidance or the class `null`
   * is an `InputError`. May be missing otherwise.
   */
  readonly null_class?: boolean;
  /** The network's kind and its own settings. */
  readonly network: {
    readonly kind: string;
    /** The strengths that a distilled model takes as an input; others are an `InputError`. Missing if the model is guided by two estimates. */
    readonly guidance?: { readonly kind: "input"; readonly min: number; readonly max: number };
    /** `"attributes"` if an image may have several of the classes, which are attributes then; missing if it has one. */
    readonly conditions?: "classes" | "attributes";
    /** The number that the model takes beside the classes, such as an age; others are an `InputError`. Missing if it takes none. */
    readonly number?: { readonly name: string; readonly min: number; readonly max: number; readonly unit?: string };
    /** The numbers of steps of a model that was distilled to few: powers of two up to this one; others are an `InputError`. */
    readonly flow_map?: { readonly max_steps: number };
    readonly [setting: string]: unknown;
  };
  /** The noise schedule and what the network predicts. */
  readonly diffusion: {
    /** `epsilon` or `v`. */
    readonly target: string;
    /** The range of λ, in nats: `min` is pure noise, `max` a clean image. */
    readonly log_snr: { readonly min: number; readonly max: number };
    readonly [setting: string]: unknown;
  };
  /** The values that `sample()` uses for options that are left out. */
  readonly sampling: {
    readonly sampler: Sampler;
    readonly steps: number;
    /** Guidance strength w (not the scale s = 1 + w). */
    readonly guidance: number;
    readonly clip: boolean;
    readonly variance_interpolation: number;
    /** The model's own policy, interval and grid, if it has any, in the form that PNG files have. */
    readonly guidance_policy?: PictureSettings["guidance_policy"];
    readonly guidance_interval?: PictureSettings["guidance_interval"];
    readonly grid?: PictureSettings["grid"];
    readonly [setting: string]: unknown;
  };
  /** The weights files, in loading order. */
  readonly weights: readonly { readonly file: string; readonly bytes: number; readonly sha256: string }[];
  /** Where the model comes from. */
  readonly provenance: Provenance;
}

/** Where a model comes from and its licence. Every field may be missing from bundles of other programs. */
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
  /** Name of the model that this one was distilled from. */
  readonly teacher?: string;
  readonly metrics?: { readonly [name: string]: unknown };
  readonly [field: string]: unknown;
}
