//! The settings themselves.

use super::{Applies, Group, Setting, Value};
use crate::condition::Composition;
use crate::guidance::Policy;
use crate::network::MAX_NUMBER;
use crate::noise::MAX_SEED;
use crate::sampler::{MAX_RHO, Solver, Spacing, Symmetry};
use crate::settings::{MAX_GUIDANCE, MAX_RESAMPLING, MAX_STEPS};

const SAMPLERS: [&str; Solver::ALL.len()] = {
    let mut names = [""; Solver::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Solver::ALL[at].name();
        at += 1;
    }
    names
};

const COMPOSITIONS: [&str; Composition::ALL.len()] =
    [Composition::ALL[0].name(), Composition::ALL[1].name()];

const SPACINGS: [&str; Spacing::ALL.len()] = {
    let mut names = [""; Spacing::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Spacing::ALL[at].name();
        at += 1;
    }
    names
};

const SYMMETRIES: [&str; Symmetry::ALL.len()] = {
    let mut names = [""; Symmetry::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Symmetry::ALL[at].name();
        at += 1;
    }
    names
};

/// The fields that have fields of their own.
pub const GROUPS: [Group; 5] = [
    Group {
        path: "guidance_policy",
        type_name: "GuidancePolicy",
        shorthand: Some("kind"),
        help: "How guidance combines the conditional and the unconditional estimate.",
    },
    Group {
        path: "guidance_interval",
        type_name: "LogSnrRange",
        shorthand: None,
        help: "Guides only between these λ = log(α²/σ²), in nats; outside, the conditional model draws alone, in one \
               evaluation (Kynkäänniemi et al. 2024).",
    },
    Group {
        path: "grid",
        type_name: "Grid",
        shorthand: Some("spacing"),
        help: "The noise levels that the solver visits.",
    },
    Group {
        path: "grid.log_snr",
        type_name: "LogSnrRange",
        shorthand: None,
        help: "The first and the last λ, in nats.",
    },
    Group {
        path: "toward",
        type_name: "SeedInterpolation",
        shorthand: None,
        help: "Interpolates the noise with that of a second seed: t from 0 (the first seed alone) to 1 (the second alone), \
               0.5 by default.",
    },
];

/// A setting with no more than its names, for the table below to complete.
const fn setting(path: &'static str, address: &'static str, option: &'static str) -> Setting {
    Setting {
        path,
        value: Value::LogSnr { unlimited: None },
        required: false,
        address,
        option,
        separator: None,
        metavar: "X",
        applies: Applies::Always,
        label: "",
        help: "",
    }
}

/// Every setting but the classes, of which each image has its own.
pub const SETTINGS: [Setting; 30] = [
    Setting {
        value: Value::Number {
            min: -MAX_NUMBER,
            max: MAX_NUMBER,
        },
        metavar: "N",
        applies: Applies::Number,
        label: "Number",
        help: "Of a model that is conditioned on a number, such as an age: the number to draw, within the model's range. Without \
               it, images of any number are drawn.",
        ..setting("number", "number", "number")
    },
    Setting {
        value: Value::Name {
            names: &COMPOSITIONS,
            type_name: "Composition",
        },
        metavar: "NAME",
        applies: Applies::Attributes,
        label: "Several attributes",
        help: "How several attributes, and a number, are guided: joint (one estimate of all together; the default) or each (the \
               sum of what each adds to the unconditional estimate, in one evaluation for each; Liu et al. 2022).",
        ..setting("composition", "composition", "composition")
    },
    Setting {
        value: Value::Number {
            min: -MAX_GUIDANCE,
            max: MAX_GUIDANCE,
        },
        metavar: "W",
        label: "Guidance w",
        help: "Guidance strength w: 0 is the conditional model, −1 the unconditional one, and more trades diversity for \
               fidelity. Tools that use a scale s mean s = 1 + w.",
        ..setting("guidance", "w", "guidance")
    },
    Setting {
        value: Value::Class,
        metavar: "CLASS",
        label: "Away from",
        help: "A class, by name or id, that guidance leads away from. Without it, guidance leads away from the unconditional \
               estimate.",
        ..setting("negative", "negative", "negative")
    },
    Setting {
        value: Value::Name {
            names: &Policy::NAMES,
            type_name: "PolicyKind",
        },
        metavar: "NAME",
        label: "Guidance policy",
        help: "How guidance combines the two estimates: cfg (the paper's mix), apg (adaptive projected guidance, Sadat et \
               al. 2024) or cfg++ (Chung et al. 2024; meant for w from −1 to 0, −0.4 by default).",
        ..setting("guidance_policy.kind", "policy", "guidance-policy")
    },
    Setting {
        value: Value::Number { min: 0.0, max: 1.0 },
        metavar: "PHI",
        applies: Applies::Policy("cfg"),
        label: "Restore contrast φ",
        help: "With cfg: how much of the conditional estimate's contrast is restored, from 0 (none, the default) to 1 (Lin \
               et al. 2023).",
        ..setting("guidance_policy.rescale", "rescale", "guidance-rescale")
    },
    Setting {
        value: Value::Number { min: 0.0, max: 1.0 },
        metavar: "ETA",
        applies: Applies::Policy("apg"),
        label: "Parallel part η",
        help: "With apg: how much of the update parallel to the conditional estimate is kept, from 0 (the default) to 1.",
        ..setting("guidance_policy.eta", "eta", "apg-eta")
    },
    Setting {
        value: Value::Number {
            min: -1.0,
            max: 1.0,
        },
        metavar: "BETA",
        applies: Applies::Policy("apg"),
        label: "Momentum β",
        help: "With apg: the momentum of the update over the steps, above −1 and below 1; −0.5 by default.",
        ..setting("guidance_policy.momentum", "momentum", "apg-momentum")
    },
    Setting {
        value: Value::Number {
            min: 0.0,
            max: f64::MAX,
        },
        metavar: "R",
        applies: Applies::Policy("apg"),
        label: "Norm threshold r",
        help: "With apg: the largest norm of the update of an image, above 0; unlimited by default.",
        ..setting("guidance_policy.norm_threshold", "norm", "apg-norm")
    },
    Setting {
        value: Value::LogSnr {
            unlimited: Some(-40.0),
        },
        required: true,
        separator: Some(','),
        metavar: "MIN,MAX",
        label: "Guide from λ",
        help: "The noisy end, in nats.",
        ..setting("guidance_interval.min", "from", "guidance-interval")
    },
    Setting {
        value: Value::LogSnr {
            unlimited: Some(40.0),
        },
        required: true,
        separator: Some(','),
        metavar: "MIN,MAX",
        label: "Guide until λ",
        help: "The clean end, in nats.",
        ..setting("guidance_interval.max", "until", "guidance-interval")
    },
    Setting {
        value: Value::Integer {
            min: 1,
            max: MAX_STEPS as u64,
        },
        metavar: "T",
        label: "Steps",
        help: "Sampling steps T.",
        ..setting("steps", "steps", "steps")
    },
    Setting {
        value: Value::Name {
            names: &SAMPLERS,
            type_name: "Sampler",
        },
        metavar: "NAME",
        label: "Sampler",
        help: "The solver: ddim (deterministic), ancestral (Algorithm 2 of the paper, adds noise at every step), dpm++2m \
               (DPM-Solver++(2M), second order, one evaluation a step) or heun (second order, two evaluations a step).",
        ..setting("sampler", "sampler", "sampler")
    },
    Setting {
        value: Value::Name {
            names: &SPACINGS,
            type_name: "Spacing",
        },
        metavar: "NAME",
        label: "Level spacing",
        help: "How the noise levels are spaced: uniform-u (the paper's; default of ddim and ancestral), uniform-lambda, \
               karras (Karras et al. 2022; default of dpm++2m and heun), or leading or trailing (diffusers' timesteps, for \
               models trained on timesteps).",
        ..setting("grid.spacing", "grid", "grid")
    },
    Setting {
        required: true,
        separator: Some(','),
        metavar: "MIN,MAX",
        label: "First level λ",
        help: "The noisy end, in nats.",
        ..setting("grid.log_snr.min", "grid-from", "grid-range")
    },
    Setting {
        required: true,
        separator: Some(','),
        metavar: "MIN,MAX",
        label: "Last level λ",
        help: "The clean end, in nats.",
        ..setting("grid.log_snr.max", "grid-until", "grid-range")
    },
    Setting {
        value: Value::Number {
            min: 1.0,
            max: MAX_RHO,
        },
        metavar: "RHO",
        applies: Applies::Spacing("karras"),
        label: "Karras ρ",
        help: "With karras: its exponent ρ; 7 by default.",
        ..setting("grid.rho", "rho", "grid-rho")
    },
    Setting {
        value: Value::Switch {
            off: "full-order-last",
        },
        applies: Applies::Samplers(&["dpm++2m", "heun"]),
        label: "Last step in first order",
        help: "With dpm++2m and heun: whether the last step is taken in first order; it is by default.",
        ..setting(
            "grid.lower_order_last",
            "lower-order-last",
            "lower-order-last",
        )
    },
    Setting {
        value: Value::Integer {
            min: 0,
            max: MAX_SEED,
        },
        metavar: "N",
        label: "Seed",
        help: "The seed, from 0 to 2^53 − 1; 0 by default. Image k of a seed does not depend on the batch it is drawn in.",
        ..setting("seed", "seed", "seed")
    },
    Setting {
        required: true,
        value: Value::Integer {
            min: 0,
            max: MAX_SEED,
        },
        separator: Some(':'),
        metavar: "SEED[:T]",
        label: "Second seed",
        help: "The second seed, from 0 to 2^53 − 1.",
        ..setting("toward.seed", "toward", "toward")
    },
    Setting {
        value: Value::Number { min: 0.0, max: 1.0 },
        separator: Some(':'),
        metavar: "SEED[:T]",
        label: "Interpolation t",
        help: "The weight of the second seed, from 0 (the first seed alone) to 1 (the second alone); 0.5 by default.",
        ..setting("toward.t", "t", "toward")
    },
    Setting {
        value: Value::Integer {
            min: 0,
            max: MAX_SEED,
        },
        metavar: "K",
        label: "First image",
        help: "The number of the first image within the seed; 0 by default.",
        ..setting("first_image", "first", "first-image")
    },
    Setting {
        value: Value::Switch { off: "no-clip" },
        label: "Clip estimates",
        help: "Whether the estimate of the clean image is clipped to [−1, 1] at every step.",
        ..setting("clip", "clip", "clip")
    },
    Setting {
        value: Value::Number { min: 0.0, max: 1.0 },
        metavar: "P",
        label: "Dynamic threshold",
        help: "Dynamic thresholding (Saharia et al. 2022) in the place of clipping: with s, the quantile P of the magnitudes of the \
               estimate, but at least 1, the estimate is clipped to [−s, s] and divided by s, so that a high w saturates less. \
               P is above 0 and at most 1; 0.995 is usual.",
        ..setting("dynamic_threshold", "threshold", "dynamic-threshold")
    },
    Setting {
        value: Value::Number { min: 0.0, max: 1.0 },
        metavar: "NU",
        applies: Applies::Samplers(&["ancestral"]),
        label: "Variance interpolation ν",
        help: "With ancestral: ν, the exponent between the two variances of the paper's sampler, from 0 to 1.",
        ..setting("variance_interpolation", "nu", "variance-interpolation")
    },
    Setting {
        value: Value::Number {
            min: 0.0,
            max: 255.0,
        },
        metavar: "N",
        label: "Until unchanged",
        help: "Finishes an image once no value of its estimate changes by more than N of 255 while λ rises by 1 or, with longer \
               steps, from one step to the next; the run ends when all its images are finished. Changes count from λ = 2 on. \
               Without it, all steps are taken.",
        ..setting("tolerance", "tolerance", "tolerance")
    },
    Setting {
        value: Value::Switch { off: "no-tileable" },
        label: "Tileable",
        help: "Whether the picture fits to itself at opposite edges, so that copies of it make a seamless pattern. Each step is \
               taken on a picture that is shifted cyclically (noise rolling, Vecchio et al. 2024); it needs some 20 steps.",
        ..setting("tileable", "tile", "tileable")
    },
    Setting {
        value: Value::Name {
            names: &SYMMETRIES,
            type_name: "Symmetry",
        },
        metavar: "NAME",
        label: "Symmetry",
        help: "The symmetry of the picture: left-right or top-bottom (one half mirrors the other), both (a quarter mirrors its \
               neighbours) or quarter-turn (every quarter turn gives the same picture). With a picture to start from, its left or \
               upper part counts.",
        ..setting("symmetry", "symmetry", "symmetry")
    },
    Setting {
        value: Value::Number { min: 0.0, max: 1.0 },
        metavar: "S",
        applies: Applies::Picture,
        label: "Strength",
        help: "With a picture to start from: the share of the steps that are taken, above 0 (the picture nearly as it is) to 1 \
               (noise alone); 0.6 by default, and 1 with a mask (SDEdit, Meng et al. 2022).",
        ..setting("strength", "strength", "strength")
    },
    Setting {
        value: Value::Integer {
            min: 1,
            max: MAX_RESAMPLING as u64,
        },
        metavar: "N",
        applies: Applies::Picture,
        label: "Resampling",
        help: "With a mask and ddim or ancestral: how often every step is taken, with noise added again in between, so that \
               the new part fits the picture better (RePaint, Lugmayr et al. 2022); 1 by default.",
        ..setting("resampling", "resampling", "resampling")
    },
];
