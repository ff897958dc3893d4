//! Fine-tuning: a training that begins at the weights of a bundle.
//!
//! Everything but the class embedding is taken over as it is. Of the class embedding, ∅ is kept,
//! and so is every class that the data set calls by the bundle's name; a class that is new begins
//! as ∅, which is what the model knows of an image of no known class. (A model of another program
//! that does not know ∅ has the mean of its classes in its place.)

use std::collections::HashMap;

use anyhow::{Result, bail};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use freeguide::bundle::{Model, Network};
use freeguide::network::{UNet, UNetConfig};

use crate::recipe::Recipe;

/// The tensor that has a row for each class, and one for ∅.
const CLASS_EMBEDDING: &str = "conditioning.class.weight";

/// What was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
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
    check(model, recipe)?;
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
        misfit: None,
    };
    let network = network.map(&mut installer);
    match installer.misfit {
        Some(misfit) => bail!("{misfit}"),
        None => Ok((
            network,
            Taken {
                kept,
                new: classes.len() - kept,
            },
        )),
    }
}

/// Compares what weights mean. Dropout may differ, and so may the image's size, as long as the
/// same blocks attend: the network is convolutional.
fn check(model: &Model, recipe: &Recipe) -> Result<()> {
    let config = model.config();
    let Network::UNet(theirs) = &config.network else {
        bail!("the model that is to be fine-tuned was compiled from an ONNX file");
    };
    let comparable = |network: &UNetConfig| {
        let neutral = UNetConfig {
            dropout: 0.0,
            attention_resolutions: Vec::new(),
            ..network.clone()
        };
        Ok::<_, anyhow::Error>(serde_json::to_value(neutral)?)
    };
    let (theirs, ours) = (comparable(theirs)?, comparable(&recipe.network)?);
    if let (Some(theirs), Some(ours)) = (theirs.as_object(), ours.as_object()) {
        for (key, value) in ours {
            let other = theirs.get(key).unwrap_or(&serde_json::Value::Null);
            if other != value {
                bail!(
                    "network.{key} is {value} in the recipe and {other} in the model that is to be fine-tuned: set network.{key} to that"
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
    Ok(())
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
            _ => data,
        });
        match data {
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
            None => {
                self.misfit.get_or_insert(format!(
                    "the recipe's network does not fit the model that is to be fine-tuned, which has no {name}: set network.attention_resolutions so that the same stages attend"
                ));
                param
            }
        }
    }
}
