//! Fine-tuning: a training that starts from the weights of a bundle.
//!
//! All weights except the class embedding are used as they are. In the class embedding, ∅ is kept, and so is every
//! class with the same name in the bundle and the data set. A new class starts as ∅, which is what the model knows
//! about an image of no known class. (For a model of another program without ∅, the mean of its classes is used
//! instead.)
//!
//! A network may **grow**. If the recipe's patch is k times the model's, and everything else is the same, the network
//! starts as the model applied to the image reduced by k, with its prediction enlarged by k. Training then adds the
//! details (after the progressive growing of Karras et al. 2018, which adds a layer). The network may also get an input
//! skip that the model lacks; it starts at 0. So does the embedding of a number, and that of w, which makes a student of its
//! teacher. The embedding of a class becomes that of the attribute of its name.

use std::collections::HashMap;

use anyhow::{Result, bail};
use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use freeguide::bundle::{Model, Network};
use freeguide::network::{Conditions, UNet, UNetConfig};
use freeguide::parameters::{ParameterMapper, ParameterVisitor, map_parameters, visit_parameters};

use freeguide_recipe::Recipe;

/// The tensor with a row for each class, and one for ∅.
const CLASS_EMBEDDING: &str = "conditioning.class.weight";

/// The first and the last convolution.
const INPUT: &str = "input.weight";
const OUTPUT: [&str; 2] = ["output.weight", "output.bias"];

/// The layer of `network.input_skip`.
const INPUT_SKIP: &str = "input_skip.";

/// The layers of `network.guidance` and `network.flow_map`.
const GUIDANCE: &str = "conditioning.guidance.";
const NEXT_LEVEL: &str = "conditioning.next_log_snr.";

/// The layers of `network.number`.
const NUMBER: &str = "conditioning.number.";

/// What was reused from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The factor by which the sides of the pictures have grown; 1 if the patch is the same.
    pub growth: usize,
    /// The number of classes that keep their embedding.
    pub kept: usize,
    /// The number of classes that start as ∅.
    pub new: usize,
}

/// Returns `network`, which is freshly initialised for `classes`, with the weights of `model`.
///
/// # Errors
///
/// If the recipe and the model differ in something that the weights depend on. The error names the first difference.
pub fn fine_tune(
    network: UNet,
    model: &Model,
    recipe: &Recipe,
    classes: &[String],
) -> Result<(UNet, Taken)> {
    let growth = check(model, recipe)?;
    let mut tensors = TensorsByName::default();
    visit_parameters(model.network(), &mut tensors);
    let known = &model.config().classes;
    let rows: Vec<Option<usize>> = classes.iter().map(|class| known.id(class)).collect();
    let kept = rows.iter().flatten().count();
    let mut installer = Installer {
        tensors: tensors.0,
        rows,
        null_class: model.config().null_class,
        growth: Growth {
            factor: growth,
            patch: recipe.network.patch,
        },
        misfit: None,
    };
    let network = map_parameters(network, &mut installer);
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

/// Compares the settings that the weights depend on. Dropout may differ, and so may the size of the images, as long as
/// the same blocks have attention: the network is convolutional. Returns the ratio of the recipe's patch to the
/// model's.
fn check(model: &Model, recipe: &Recipe) -> Result<usize> {
    let config = model.config();
    let Network::UNet(theirs) = &config.network else {
        bail!("the model to be fine-tuned was compiled from an ONNX file");
    };
    let comparable = |network: &UNetConfig| {
        let neutral = UNetConfig {
            dropout: 0.0,
            attention_resolutions: Vec::new(),
            patch: 1,
            input_skip: false,
            guidance: None,
            flow_map: None,
            // The embedding of a class is that of an attribute.
            conditions: Conditions::default(),
            number: theirs.number.as_ref().and(network.number.clone()),
            ..network.clone()
        };
        Ok::<_, anyhow::Error>(serde_json::to_value(neutral)?)
    };
    let (from, to) = (theirs.patch, recipe.network.patch);
    if !to.is_multiple_of(from) {
        bail!(
            "network.patch is {to} in the recipe and {from} in the model to be fine-tuned: it can only grow to a multiple"
        );
    }
    if theirs.input_skip && !recipe.network.input_skip {
        bail!(
            "network.input_skip is false in the recipe and true in the model to be fine-tuned: set network.input_skip = true"
        );
    }
    let ours = &recipe.network;
    let students = theirs.guidance.is_some() && theirs.guidance != ours.guidance;
    if students || theirs.flow_map.is_some() {
        bail!(
            "the model to be fine-tuned is a student, which takes w as an input (network.guidance): fine-tune the model that it was distilled from, and distil the result"
        );
    }
    let (theirs, ours) = (comparable(theirs)?, comparable(&recipe.network)?);
    if let (Some(theirs), Some(ours)) = (theirs.as_object(), ours.as_object()) {
        // A field with its default value may be missing in one or both.
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
                    "network.{key} is {} in the recipe and {} in the model to be fine-tuned: set network.{key} to that",
                    said(value),
                    said(other)
                );
            }
        }
    }
    let (channels, wanted) = (config.image.channels, recipe.data.channels as usize);
    if channels != wanted {
        bail!(
            "data.channels is {wanted} in the recipe and {channels} in the model to be fine-tuned"
        );
    }
    let (theirs, ours) = (config.diffusion.target, recipe.diffusion.target);
    if theirs != ours {
        bail!(
            "diffusion.target is {} in the recipe and {} in the model to be fine-tuned: a network cannot predict both",
            serde_json::to_string(&ours)?,
            serde_json::to_string(&theirs)?
        );
    }
    Ok(to / from)
}

/// A patch that is larger than that of the model.
#[derive(Debug, Clone, Copy)]
struct Growth {
    /// The factor by which it is larger.
    factor: usize,
    /// Its side in pixels.
    patch: usize,
}

impl Growth {
    /// Whether weights of the first convolution can grow to this shape.
    fn fits(self, old: &TensorData, wanted: &[usize]) -> bool {
        let mut shape = old.shape().to_vec();
        if let Some(channels) = shape.get_mut(1) {
            *channels *= self.factor * self.factor;
        }
        self.factor > 1 && shape == wanted
    }

    /// The channel of the model that belongs to `channel` of a patch, which stands for a pixel and a colour.
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

    /// The weights of the first convolution, `[out, in, height, width]`. The mean of the pixels of a patch gets the
    /// model's weights, and the differences between these pixels get the `fresh` weights. Without fresh weights,
    /// nothing would distinguish the pixels of a patch, which is a saddle point that training leaves only slowly.
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

    /// Weights or bias of the last convolution, `[out, …]`. Every pixel of a patch gets those of the model's pixel.
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

/// The values of a network's parameters.
#[derive(Default)]
struct TensorsByName(HashMap<String, TensorData>);

impl ParameterVisitor for TensorsByName {
    fn visit<const D: usize>(&mut self, name: &str, parameter: &Param<Tensor<D>>) {
        let data = parameter.val().into_data();
        self.0.insert(name.to_owned(), data);
    }
}

struct Installer {
    tensors: HashMap<String, TensorData>,
    /// The row of each class of the new network in the old class embedding.
    rows: Vec<Option<usize>>,
    /// Whether the row for ∅ in the old class embedding was trained.
    null_class: bool,
    growth: Growth,
    misfit: Option<String>,
}

impl Installer {
    /// The class embedding with new rows. The last row is ∅'s in both. In a model that is only conditional, that row is
    /// untrained, and ∅ starts as the mean of all classes.
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

impl ParameterMapper for Installer {
    fn map<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let wanted = param.lazy_shape().to_vec();
        let data = self.tensors.remove(name).map(|data| match name {
            CLASS_EMBEDDING => self.chosen(&data),
            _ if self.growth.factor > 1 && OUTPUT.contains(&name) => self.growth.output(&data),
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
                    "the recipe's network does not match the model to be fine-tuned: {name} has shape {wanted:?} in the recipe and {found:?} in the model"
                ));
                param
            }
            // Their output is 0 at first, so they may be added.
            None if [INPUT_SKIP, GUIDANCE, NEXT_LEVEL, NUMBER]
                .iter()
                .any(|layer| name.starts_with(layer)) =>
            {
                param
            }
            None => {
                self.misfit.get_or_insert(format!(
                    "the recipe's network does not match the model to be fine-tuned, which has no {name}: set network.attention_resolutions so that the same stages have attention"
                ));
                param
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, ModuleMapper};
    use burn::tensor::{Device, Distribution, Int, Tolerance};
    use freeguide::denoiser::Denoiser;

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
            let mut tensors = TensorsByName::default();
            visit_parameters(&old, &mut tensors);
            let mut installer = Installer {
                tensors: tensors.0,
                rows: vec![Some(0), Some(1)],
                null_class: true,
                growth: Growth {
                    factor,
                    patch: patch * factor,
                },
                misfit: None,
            };
            let fresh = config(patch * factor).init(size * factor, 3, 2, &device);
            let grown = map_parameters(fresh, &mut installer);
            assert_eq!(installer.misfit, None);

            let z = Tensor::random([2, 3, size, size], Distribution::Normal(0.0, 1.0), &device);
            let log_snr = Tensor::<1>::from_floats([-2.0, 3.0], &device);
            let class = Tensor::<1, Int>::from_ints([1, 2], &device);
            let before = old.predict(z.clone(), log_snr.clone(), class.clone());
            let after = grown.predict(enlarged(z, factor), log_snr, class);
            let spread = before.clone().abs().max().into_scalar::<f32>();
            assert!(spread > 0.05, "{spread}");
            let tolerance = Tolerance::<f32>::absolute(1e-4 * spread);
            after
                .into_data()
                .assert_approx_eq(&enlarged(before, factor).into_data(), tolerance);
        }
    }
}
