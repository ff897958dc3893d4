//! Fine-tuning: a training that begins at the weights of a bundle.
//!
//! Everything but the class embedding is taken over as it is. Of the class embedding, ∅ is kept,
//! and so is every class that the data set calls by the bundle's name; a class that is new begins
//! as ∅, which is what the model knows of an image of no known class. (A model of another program
//! that does not know ∅ has the mean of its classes in its place.)
//!
//! A network may **grow**: where the recipe's patches are k times the model's, with everything else
//! alike, the network begins as the model on the image made k times smaller, its prediction made k
//! times larger, and learns the details from there (after the progressive growing of Karras et al.
//! 2018, for whom it was a layer that was added). It may also get an input skip that the model has not: that begins at 0.

use std::collections::HashMap;

use anyhow::{Result, bail};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use freeguide::bundle::{Model, Network};
use freeguide::network::{UNet, UNetConfig};

use freeguide_recipe::Recipe;

/// The tensor that has a row for each class, and one for ∅.
const CLASS_EMBEDDING: &str = "conditioning.class.weight";

/// The first and the last convolution.
const INPUT: &str = "input.weight";
const OUTPUT: [&str; 2] = ["output.weight", "output.bias"];

/// The layer of `network.input_skip`.
const INPUT_SKIP: &str = "input_skip.";

/// What was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// How many times the sides of the model's pictures go into what the network draws now, where its
    /// patches have grown; 1 where they have not.
    pub growth: usize,
    /// Classes that keep the embedding that they had.
    pub kept: usize,
    /// Classes that begin as ∅.
    pub new: usize,
}

/// `network`, which is fresh and has `classes`, with the weights of `model`.
///
/// # Errors
///
/// Names the first thing in which the recipe and the model differ that weights depend on.
pub fn fine_tune(
    network: UNet,
    model: &Model,
    recipe: &Recipe,
    classes: &[String],
) -> Result<(UNet, Taken)> {
    let growth = check(model, recipe)?;
    let mut collector = Collector::default();
    model.network().visit(&mut collector);
    let known = &model.config().classes;
    let rows: Vec<Option<usize>> = classes.iter().map(|class| known.id(class)).collect();
    let kept = rows.iter().flatten().count();
    let mut installer = Installer {
        path: Vec::new(),
        tensors: collector.tensors,
        rows,
        null_class: model.config().null_class,
        growth: Growth {
            factor: growth,
            patch: recipe.network.patch,
        },
        misfit: None,
    };
    let network = network.map(&mut installer);
    match installer.misfit {
        Some(misfit) => bail!("{misfit}"),
        None => Ok((
            network,
            Taken {
                growth,
                kept,
                new: classes.len() - kept,
            },
        )),
    }
}

/// Compares what weights mean. Dropout may differ, and so may the image's size, as long as the
/// same blocks attend: the network is convolutional. Returns how many times larger the recipe's
/// patches are.
fn check(model: &Model, recipe: &Recipe) -> Result<usize> {
    let config = model.config();
    let Network::UNet(theirs) = &config.network else {
        bail!("the model that is to be fine-tuned was compiled from an ONNX file");
    };
    let comparable = |network: &UNetConfig| {
        let neutral = UNetConfig {
            dropout: 0.0,
            attention_resolutions: Vec::new(),
            patch: 1,
            input_skip: false,
            ..network.clone()
        };
        Ok::<_, anyhow::Error>(serde_json::to_value(neutral)?)
    };
    let (from, to) = (theirs.patch, recipe.network.patch);
    if !to.is_multiple_of(from) {
        bail!(
            "network.patch is {to} in the recipe and {from} in the model that is to be fine-tuned: it can grow to a multiple of that"
        );
    }
    if theirs.input_skip && !recipe.network.input_skip {
        bail!(
            "network.input_skip is false in the recipe and true in the model that is to be fine-tuned: set network.input_skip to that"
        );
    }
    let (theirs, ours) = (comparable(theirs)?, comparable(&recipe.network)?);
    if let (Some(theirs), Some(ours)) = (theirs.as_object(), ours.as_object()) {
        // A field of the default value may stand in neither, or in one.
        let absent = serde_json::Value::Null;
        for key in ours.keys().chain(theirs.keys()) {
            let value = ours.get(key).unwrap_or(&absent);
            let other = theirs.get(key).unwrap_or(&absent);
            if other != value {
                let said = |value: &serde_json::Value| match value {
                    serde_json::Value::Null => "left at its default".to_owned(),
                    value => value.to_string(),
                };
                bail!(
                    "network.{key} is {} in the recipe and {} in the model that is to be fine-tuned: set network.{key} to that",
                    said(value),
                    said(other)
                );
            }
        }
    }
    let (channels, wanted) = (config.image.channels, recipe.data.channels as usize);
    if channels != wanted {
        bail!(
            "data.channels is {wanted} in the recipe and {channels} in the model that is to be fine-tuned"
        );
    }
    let (theirs, ours) = (config.diffusion.target, recipe.diffusion.target);
    if theirs != ours {
        bail!(
            "diffusion.target is {} in the recipe and {} in the model that is to be fine-tuned: the same network cannot mean both",
            serde_json::to_string(&ours)?,
            serde_json::to_string(&theirs)?
        );
    }
    Ok(to / from)
}

/// Patches that are larger than those of the model that weights come from.
#[derive(Debug, Clone, Copy)]
struct Growth {
    /// How many times larger.
    factor: usize,
    /// Their side, in pixels.
    patch: usize,
}

impl Growth {
    /// Whether weights of the first convolution grow to those of a shape.
    fn fits(self, old: &TensorData, wanted: &[usize]) -> bool {
        let mut shape = old.shape().to_vec();
        if let Some(channels) = shape.get_mut(1) {
            *channels *= self.factor * self.factor;
        }
        self.factor > 1 && shape == wanted
    }

    /// The model's channel that pixel and colour `channel` of a patch belong to.
    fn source(self, channel: usize) -> usize {
        let Self { factor, patch } = self;
        let (color, y, x) = (
            channel / (patch * patch),
            channel / patch % patch,
            channel % patch,
        );
        let old = patch / factor;
        (color * old + y / factor) * old + x / factor
    }

    /// The weights of the first convolution, `[out, in, height, width]`: it sees the mean of the pixels
    /// that the model saw as one, and of how they differ what the `fresh` weights make of it. Without
    /// those nothing would tell the pixels of a patch apart at either end, a saddle that training
    /// leaves only slowly.
    fn input(self, old: &TensorData, fresh: &TensorData) -> TensorData {
        let square = self.factor * self.factor;
        let (shape, values) = (old.shape().to_vec(), old.iter::<f32>().collect::<Vec<_>>());
        let (channels, kernel) = (shape[1], shape[2] * shape[3]);
        let mut grown: Vec<f32> = fresh.iter::<f32>().collect();
        let filters = grown.chunks_exact_mut(channels * square * kernel);
        for (new, old) in filters.zip(values.chunks_exact(channels * kernel)) {
            let mut means = vec![0f32; old.len()];
            for (channel, taps) in new.chunks_exact(kernel).enumerate() {
                let means = &mut means[self.source(channel) * kernel..];
                for (mean, tap) in means.iter_mut().zip(taps) {
                    *mean += tap / square as f32;
                }
            }
            for (channel, taps) in new.chunks_exact_mut(kernel).enumerate() {
                let from = self.source(channel) * kernel;
                for (i, tap) in taps.iter_mut().enumerate() {
                    *tap += old[from + i] / square as f32 - means[from + i];
                }
            }
        }
        TensorData::new(grown, fresh.shape().clone())
    }

    /// Weights or bias of the last convolution, `[out, …]`: every pixel of a patch gets what the model's
    /// one got.
    fn output(self, old: &TensorData) -> TensorData {
        let mut shape = old.shape().to_vec();
        let values: Vec<f32> = old.iter::<f32>().collect();
        let filter = values.len() / shape[0].max(1);
        shape[0] *= self.factor * self.factor;
        let mut grown = Vec::with_capacity(shape[0] * filter);
        for channel in 0..shape[0] {
            grown.extend_from_slice(&values[self.source(channel) * filter..][..filter]);
        }
        TensorData::new(grown, shape)
    }
}

#[derive(Default)]
struct Collector {
    path: Vec<String>,
    tensors: HashMap<String, TensorData>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().into_data();
        self.tensors.insert(self.path.join("."), data);
    }
}

struct Installer {
    path: Vec<String>,
    tensors: HashMap<String, TensorData>,
    /// For each class of the new network, its row in the old class embedding.
    rows: Vec<Option<usize>>,
    /// Whether the old class embedding has a row for ∅ that means something.
    null_class: bool,
    growth: Growth,
    misfit: Option<String>,
}

impl Installer {
    /// The class embedding with other rows. The last row is ∅'s in both. Of a model that is
    /// conditional only it means nothing, and ∅ begins as the mean of all classes.
    fn chosen(&self, old: &TensorData) -> TensorData {
        let width = old.shape().last().copied().unwrap_or(1).max(1);
        let values: Vec<f32> = old.iter::<f32>().collect();
        let rows: Vec<&[f32]> = values.chunks_exact(width).collect();
        let (classes, last) = rows.split_at(rows.len().saturating_sub(1));
        let null: Vec<f32> = match last {
            [null] if self.null_class => null.to_vec(),
            _ => (0..width)
                .map(|i| classes.iter().map(|row| row[i]).sum::<f32>() / classes.len() as f32)
                .collect(),
        };
        let mut chosen = Vec::new();
        for place in &self.rows {
            chosen.extend_from_slice(place.map_or(&null, |place| rows[place]));
        }
        chosen.extend_from_slice(&null);
        TensorData::new(chosen, [self.rows.len() + 1, width])
    }
}

impl ModuleMapper for Installer {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let wanted = param.lazy_shape().to_vec();
        let data = self.tensors.remove(&name).map(|data| match name.as_str() {
            CLASS_EMBEDDING => self.chosen(&data),
            name if self.growth.factor > 1 && OUTPUT.contains(&name) => self.growth.output(&data),
            _ => data,
        });
        match data {
            Some(data) if name == INPUT && self.growth.fits(&data, &wanted) => param.map(|fresh| {
                let data = self.growth.input(&data, &fresh.to_data());
                Tensor::from_data(data, &fresh.device()).require_grad()
            }),
            Some(data) if data.shape().to_vec() == wanted => {
                param.map(|fresh| Tensor::from_data(data, &fresh.device()).require_grad())
            }
            Some(data) => {
                let found = data.shape().to_vec();
                self.misfit.get_or_insert(format!(
                    "the recipe's network does not fit the model that is to be fine-tuned: {name} has the shape {wanted:?} here and {found:?} there"
                ));
                param
            }
            // It answers 0 at first, so that one may be added.
            None if name.starts_with(INPUT_SKIP) => param,
            None => {
                self.misfit.get_or_insert(format!(
                    "the recipe's network does not fit the model that is to be fine-tuned, which has no {name}: set network.attention_resolutions so that the same stages attend"
                ));
                param
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution, Int, Tolerance};

    /// Makes every parameter random, those of the last convolution too, which begin as zeros.
    struct Randomise;

    impl ModuleMapper for Randomise {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|x| x.random_like(Distribution::Normal(0.0, 0.2)))
        }
    }

    /// Repeats every pixel k times in both directions.
    fn enlarged(x: Tensor<4>, k: usize) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        x.reshape([batch, channels, height, 1, width, 1])
            .repeat(&[1, 1, 1, k, 1, k])
            .reshape([batch, channels, height * k, width * k])
    }

    /// Whatever the patches were, the grown network draws the same pictures, only larger.
    #[test]
    fn a_grown_network_answers_as_it_did_on_larger_pixels() {
        let device = Device::flex().autodiff();
        for (patch, factor) in [(1, 2), (2, 2), (1, 3)] {
            let config = |patch| UNetConfig {
                attention_resolutions: vec![4],
                patch,
                input_skip: patch > 1,
                ..UNetConfig::tiny()
            };
            let size = 8 * patch;
            let old = config(patch).init(size, 3, 2, &device).map(&mut Randomise);
            let mut collector = Collector::default();
            old.visit(&mut collector);
            let mut installer = Installer {
                path: Vec::new(),
                tensors: collector.tensors,
                rows: vec![Some(0), Some(1)],
                null_class: true,
                growth: Growth {
                    factor,
                    patch: patch * factor,
                },
                misfit: None,
            };
            let fresh = config(patch * factor).init(size * factor, 3, 2, &device);
            let grown = fresh.map(&mut installer);
            assert_eq!(installer.misfit, None);

            let z = Tensor::random([2, 3, size, size], Distribution::Normal(0.0, 1.0), &device);
            let log_snr = Tensor::<1>::from_floats([-2.0, 3.0], &device);
            let class = Tensor::<1, Int>::from_ints([1, 2], &device);
            let before = old.forward(z.clone(), log_snr.clone(), class.clone());
            let after = grown.forward(enlarged(z, factor), log_snr, class);
            let spread = before.clone().abs().max().into_scalar::<f32>();
            assert!(spread > 0.05, "{spread}");
            let tolerance = Tolerance::<f32>::absolute(1e-4 * spread);
            after
                .into_data()
                .assert_approx_eq(&enlarged(before, factor).into_data(), tolerance);
        }
    }
}
