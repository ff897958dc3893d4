//! Classifiers of noisy images, for classifier guidance.

use std::collections::BTreeMap;

#[cfg(feature = "autodiff")]
use burn::module::Module;
use burn::module::Param;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::ClassifierError;
use super::file::metadata;
use crate::bundle::{Config, GuideError, ImageShape, View, view};
use crate::class_names::ClassNames;
use crate::guidance::ClassifierGuidance;
use crate::network::{Conditions, Encoder, UNetConfig};
use crate::noise_level::LogSnrRange;
use crate::parameters::{ParameterMapper, map_parameters, parameters};

/// The key of the description in the file's metadata.
pub const NOISY_DESCRIPTION_KEY: &str = "freeguide_noisy_classifier";

/// The name that messages give the file.
const FILE: &str = "the classifier of noisy images";

/// What the file of a classifier of noisy images says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoisyDescription {
    /// Its name.
    pub name: String,
    /// The shape of its images.
    pub image: ImageShape,
    /// Its classes, in the order of their ids.
    pub classes: ClassNames,
    /// The network, of which it is the encoder half.
    pub network: UNetConfig,
    /// The λ, in nats, that it was trained on.
    pub log_snr: LogSnrRange,
    /// The accuracy on images that it was not trained on, without noise and over all λ; not given for one that was trained
    /// elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<HeldOut>,
}

/// What a classifier reaches on images that it was not trained on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// The number of images.
    pub images: usize,
    /// The accuracy at the largest λ.
    pub clean_accuracy: f64,
    /// The accuracy at levels that are drawn as in training.
    pub noisy_accuracy: f64,
}

/// A classifier of noisy images, p(c | z_λ), trained by `freeguide classifier --noisy`.
#[derive(Debug, Clone)]
pub struct NoisyClassifier {
    description: NoisyDescription,
    network: Encoder,
    /// The same weights where gradients of the input are computed. They need none of their own.
    #[cfg(feature = "autodiff")]
    differentiable: Encoder,
}

impl NoisyClassifier {
    /// A classifier of a network in hand.
    pub fn new(description: NoisyDescription, network: Encoder) -> Self {
        Self {
            description,
            #[cfg(feature = "autodiff")]
            differentiable: network.clone().no_grad().train(),
            network,
        }
    }

    /// Loads a file.
    ///
    /// # Errors
    ///
    /// [`ClassifierError`] if the file is damaged, or is not of a classifier of noisy images.
    pub fn read(bytes: &[u8], device: &Device) -> Result<Self, ClassifierError> {
        let (header, tensors) = view(FILE, bytes)?;
        let bad = |why: String| ClassifierError::Description(why);
        let Metadata {
            freeguide_noisy_classifier: says,
        } = metadata(header)
            .ok_or_else(|| bad("was not written by `freeguide classifier --noisy`".to_owned()))?;
        let description: NoisyDescription = serde_json::from_str(&says)
            .map_err(|e| bad(format!("has an invalid description: {e}")))?;
        if !description.log_snr.is_valid() || description.classes.len() < 2 {
            let what = "has an invalid description: it needs two classes and a range of λ";
            return Err(bad(what.to_owned()));
        }
        let ImageShape { size, channels } = description.image;
        if !(1..=4096).contains(&size) || !matches!(channels, 1 | 3) {
            return Err(bad("describes images that no model draws".to_owned()));
        }
        let classes = description.classes.len();
        let network = description
            .network
            .init_encoder(size, channels, classes, device)
            .map_err(|e| bad(format!("describes a network that cannot be built: {e}")))?;
        for parameter in parameters(&network) {
            let found = tensors.get(&parameter.name).map(|view| view.shape.clone());
            if found.as_ref() != Some(&parameter.shape) {
                return Err(bad(match found {
                    None => format!("has no tensor {:?}", parameter.name),
                    Some(found) => format!(
                        "has the tensor {:?} in the shape {found:?}, and its network needs {:?}",
                        parameter.name, parameter.shape
                    ),
                }));
            }
        }
        let mut values = Views {
            tensors,
            device: device.clone(),
            wrong: None,
        };
        let network = map_parameters(network, &mut values);
        if let Some(name) = values.wrong {
            return Err(bad(format!(
                "has values in the tensor {name:?} that are not finite floats"
            )));
        }
        Ok(Self::new(description, network))
    }

    /// The description.
    pub fn description(&self) -> &NoisyDescription {
        &self.description
    }

    /// The network.
    pub fn network(&self) -> &Encoder {
        &self.network
    }

    /// What a run of the model `config` has to know of this classifier, which guides it with strength `strength`.
    ///
    /// # Errors
    ///
    /// [`GuideError`], where its images or its classes are others than the model's, or the model draws of attributes.
    pub fn guidance(
        &self,
        config: &Config,
        strength: f64,
    ) -> Result<ClassifierGuidance, GuideError> {
        let NoisyDescription {
            name,
            image,
            classes,
            log_snr,
            ..
        } = &self.description;
        let ids = config.ids_in(name, *image, classes)?;
        // A number does not change which class an image has.
        config.same_conditions(name, Conditions::Classes, config.conditions().1)?;
        Ok(ClassifierGuidance {
            name: name.clone(),
            strength,
            classes: ids,
            range: *log_snr,
        })
    }
}

/// [`NOISY_DESCRIPTION_KEY`].
#[derive(Deserialize)]
struct Metadata {
    freeguide_noisy_classifier: String,
}

/// The file's tensors, which take the places of a fresh network's parameters.
struct Views<'a> {
    tensors: BTreeMap<String, View<'a>>,
    device: Device,
    wrong: Option<String>,
}

impl ParameterMapper for Views<'_> {
    fn map<const D: usize>(&mut self, name: &str, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.tensors.get(name).and_then(View::floats) else {
            self.wrong = Some(name.to_owned());
            return parameter;
        };
        let flat = Tensor::<1>::from_floats(values.as_slice(), &self.device);
        Param::initialized(parameter.id, flat.reshape(parameter.lazy_shape()))
    }
}

#[cfg(feature = "autodiff")]
mod gradient {
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{Tensor, TensorData};

    use super::NoisyClassifier;
    use crate::guidance::ClassGradient;
    use crate::noise_level::LogSnr;

    impl ClassGradient for NoisyClassifier {
        fn gradient(&self, z: &Tensor<4>, level: LogSnr, classes: &[Vec<(u32, f64)>]) -> Tensor<4> {
            let count = self.description.classes.len();
            let mut weights = vec![0f32; classes.len() * count];
            for (row, asked) in weights.chunks_exact_mut(count).zip(classes) {
                for &(class, weight) in asked {
                    if let Some(place) = row.get_mut(class as usize) {
                        *place += weight as f32;
                    }
                }
            }
            let z = z.clone().autodiff().require_grad();
            let device = z.device();
            let weights = TensorData::new(weights, [classes.len(), count]);
            let weights = Tensor::<2>::from_data(weights, &device);
            let log_snr = Tensor::<1>::full([classes.len()], level.0, &device);
            let logits = self.differentiable.forward(z.clone(), log_snr, None);
            let sum = (log_softmax(logits, 1) * weights).sum();
            let gradients = sum.backward();
            match z.grad(&gradients) {
                Some(gradient) => gradient,
                None => z.inner().zeros_like(),
            }
        }
    }
}
