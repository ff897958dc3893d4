//! The inputs of an evaluation: models, the data set and feature networks, opened and checked for consistency.

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::Device;
use freeguide::bundle::{ClassNames, Model, Network, hex};
use freeguide::noise::{NoiseStream, Purpose};
use sha2::{Digest, Sha256};

use super::classes;
use super::damage::Damage;
use super::sweep::{Cell, ClassBalance, OnnxInput, Sweep};
use crate::features::{self, FeatureNetwork, Normalisation};
use freeguide_data::{self as data, DataRecipe, Dataset};
use freeguide_native::bundle_files;
use freeguide_native::tell;
use freeguide_recipe::Recipe;

/// Everything that the sweep refers to.
pub struct Inputs {
    /// The models. All draw images of the same shape and classes.
    pub models: Vec<Model>,
    /// Their names in reports.
    pub labels: Vec<String>,
    /// The data set in the shape of the models' images.
    pub data: Dataset,
    /// The feature networks.
    pub networks: Vec<FeatureNetwork>,
    /// The cells of the sweep.
    pub cells: Vec<Cell>,
    /// The key of each cell's images in the store.
    pub keys: Vec<String>,
    /// The key of the data set's features in the store.
    pub data_key: String,
    /// The data set's images in a random order, which is the same in every evaluation. When real images are compared
    /// with real images, the first of them take the place of generated ones.
    pub order: Vec<usize>,
    /// The class of each image of a cell, as an id of the data set.
    pub sequence: Vec<u32>,
    /// The ids of the data set's classes in each model.
    class_ids: Vec<Vec<u32>>,
}

impl Inputs {
    /// The key of the features of damaged images in the store.
    pub fn damaged_key(&self, damage: Damage) -> String {
        format!("{}-{}", damage.key(), &self.data.fingerprint()[..20])
    }

    /// Opens everything.
    ///
    /// # Errors
    ///
    /// If something cannot be opened or is inconsistent.
    pub fn open(sweep: &Sweep, device: &Device) -> Result<Self> {
        let classifier = sweep.classifier.as_deref();
        let classifier = classifier
            .map(|file| bundle_files::open_noisy_classifier(file, device))
            .transpose()?;
        let mut models = Vec::new();
        for column in sweep.columns() {
            let model = bundle_files::open_guided(column.model, column.guide, device)?;
            models.push(match (&classifier, column.classifier) {
                (Some(classifier), Some((_, strength))) => {
                    let guidance = classifier.guidance(model.config(), strength)?;
                    model.with_classifier(classifier.clone(), guidance)
                }
                _ => model,
            });
        }
        Self::of(models, sweep, device)
    }

    /// Like [`open`](Self::open), with models that are already loaded. The sweep gives their names.
    ///
    /// # Errors
    ///
    /// If something cannot be opened or is inconsistent.
    pub fn of(models: Vec<Model>, sweep: &Sweep, device: &Device) -> Result<Self> {
        let first = models
            .first()
            .ok_or_else(|| anyhow!("no model was given"))?;
        let image = first.config().image;
        let columns = sweep.columns();
        let other = models.iter().position(|m| m.config().image != image);
        if let Some(other) = other {
            bail!(
                "{} and {} draw images of different sizes: evaluate them separately",
                columns[0].model.display(),
                columns[other].model.display()
            );
        }
        let preparation = preparation(sweep, image.size, image.channels)?;
        let data = data::load(&sweep.data, &preparation, &mut |warning| {
            tell!("warning: {warning}");
        })?;
        for (model, path) in models.iter().zip(&sweep.models) {
            if matches!(&model.config().network, Network::UNet(n) if n.takes_more_than_a_class()) {
                bail!(
                    "{} has attributes or a number, and an evaluation compares what a model draws of one class each: it is not made for such models",
                    path.display()
                );
            }
        }
        if data.beside.attributes.is_some() {
            bail!(
                "images of {} have several labels, and an evaluation compares classes",
                sweep.data.display()
            );
        }
        let class_ids = models
            .iter()
            .zip(&columns)
            .map(|(model, column)| {
                let (model_path, data_path) = (column.model.display(), sweep.data.display());
                class_ids(&data.classes, &model.config().classes)
                    .with_context(|| format!("{model_path} and {data_path}"))
            })
            .collect::<Result<Vec<_>>>()?;

        let onnx_input = match sweep.onnx_input {
            OnnxInput::Imagenet => Normalisation::IMAGENET,
            OnnxInput::Symmetric => Normalisation::SYMMETRIC,
            OnnxInput::Unit => Normalisation::UNIT,
            OnnxInput::Bytes => Normalisation::BYTES,
        };
        let mut networks: Vec<FeatureNetwork> = Vec::new();
        for spec in &sweep.features {
            let network = features::open(spec, onnx_input, device).context("--features")?;
            if let Some(twin) = networks.iter().find(|n| n.name() == network.name()) {
                bail!(
                    "two feature networks are called {}: metrics are named after their network, so rename one",
                    twin.name()
                );
            }
            if let Err(why) = network_classes(&data.classes, network.name(), network.classes()) {
                tell!("warning: {why}");
            }
            enough(&network, sweep, data.len())?;
            networks.push(network);
        }

        let weights = match sweep.classes {
            ClassBalance::Data => data.class_counts(),
            ClassBalance::Uniform => vec![1; data.classes.len()],
        };
        let frequencies: Vec<(&str, usize)> = data
            .classes
            .iter()
            .map(String::as_str)
            .zip(weights.iter().copied())
            .collect();
        let cells = sweep.cells(&models);
        let classifier = match &sweep.classifier {
            Some(file) => {
                let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
                Some(hex(&Sha256::digest(bytes)))
            }
            None => None,
        };
        let keys = cells
            .iter()
            .map(|cell| {
                let model = &models[cell.model];
                Ok(cell.key(model, sweep.seed, &frequencies, classifier.as_deref())?)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            labels: labels(&models),
            sequence: classes::sequence(&weights, sweep.samples),
            data_key: format!("data-{}", &data.fingerprint()[..20]),
            order: shuffled(data.len()),
            models,
            data,
            networks,
            cells,
            keys,
            class_ids,
        })
    }

    /// The classes of images `range` of a cell, as ids of its model.
    pub fn classes(&self, cell: &Cell, range: std::ops::Range<usize>) -> Vec<u32> {
        let ids = &self.class_ids[cell.model];
        let sequence = self.sequence[range].iter();
        sequence.map(|&class| ids[class as usize]).collect()
    }

    /// The number of real images that take the place of generated ones when real images are compared with real images:
    /// as many as are drawn, or half of the data set if that is less.
    pub fn held_out(&self, sweep: &Sweep) -> usize {
        sweep.samples.min(self.data.len() / 2)
    }

    /// The class ids of `network` for the data set's classes, or a sentence that explains why there are none.
    pub fn network_classes(&self, network: &FeatureNetwork) -> Result<Vec<u32>, String> {
        network_classes(&self.data.classes, network.name(), network.classes())
    }
}

/// Refuses numbers of images that are too small for a distance, before any image is drawn. A covariance of d features
/// needs d + 1 images, and the floor needs two parts of the data set of that size.
fn enough(network: &FeatureNetwork, sweep: &Sweep, real: usize) -> Result<()> {
    let (name, needed) = (network.name(), network.features() + 1);
    if sweep.samples < needed.max(sweep.splits) {
        bail!(
            "--samples {} is too small: a distance over the {} features of {name} needs at least {needed} images, and --splits {} needs one per split",
            sweep.samples,
            network.features(),
            sweep.splits
        );
    }
    if real < 2 * needed {
        bail!(
            "{} has {real} images, which is too few for the {} features of {name}: a distance between its halves needs at least {}",
            sweep.data.display(),
            network.features(),
            2 * needed
        );
    }
    Ok(())
}

fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    NoiseStream::new(Purpose::Evaluation, 1, 0, 0).shuffle(&mut order);
    order
}

/// How the data set's images are prepared: as for the training of the models, as far as this is known.
fn preparation(sweep: &Sweep, size: usize, channels: usize) -> Result<DataRecipe> {
    let Some(path) = &sweep.recipe else {
        let mut preparation = DataRecipe::new(size as u32);
        preparation.channels = channels as u32;
        return Ok(preparation);
    };
    let data = Recipe::load(path, &[])?.data;
    if (data.size as usize, data.channels as usize) != (size, channels) {
        bail!(
            "the recipe {} is for images of {} pixels and {} channels, but the models draw {size} pixels and {channels} channels",
            path.display(),
            data.size,
            data.channels
        );
    }
    Ok(data)
}

/// The id of each class of the data set in the model, by name.
fn class_ids(data: &[String], model: &ClassNames) -> Result<Vec<u32>> {
    let unknown = missing(data.iter(), |name| model.id(name).is_some());
    let absent = missing(model.iter(), |name| data.iter().any(|known| known == name));
    if !unknown.is_empty() || !absent.is_empty() {
        let mut what = Vec::new();
        if !unknown.is_empty() {
            what.push(format!("the model does not know {}", unknown.join(", ")));
        }
        if !absent.is_empty() {
            what.push(format!("the data set has no {}", absent.join(", ")));
        }
        bail!("the classes do not match: {}", what.join("; "));
    }
    Ok(ids(data, model))
}

/// The id of each class of the data set in a feature network, by name.
fn network_classes(data: &[String], name: &str, known: &ClassNames) -> Result<Vec<u32>, String> {
    if known.is_empty() {
        return Err(format!(
            "There is no class accuracy by {name}: its file does not name its classes."
        ));
    }
    let unknown = missing(data.iter(), |name| known.id(name).is_some());
    if !unknown.is_empty() {
        return Err(format!(
            "There is no class accuracy by {name}: its {} classes do not match those of the data set; it does not know {}. `freeguide classifier` trains a network that does.",
            known.len(),
            unknown.join(", ")
        ));
    }
    Ok(ids(data, known))
}

/// The ids of names that are known.
fn ids(names: &[String], known: &ClassNames) -> Vec<u32> {
    let id = |name: &String| known.id(name).unwrap_or(0) as u32;
    names.iter().map(id).collect()
}

/// The first few names that are not known, quoted.
fn missing<S: AsRef<str>>(
    names: impl Iterator<Item = S>,
    known: impl Fn(&str) -> bool,
) -> Vec<String> {
    names
        .filter(|name| !known(name.as_ref()))
        .take(5)
        .map(|name| format!("{:?}", name.as_ref()))
        .collect()
}

/// Names of models for tables: those of the bundles, with a number if two are the same.
fn labels(models: &[Model]) -> Vec<String> {
    let name = |model: &Model| {
        let mut name = model.config().name.clone();
        if let Some(guide) = model.guide() {
            name += &format!(" guided by {}", guide.name);
        }
        if let Some(classifier) = model.classifier() {
            name += &format!(" with {} at s = {}", classifier.name, classifier.strength);
        }
        name
    };
    let names: Vec<String> = models.iter().map(name).collect();
    (0..names.len())
        .map(|k| {
            let before = names[..k].iter().filter(|&n| *n == names[k]).count();
            let alone = names.iter().filter(|&n| *n == names[k]).count() == 1;
            match alone {
                true => names[k].clone(),
                false => format!("{} ({})", names[k], before + 1),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn known(names: &[&str]) -> ClassNames {
        names.iter().collect()
    }

    #[test]
    fn a_feature_network_may_know_more_classes_but_not_fewer() {
        let found = network_classes(&data(&["a", "b"]), "N", &known(&["b", "c", "a"]));
        assert_eq!(found.unwrap(), [2, 0]);
        let other = network_classes(&data(&["a", "b"]), "N", &known(&["b", "c"])).unwrap_err();
        assert!(other.contains("its 2 classes do not match"), "{other}");
        assert!(other.contains("does not know \"a\"."), "{other}");
        let nameless = network_classes(&data(&["a"]), "N", &ClassNames::default()).unwrap_err();
        assert!(nameless.contains("does not name its classes"), "{nameless}");
    }

    #[test]
    fn classes_are_matched_by_name_and_what_is_missing_is_named() {
        let ids = class_ids(&data(&["a", "b", "c"]), &known(&["c", "a", "b"]));
        assert_eq!(ids.unwrap(), [1, 2, 0]);
        let error = class_ids(&data(&["a", "dog"]), &known(&["a", "cat"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the classes do not match: the model does not know \"dog\"; the data set has no \"cat\""
        );
    }
}
