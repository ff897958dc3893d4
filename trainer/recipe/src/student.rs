//! The recipe of a distillation, made from its teacher.

use anyhow::{Result, bail};
use freeguide::bundle::{Config, Network};
use freeguide::guidance::Policy;
use freeguide::network::{FlowMap, GuidanceInput, UNetConfig};
use freeguide::sampler::Solver;
use freeguide::settings::SamplingDefaults;
use freeguide::training::{Levels, LogNormal, Weighting};
use freeguide_data::DataRecipe;

use crate::{
    Decays, DiffusionRecipe, DistillRecipe, Precision, ProvenanceRecipe, Recipe, TrainRecipe,
};

/// The strengths that a student is taught unless others are set: those of the page's slider.
const RANGE: (f64, f64) = (-1.0, 8.0);

impl Recipe {
    /// The recipe of a student called `name` of the model with this configuration, with `set` applied. With `max_steps`
    /// the student draws in few steps, up to this number. `data` says how the images are prepared; by default they are
    /// resized to the teacher's size.
    ///
    /// # Errors
    ///
    /// If the model cannot be a teacher, and as [`parse`](Self::parse).
    pub fn of_student(
        teacher: &Config,
        name: &str,
        max_steps: Option<usize>,
        data: Option<DataRecipe>,
        set: &[String],
    ) -> Result<Self> {
        let network = student_of(teacher, max_steps)?;
        let image = teacher.image;
        let data = match data {
            Some(data)
                if (data.size as usize, data.channels as usize) != (image.size, image.channels) =>
            {
                bail!(
                    "the recipe prepares images of {} pixels and {} channels, and {} draws {} pixels and {} channels: use the recipe that it was trained with",
                    data.size,
                    data.channels,
                    teacher.name,
                    image.size,
                    image.channels
                )
            }
            Some(data) => data,
            None => DataRecipe {
                channels: image.channels as u32,
                ..DataRecipe::new(image.size as u32)
            },
        };
        let origin = &teacher.provenance;
        let recipe = Self {
            name: name.to_owned(),
            data,
            network,
            diffusion: DiffusionRecipe {
                target: teacher.diffusion.target,
                log_snr: teacher.diffusion.log_snr,
                p_uncond: P_UNCOND,
                p_drop: None,
                levels: Levels::default(),
                log_normal: LogNormal::default(),
                weighting: Weighting::default(),
            },
            train: schedule(),
            distill: max_steps.map(|_| DistillRecipe::default()),
            sampling: match max_steps {
                Some(most) => SamplingDefaults {
                    sampler: Solver::Ddim,
                    steps: most.min(FEW),
                    grid: None,
                    clip: true,
                    ..teacher.sampling.clone()
                },
                None => teacher.sampling.clone(),
            },
            provenance: ProvenanceRecipe {
                dataset: origin.dataset.clone(),
                license: origin.license.clone(),
                attribution: origin.attribution.clone(),
            },
        };
        Self::parse(&recipe.to_toml()?, set)
    }
}

/// How often a student is taught the unconditional model.
const P_UNCOND: f64 = 0.1;

/// The steps of a student of few steps, if it can take them.
const FEW: usize = 4;

/// The network of a student.
fn student_of(teacher: &Config, max_steps: Option<usize>) -> Result<UNetConfig> {
    let name = &teacher.name;
    let Network::UNet(network) = &teacher.network else {
        bail!(
            "{name} was compiled from an ONNX file and cannot be distilled: distil the model that the file was made from"
        );
    };
    teacher.draws_alone()?;
    if network.takes_more_than_a_class() {
        bail!(
            "{name} has attributes or a number, and models with one class an image are what can be distilled"
        );
    }
    if network.flow_map.is_some() {
        bail!(
            "{name} is a student of few steps already: distil the model that it was distilled from"
        );
    }
    if network.guidance.is_some() && max_steps.is_none() {
        bail!(
            "{name} is a student already, which takes w as an input: --steps-max distils it to few steps"
        );
    }
    if !teacher.null_class || teacher.classes.is_empty() {
        bail!(
            "{name} has no null class, and so no guidance that could be distilled: train a model with classes and diffusion.p_uncond above 0"
        );
    }
    let sampling = &teacher.sampling;
    if sampling.guidance_policy != Policy::default() || sampling.guidance_interval.is_some() {
        bail!(
            "{name} is drawn with a guidance policy or interval of its own, and only the paper's mix can be distilled: remove guidance_policy and guidance_interval from the sampling of its config.json"
        );
    }
    let (min, max) = RANGE;
    Ok(UNetConfig {
        dropout: 0.0,
        guidance: network.guidance.or(Some(GuidanceInput::new(min, max))),
        flow_map: max_steps.map(|max_steps| FlowMap { max_steps }),
        ..network.clone()
    })
}

/// A short training: the student begins as its teacher.
fn schedule() -> TrainRecipe {
    TrainRecipe {
        steps: 800,
        batch: 64,
        accumulate: 1,
        precision: Precision::default(),
        gradient_checkpointing: false,
        learning_rate: 5e-4,
        warmup: 50,
        final_rate: 0.02,
        weight_decay: 0.0,
        betas: [0.9, 0.999],
        clip_norm: 1.0,
        ema_decay: Decays::Several(vec![0.99, 0.999]),
        checkpoint_every: 100,
        keep_steps: Vec::new(),
        sample_every: 200,
        seed: 0,
    }
}
