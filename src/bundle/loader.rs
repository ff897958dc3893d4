//! From bytes to a model that can be sampled.

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::safetensors::{FileReader, ReadTensor};
use super::{BundleError, Config, MemoryEstimate, Network, WeightsFile, parameters};
use crate::network::UNet;
use crate::sampler::{Run, evaluations};
use crate::settings::{Plan, Request, RequestError};

/// A model that has been loaded: checked from its configuration to its last weight.
#[derive(Debug, Clone)]
pub struct Model {
    config: Config,
    network: UNet,
    device: Device,
}

impl Model {
    /// A model of a network in hand, for instance one that is being trained.
    pub fn new(config: Config, network: UNet, device: Device) -> Self {
        Self {
            config,
            network,
            device,
        }
    }

    /// The bundle's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The network.
    pub fn network(&self) -> &UNet {
        &self.network
    }

    /// Checks a request against this model.
    ///
    /// # Errors
    ///
    /// [`RequestError`], naming what is wrong.
    pub fn plan(&self, request: &Request) -> Result<Plan, RequestError> {
        self.config.plan(request)
    }

    /// Network evaluations (NFE) that a plan costs for the image that needs most.
    pub fn evaluations(&self, plan: &Plan) -> usize {
        let each = evaluations(plan, self.config.diffusion.log_snr);
        each.into_iter().max().unwrap_or(0)
    }

    /// A sampling that is ready for its first step.
    pub fn run(&self, plan: Plan) -> Run<UNet> {
        // Cloning a network shares its weights.
        Run::new(
            self.network.clone(),
            plan,
            self.config.diffusion.target,
            self.config.diffusion.log_snr,
            self.config.image.dims(),
            &self.device,
        )
    }
}

/// Loads a bundle from bytes that somebody else fetches: for each of [`files`](Self::files), in
/// order, [`begin`](Self::begin), any number of [`push`](Self::push) and [`end`](Self::end); then
/// [`finish`](Self::finish).
///
/// Every tensor goes to the device as soon as its last byte is there, so no file is ever held
/// whole. The first error is final: whatever is called after it answers with it again.
#[derive(Debug)]
pub struct Loader {
    config: Config,
    device: Device,
    network: UNet,
    expected: HashMap<String, Vec<usize>>,
    loaded: BTreeMap<String, Tensor<1>>,
    done: usize,
    current: Option<FileReader>,
    failed: Option<BundleError>,
}

impl Loader {
    /// Reads `config.json` and prepares for the weights.
    ///
    /// # Errors
    ///
    /// [`BundleError`], as [`Config::parse`].
    pub fn new(config_json: &str, device: &Device) -> Result<Self, BundleError> {
        let config = Config::parse(config_json)?;
        let network = config
            .network
            .init(config.image, config.classes.len(), device);
        let expected = parameters(&network)
            .into_iter()
            .map(|p| (p.name, p.shape))
            .collect();
        Ok(Self {
            config,
            device: device.clone(),
            network,
            expected,
            loaded: BTreeMap::new(),
            done: 0,
            current: None,
            failed: None,
        })
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The weights files, in the order in which they are wanted.
    pub fn files(&self) -> &[WeightsFile] {
        &self.config.weights
    }

    /// The memory that the model will need, before any weight has come.
    pub fn memory(&self) -> MemoryEstimate {
        let Network::UNet(network) = &self.config.network;
        MemoryEstimate::new(&self.expected, network.row_bytes(self.config.image.size))
    }

    /// Begins the next file.
    ///
    /// # Errors
    ///
    /// [`BundleError::Order`] where another file is due.
    pub fn begin(&mut self, name: &str) -> Result<(), BundleError> {
        self.unless_failed(|loader| loader.begin_file(name))
    }

    fn begin_file(&mut self, name: &str) -> Result<(), BundleError> {
        let due = match &self.current {
            Some(open) => Err(format!("the end of {}", open.file())),
            None => self
                .config
                .weights
                .get(self.done)
                .ok_or_else(|| "no further file".to_owned()),
        };
        match due {
            Ok(file) if file.file == name => {
                self.current = Some(FileReader::new(file.clone()));
                Ok(())
            }
            Ok(file) => Err(BundleError::Order {
                expected: file.file.clone(),
                found: name.to_owned(),
            }),
            Err(expected) => Err(BundleError::Order {
                expected,
                found: name.to_owned(),
            }),
        }
    }

    /// Takes the next bytes of the file, as many as there are.
    ///
    /// # Errors
    ///
    /// [`BundleError`], as soon as the bytes show that the file is not the one it should be.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), BundleError> {
        self.unless_failed(|loader| loader.read(chunk))
    }

    fn read(&mut self, chunk: &[u8]) -> Result<(), BundleError> {
        let Some(reader) = &mut self.current else {
            return Err(BundleError::Order {
                expected: "the beginning of a file".to_owned(),
                found: "bytes".to_owned(),
            });
        };
        let file = reader.file().to_owned();
        let (expected, loaded) = (&self.expected, &mut self.loaded);
        let (classes, device) = (self.config.classes.len(), &self.device);
        reader.push(chunk, &mut |tensor| {
            accept(tensor, &file, classes, expected, loaded, device)
        })
    }

    /// Ends the file: its length and its SHA-256 are checked.
    ///
    /// # Errors
    ///
    /// [`BundleError::Length`] and [`BundleError::Hash`].
    pub fn end(&mut self) -> Result<(), BundleError> {
        self.unless_failed(Self::end_file)
    }

    fn end_file(&mut self) -> Result<(), BundleError> {
        match self.current.take() {
            Some(reader) => reader.end(),
            None => Err(BundleError::Order {
                expected: "the beginning of a file".to_owned(),
                found: "an end".to_owned(),
            }),
        }?;
        self.done += 1;
        Ok(())
    }

    /// Does one thing more, or answers with the error that came before. What a damaged file has
    /// left in `loaded` never gets into a model.
    fn unless_failed(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), BundleError>,
    ) -> Result<(), BundleError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = act(self);
        self.failed = result.as_ref().err().cloned();
        result
    }

    /// The model, once every file has come.
    ///
    /// # Errors
    ///
    /// [`BundleError::MissingFile`], [`BundleError::MissingTensor`] and the error that came before,
    /// if one did.
    pub fn finish(self) -> Result<Model, BundleError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let Some(file) = self.config.weights.get(self.done) {
            return Err(BundleError::MissingFile {
                file: file.file.clone(),
            });
        }
        let mut missing: Vec<_> = self
            .expected
            .keys()
            .filter(|name| !self.loaded.contains_key(*name))
            .collect();
        missing.sort();
        if let Some(first) = missing.first() {
            return Err(BundleError::MissingTensor {
                tensor: (*first).clone(),
                missing: missing.len(),
            });
        }
        let mut mapper = Installer {
            path: Vec::new(),
            tensors: self.loaded,
        };
        let network = self.network.map(&mut mapper);
        Ok(Model {
            config: self.config,
            network,
            device: self.device,
        })
    }
}

/// Checks a tensor against the network and sends it to the device.
fn accept(
    tensor: ReadTensor,
    file: &str,
    classes: usize,
    expected: &HashMap<String, Vec<usize>>,
    loaded: &mut BTreeMap<String, Tensor<1>>,
    device: &Device,
) -> Result<(), BundleError> {
    let ReadTensor {
        name,
        shape,
        values,
    } = tensor;
    let file = || file.to_owned();
    if loaded.contains_key(&name) {
        return Err(BundleError::DuplicateTensor {
            file: file(),
            tensor: name,
        });
    }
    let Some(wanted) = expected.get(&name) else {
        return Err(BundleError::UnknownTensor {
            file: file(),
            tensor: name,
        });
    };
    if *wanted != shape {
        // The commonest misfit has a plainer name: a class too many or too few.
        if name == "conditioning.class.weight" && shape.len() == 2 && shape[1] == wanted[1] {
            return Err(BundleError::ClassCount {
                named: classes,
                trained: shape[0].saturating_sub(1),
            });
        }
        return Err(BundleError::Shape {
            tensor: name,
            expected: wanted.clone(),
            found: shape,
        });
    }
    let count = values.len();
    loaded.insert(
        name,
        Tensor::from_data(TensorData::new(values, [count]), device),
    );
    Ok(())
}

/// Puts the loaded tensors in their places.
struct Installer {
    path: Vec<String>,
    tensors: BTreeMap<String, Tensor<1>>,
}

impl ModuleMapper for Installer {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.tensors.remove(&self.path.join(".")) {
            Some(tensor) => Param::initialized(param.id, tensor.reshape(param.lazy_shape())),
            None => param,
        }
    }
}
