import { InputError } from "./errors.js";

/** A range of λ = log(α²/σ²), in nats: `min` is the noisy end. */
export interface LogSnrRange {
  readonly min: number;
  readonly max: number;
}

/**
 * What is made of the two estimates of a step. `cfg`: the paper's mix, with `rescale` from 0 to 1 (Lin et al. 2023).
 * `apg`: adaptive projected guidance (Sadat et al. 2024), with `eta` from 0 to 1, 0 if left out, `momentum`, −0.5 if left
 * out, and `normThreshold`, none if left out. `cfg++` (Chung et al. 2024): meant for w from −1 to 0, −0.4 if left out.
 */
export type GuidancePolicy =
  | "cfg"
  | "apg"
  | "cfg++"
  | { readonly kind: "cfg"; readonly rescale?: number }
  | { readonly kind: "apg"; readonly eta?: number; readonly momentum?: number; readonly normThreshold?: number }
  | { readonly kind: "cfg++" };

/**
 * How the levels are spread: equally in the paper's u, equally in λ, as Karras et al. 2022, or, of models that were trained
 * on timesteps, on such timesteps as diffusers calls leading and trailing.
 */
export type Spacing = "uniform-u" | "uniform-lambda" | "karras" | "leading" | "trailing";

/** The levels that a solver visits. */
export type Grid =
  | Spacing
  | {
      readonly spacing: Spacing;
      /** From the first level to the last. */
      readonly logSnr?: LogSnrRange;
      /** ρ of `karras`, 7 if left out. */
      readonly rho?: number;
      /** Whether solvers of second order take their last step in first order; true if left out. */
      readonly lowerOrderLast?: boolean;
    };

type Names = Readonly<Record<string, string>>;

const policyNames: Names = { kind: "kind", rescale: "rescale", eta: "eta", momentum: "momentum", normThreshold: "norm_threshold" };
const gridNames: Names = { spacing: "spacing", logSnr: "log_snr", rho: "rho", lowerOrderLast: "lower_order_last" };
const rangeNames: Names = { min: "min", max: "max" };

/** The fields of `value` under the names that the runtime gives them. What they may be is the runtime's to say. */
function renamed(option: string, value: unknown, names: Names): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InputError(`${option} must be an object with ${Object.keys(names).join(", ")}`, { detail: option });
  }
  const out: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    const name = Object.hasOwn(names, key) ? names[key] : undefined;
    if (name === undefined) {
      throw new InputError(`${option} has no ${key}; it has ${Object.keys(names).join(", ")}`, { detail: option });
    }
    if (typeof field === "number" && !Number.isFinite(field)) {
      throw new InputError(`${option}.${key} must be a finite number, not ${field}`, { detail: option });
    }
    out[name] = field;
  }
  return out;
}

/** `guidancePolicy` as the runtime reads it. */
export function policyOf(value: unknown): unknown {
  if (value === undefined) return undefined;
  return typeof value === "string" ? { kind: value } : renamed("guidancePolicy", value, policyNames);
}

/** `guidanceInterval` as the runtime reads it. */
export function intervalOf(value: unknown): unknown {
  return value === undefined ? undefined : renamed("guidanceInterval", value, rangeNames);
}

/** `toward` as the runtime reads it. */
export function towardOf(value: unknown): unknown {
  return value === undefined ? undefined : renamed("toward", value, { seed: "seed", t: "t" });
}

/** `grid` as the runtime reads it. */
export function gridOf(value: unknown): unknown {
  if (value === undefined) return undefined;
  if (typeof value === "string") return { spacing: value };
  const grid = renamed("grid", value, gridNames);
  if (grid["log_snr"] !== undefined) grid["log_snr"] = renamed("grid.logSnr", grid["log_snr"], rangeNames);
  return grid;
}
