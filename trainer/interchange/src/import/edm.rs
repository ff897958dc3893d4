//! Reads state dictionaries of NVlabs/edm (Karras et al. 2022). Of its networks, the one after ADM (`DhariwalUNet`) is the
//! network here; its noise levels and its preconditioning are the target `edm`.

use std::collections::BTreeSet;

use anyhow::{Result, anyhow, bail};
use freeguide::network::{LogSnrEmbedding, UNetConfig};
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::sampler::Solver;
use freeguide::settings::SamplingDefaults;

use super::names::{ClassRows, Places, ResidualNames};
use super::place::{Place, Step};
use super::{Foreign, Options};
use freeguide_native::usage::Usage;
use freeguide_readers::weights::Weights;

const RESIDUAL: ResidualNames = ResidualNames {
    norm_in: "norm0",
    conv_in: "conv0",
    modulation: "affine",
    norm_out: "norm1",
    conv_out: "conv1",
    skip: "skip",
};

/// σ of its noise levels, from which its samplers go (Karras et al. 2022, table 1).
const SIGMAS: [f64; 2] = [0.002, 80.0];
/// The steps of its sampler for CIFAR-10, a Heun solver.
const STEPS: usize = 18;

/// What a state dictionary does not say.
struct Flags {
    norm_groups: usize,
    head_channels: usize,
}

impl Flags {
    fn parse(text: &str) -> Result<Self> {
        let mut flags = Self {
            norm_groups: 32,
            head_channels: 64,
        };
        let text = text.replace('=', " ");
        let mut words = text.split_whitespace();
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_default();
            let wrong = |what: &str| Usage(format!("--flags: {word} {value}: {what}"));
            let number = || value.parse().map_err(|_| wrong("expected a number"));
            match (word, value) {
                ("--norm_groups", _) => flags.norm_groups = number()?,
                ("--head_channels", _) => flags.head_channels = number()?,
                ("--precond", "edm") | ("--arch", "adm") => {}
                ("--precond", "vp" | "ve" | "iddpm") => bail!(
                    "a model with the preconditioning {value} cannot be imported: only that of EDMPrecond can"
                ),
                ("--arch", "ddpmpp" | "ncsnpp") => return Err(song_unet()),
                _ => {
                    let what = "the flags are --precond, --arch, --norm_groups and --head_channels";
                    return Err(wrong(what).into());
                }
            }
        }
        Ok(flags)
    }
}

/// Why the networks after Song et al. cannot be imported.
fn song_unet() -> anyhow::Error {
    anyhow!(
        "is a SongUNet (DDPM++ or NCSN++), which has no counterpart here: its residual blocks are scaled by √½ and its class enters before the embedding's layers. DhariwalUNet (--arch=adm) can be imported"
    )
}

/// What the names and shapes of the tensors say.
struct Layout {
    size: usize,
    channels: usize,
    widths: Vec<usize>,
    blocks: usize,
    /// Resolutions with attention.
    attention: BTreeSet<usize>,
    sinusoids: usize,
    embedding: usize,
    /// The classes, where there are any.
    classes: Option<usize>,
}

impl Layout {
    fn of(weights: &Weights) -> Result<Self> {
        let dims = |name: &str| {
            let dims = weights.dims(name);
            dims.ok_or_else(|| {
                anyhow!("has no tensor {name}: it is not a state dictionary of EDM's DhariwalUNet")
            })
        };
        if weights.contains("u") {
            bail!(
                "is of iDDPMPrecond, which predicts a variance as well: only EDMPrecond can be imported"
            );
        }
        let is_song = |name: &str| name.contains("_aux_") || name.starts_with("map_label.bias");
        if weights.names().any(is_song) || weights.contains("map_noise.freqs") {
            return Err(song_unet());
        }
        let resolutions: BTreeSet<usize> = weights.names().filter_map(resolution_of).collect();
        let size = resolutions.last().copied().unwrap_or(0);
        let [_, channels, ..] = dims(&format!("enc.{size}x{size}_conv.weight"))?[..] else {
            bail!("has a first convolution of another shape");
        };
        let mut widths = Vec::new();
        let mut attention = BTreeSet::new();
        let mut blocks = 0;
        // The image halves from level to level.
        for &side in resolutions.iter().rev() {
            if side != size >> widths.len() {
                bail!("has feature maps of {side} pixels, which do not follow on the others");
            }
            let block = |k: usize| format!("enc.{side}x{side}_block{k}");
            blocks = 0;
            while weights.contains(&format!("{}.conv0.weight", block(blocks))) {
                blocks += 1;
            }
            let width = dims(&format!("{}.conv0.weight", block(0)))?;
            widths.push(width.first().copied().unwrap_or(0));
            if weights.contains(&format!("{}.qkv.weight", block(0))) {
                attention.insert(side);
            }
        }
        let [embedding, sinusoids] = dims("map_layer0.weight")?[..] else {
            bail!("has an embedding of another shape");
        };
        let classes = weights.dims("map_label.weight");
        Ok(Self {
            size,
            channels,
            widths,
            blocks,
            attention,
            sinusoids,
            embedding,
            classes: classes.and_then(|dims| dims.get(1).copied()),
        })
    }

    fn network(&self, flags: &Flags) -> Result<UNetConfig> {
        if let Some(width) = self
            .widths
            .iter()
            .find(|&&width| width / 4 < flags.norm_groups)
        {
            bail!(
                "normalises its {width} channels in {} groups and wider layers in {}, which the network here cannot",
                width / 4,
                flags.norm_groups
            );
        }
        Ok(UNetConfig {
            residual_blocks: self.blocks,
            attention_resolutions: self.attention.iter().rev().copied().collect(),
            head_channels: flags.head_channels,
            norm_groups: flags.norm_groups,
            // c_noise = ¼ ln σ, which is −λ/8.
            log_snr_embedding: LogSnrEmbedding {
                min: -8.0,
                max: 0.0,
                scale: 1.0,
            },
            ..super::network_of_widths(&self.widths, self.sinusoids, self.embedding)?
        })
    }

    /// The source of every tensor.
    fn places(&self, network: &UNetConfig, classes: ClassRows) -> Places {
        let mut places = Places::default();
        places.linear("conditioning.log_snr_in", "map_layer0", &[]);
        places.linear("conditioning.log_snr_out", "map_layer1", &[]);
        places.class("map_label.weight", classes, network.embedding());
        // One column a class, where others have one row.
        if let Some(class) = places.0.last_mut().filter(|class| !class.theirs.is_empty()) {
            class.steps.insert(0, Step::Transpose);
        }
        let side = |stage: usize| self.size >> stage;
        places.same("input", &format!("enc.{0}x{0}_conv", self.size));
        let last = self.widths.len() - 1;
        for stage in 0..=last {
            let side = side(stage);
            for block in 0..self.blocks {
                let ours = format!("down.{stage}.blocks.{block}");
                self.block(
                    &mut places,
                    &ours,
                    &format!("enc.{side}x{side}_block{block}"),
                );
            }
            if stage < last {
                let half = side / 2;
                let theirs = format!("enc.{half}x{half}_down");
                places.residual(&format!("down.{stage}.downsample"), &theirs, &RESIDUAL);
            }
        }
        let middle = format!("dec.{0}x{0}_in", side(last));
        places.residual("middle.first", &format!("{middle}0"), &RESIDUAL);
        self.attention(&mut places, "middle.attention", &format!("{middle}0"));
        places.residual("middle.second", &format!("{middle}1"), &RESIDUAL);
        for (up, stage) in (0..=last).rev().enumerate() {
            let side = side(stage);
            for block in 0..=self.blocks {
                let ours = format!("up.{up}.blocks.{block}");
                self.block(
                    &mut places,
                    &ours,
                    &format!("dec.{side}x{side}_block{block}"),
                );
            }
            if stage > 0 {
                let twice = 2 * side;
                let theirs = format!("dec.{twice}x{twice}_up");
                places.residual(&format!("up.{up}.upsample"), &theirs, &RESIDUAL);
            }
        }
        places.same("output_norm", "out_norm");
        places.same("output", "out_conv");
        places
    }

    fn block(&self, places: &mut Places, ours: &str, theirs: &str) {
        places.residual(&format!("{ours}.residual"), theirs, &RESIDUAL);
        self.attention(places, &format!("{ours}.attention"), theirs);
    }

    /// Query, key and value in one convolution, whose rows go head by head, channel by channel and part by part.
    fn attention(&self, places: &mut Places, ours: &str, theirs: &str) {
        places.same(&format!("{ours}.norm"), &format!("{theirs}.norm2"));
        for (leaf, steps) in [
            (
                "weight",
                vec![Step::Flatten, Step::EveryThird, Step::Transpose],
            ),
            ("bias", vec![Step::EveryThird]),
        ] {
            places.0.push(Place {
                ours: format!("{ours}.qkv.{leaf}"),
                theirs: vec![vec![format!("{theirs}.qkv.{leaf}")]],
                steps,
            });
        }
        places.linear(
            &format!("{ours}.output"),
            &format!("{theirs}.proj"),
            &[Step::Flatten],
        );
    }
}

/// The side in a name such as `enc.32x32_block0.conv0.weight`.
fn resolution_of(name: &str) -> Option<usize> {
    let (side, rest) = name.strip_prefix("enc.")?.split_once('x')?;
    let (again, _) = rest.split_once('_')?;
    (side == again).then(|| side.parse().ok())?
}

/// Tensors that no prediction needs: the filter of its resampling, which is the mean of four pixels or their repetition as
/// here, and the layer that only training's augmentation uses.
fn without_effect(weights: &mut Weights) -> Result<Vec<String>> {
    let filters = weights
        .names()
        .filter(|name| name.ends_with(".resample_filter"));
    let filters: Vec<String> = filters.map(str::to_owned).collect();
    for name in &filters {
        let filter = weights.values(name)?;
        if filter.values != [0.25; 4] {
            bail!("resamples by another filter ({name}) than the mean of four pixels");
        }
    }
    let augment = weights.names().filter(|name| *name == "map_augment.weight");
    let augment: Vec<String> = augment.map(str::to_owned).collect();
    Ok([filters, augment].concat())
}

/// The model of a state dictionary.
pub fn read(options: &Options) -> Result<Foreign> {
    let file = options.file.display();
    let flags = Flags::parse(options.flags.as_deref().unwrap_or_default())?;
    let pickle = options.file.extension().is_some_and(|name| name == "pkl");
    let mut weights = super::open(&options.file).map_err(|error| match pickle {
        true => anyhow!("{error:#}. {STATE_DICT}"),
        false => error,
    })?;
    let layout = Layout::of(&weights).map_err(|e| anyhow!("{file} {e:#}"))?;
    let network = layout
        .network(&flags)
        .map_err(|e| anyhow!("{file} {e:#}"))?;
    let ignored = without_effect(&mut weights).map_err(|e| anyhow!("{file} {e:#}"))?;
    let classes = options.class_rows(layout.classes)?;
    let [least, most] = SIGMAS;
    Ok(Foreign {
        places: layout.places(&network, classes),
        size: layout.size,
        channels: layout.channels,
        network,
        classes,
        rows: layout.classes.unwrap_or(0),
        target: Target::Edm,
        range: Some(LogSnrRange {
            min: -2.0 * most.ln(),
            max: -2.0 * least.ln(),
        }),
        sampling: SamplingDefaults {
            sampler: Solver::Heun,
            steps: STEPS,
            ..SamplingDefaults::default()
        },
        ignored,
        weights,
    })
}

/// How a pickle of EDM becomes a file that can be read. It holds the source of its classes.
const STATE_DICT: &str = "In a checkout of NVlabs/edm, two lines of Python make a state dictionary of it, if you trust it: `import pickle, torch` and `torch.save(pickle.load(open('FILE.pkl', 'rb'))['ema'].state_dict(), 'FILE.pt')`";
