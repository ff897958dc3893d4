//! From bytes to a model that can be sampled.

use std::collections::{BTreeMap, HashMap};

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor};

use super::intake::Intake;
use super::quantized::Scales;
use super::safetensors::FileReader;
use super::{BundleError, Config, Loadable, MemoryEstimate, Model, Network, WeightsFile};
use crate::kernels::cached_weight_bytes;
use crate::network::UNet;
use crate::parameters::{ParameterMapper, map_parameters, parameters};

/// The loader of bundles whose network is the U-Net.
pub type Loader = NetworkLoader<UNet>;

/// Loads a bundle from bytes that somebody else fetches: for each of [`files`](Self::files), in
/// order, [`begin`](Self::begin), any number of [`push`](Self::push) and [`end`](Self::end); then
/// [`finish`](Self::finish).
///
/// Every tensor goes to the device as soon as its last byte is there, so no file is ever held
/// whole. The first error is final: whatever is called after it answers with it again.
#[derive(Debug)]
pub struct NetworkLoader<N> {
    config: Config,
    device: Device,
    network: N,
    expected: HashMap<String, Vec<usize>>,
    loaded: BTreeMap<String, Tensor<1>>,
    scales: Scales,
    done: usize,
    current: Option<FileReader>,
    failed: Option<BundleError>,
    keep_half: bool,
}

impl<N: Loadable> NetworkLoader<N> {
    /// Reads `config.json` and prepares for the weights.
    ///
    /// # Errors
    ///
    /// [`BundleError`], as [`Config::parse`].
    pub fn new(config_json: &str, device: &Device) -> Result<Self, BundleError> {
        let config = Config::parse(config_json)?;
        let network = N::from_config(&config, device)?;
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
            scales: Scales::default(),
            done: 0,
            current: None,
            failed: None,
            keep_half: false,
        })
    }

    /// Has the network compute in f16, if all weights come in f16: faster on GPUs that do, half the
    /// memory, and not quite the same pictures. Without this every network computes in f32.
    ///
    /// The device must support f16 (`Device::supports_dtype`) and should have passed
    /// [`self_test_half`](crate::self_test::self_test_half).
    pub fn keep_half(mut self) -> Self {
        self.keep_half = true;
        self
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
        let image = self.config.image;
        let (kept, row, activation) = match &self.config.network {
            Network::UNet(network) => (
                cached_weight_bytes(self.expected.values(), &self.device),
                network.row_bytes(image.size),
                network.activation_bytes(image.size),
            ),
            // What it holds between its input and its output is not known: these two.
            Network::Compiled(_) => {
                let picture = 4 * image.dims().iter().product::<usize>() as u64;
                (0, 2 * picture, picture)
            }
        };
        MemoryEstimate::new(&self.expected, kept, [row, activation])
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
        let mut intake = Intake {
            file: &file,
            classes: self.config.classes.len(),
            expected: &self.expected,
            loaded: &mut self.loaded,
            scales: &mut self.scales,
            device: &self.device,
            keep_half: self.keep_half,
        };
        reader.push(chunk, &mut intake)
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
    pub fn finish(self) -> Result<Model<N>, BundleError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let Some(file) = self.config.weights.get(self.done) {
            return Err(BundleError::MissingFile {
                file: file.file.clone(),
            });
        }
        self.scales.all_applied()?;
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
        // A layer takes no input of another type than its own.
        let half = self.keep_half && self.loaded.values().all(|t| t.dtype() == DType::F16);
        let mut loaded = LoadedTensors {
            tensors: self.loaded,
            dtype: if half { DType::F16 } else { DType::F32 },
        };
        let network = map_parameters(self.network, &mut loaded);
        Ok(Model {
            config: self.config,
            network,
            device: self.device,
            half,
            guide: None,
            classifier: None,
        })
    }
}

/// The tensors that take the places of a fresh network's parameters.
struct LoadedTensors {
    tensors: BTreeMap<String, Tensor<1>>,
    dtype: DType,
}

impl ParameterMapper for LoadedTensors {
    fn map<const D: usize>(&mut self, name: &str, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.tensors.remove(name) {
            Some(tensor) => {
                let tensor = tensor.cast(self.dtype);
                Param::initialized(parameter.id, tensor.reshape(parameter.lazy_shape()))
            }
            None => parameter,
        }
    }
}
