//! Opening a feature network: one that comes with the program, or a file, recognised by what it holds.

use std::path::Path;

use burn::tensor::Device;
use freeguide::bundle::{ClassNames, hex};
use freeguide::classifier::{DESCRIPTION_KEY, Description, ResNet, Tensors};
use sha2::{Digest, Sha256};

use super::efficientnet_lite0::{self, EfficientNetLite0};
use super::inception::{self, Inception};
use super::onnx::{MAX_VALUES, OnnxNetwork};
use super::{Body, FeatureError, FeatureNetwork, Normalisation, Weights};

/// The networks that come with the program, by name: CIFAR-10 classifiers. Their licence lies beside them.
const BUILT_IN: [(&str, &[u8]); 2] = [
    (
        "resnet20",
        include_bytes!("weights/cifar10_resnet20.safetensors"),
    ),
    (
        "resnet56",
        include_bytes!("weights/cifar10_resnet56.safetensors"),
    ),
];

/// CIFAR-10's classes, in the order of their ids.
const CIFAR10: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// The weights file of a network that comes with the program.
pub fn built_in(spec: &str) -> Option<&'static [u8]> {
    let found = BUILT_IN.iter().find(|(name, _)| *name == spec);
    found.map(|(_, bytes)| *bytes)
}

/// Opens a network: `resnet20` or `resnet56`, or the path of a file: a `.safetensors` of `freeguide classifier`, of a
/// CIFAR-10 ResNet or of EfficientNet-Lite0, FID's Inception-v3 as pytorch-fid publishes it, or a classifier in `.onnx`,
/// whose input is normalised as `onnx_input` says.
///
/// # Errors
///
/// [`FeatureError`] says what is wrong with it.
pub fn open(
    spec: &str,
    onnx_input: Normalisation,
    device: &Device,
) -> Result<FeatureNetwork, FeatureError> {
    if let Some(bytes) = built_in(spec) {
        let weights = Weights::from_safetensors(bytes);
        return safetensors_network(Path::new(spec), weights, digest(bytes), device);
    }
    let path = Path::new(spec);
    if !path.exists() && !spec.contains(['/', '\\', '.']) {
        return Err(FeatureError::Unknown(spec.to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|source| FeatureError::Io {
        path: path.to_owned(),
        source,
    })?;
    let sha256 = digest(&bytes);
    match path.extension().and_then(|e| e.to_str()) {
        Some("onnx") => {
            let network = OnnxNetwork::read(&bytes, MAX_VALUES);
            let network = network.map_err(|e| FeatureError::Format {
                path: path.to_owned(),
                reason: format!("{e:#}"),
            })?;
            let stem = path.file_stem().and_then(|s| s.to_str());
            Ok(FeatureNetwork {
                name: stem.unwrap_or("ONNX").to_owned(),
                sha256,
                input: network.input(),
                normalisation: onnx_input,
                classes: ClassNames::default(),
                accuracy: None,
                body: Body::Onnx(Box::new(network)),
                device: device.clone(),
            })
        }
        Some("pth" | "pt") => inception_network(path, &bytes, sha256, device),
        _ => safetensors_network(path, Weights::from_safetensors(&bytes), sha256, device),
    }
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// What a safetensors file holds is recognised by the names of its tensors.
fn safetensors_network(
    path: &Path,
    weights: Result<Weights, String>,
    sha256: String,
    device: &Device,
) -> Result<FeatureNetwork, FeatureError> {
    let bad = |reason: String| FeatureError::Format {
        path: path.to_owned(),
        reason,
    };
    let weights = weights.map_err(|e| bad(format!("no safetensors file: {e}")))?;
    let network = |name: String, input, normalisation, body| FeatureNetwork {
        name,
        sha256,
        input,
        normalisation,
        classes: ClassNames::default(),
        accuracy: None,
        body,
        device: device.clone(),
    };
    if weights.has("_conv_stem.weight") {
        let body = Body::EfficientNetLite0(Box::new(EfficientNetLite0::load(&weights, device)?));
        let name = "EfficientNetLite0".to_owned();
        let normalisation = efficientnet_lite0::NORMALISATION;
        return Ok(network(
            name,
            efficientnet_lite0::INPUT,
            normalisation,
            body,
        ));
    }
    if !weights.has("linear.weight") {
        let known = "a freeguide classifier, a CIFAR-10 ResNet or EfficientNet-Lite0";
        return Err(bad(format!("its tensors are not those of {known}")));
    }
    let body = ResNet::load(&weights, device)?;
    let Some(json) = weights.text(DESCRIPTION_KEY) else {
        let name = format!("ResNet{}", body.depth());
        let cifar10 = body.classes() == CIFAR10.len();
        let mut network = network(
            name,
            32,
            Normalisation::IMAGENET,
            Body::ResNet(Box::new(body)),
        );
        if cifar10 {
            network.classes = CIFAR10.iter().collect();
        }
        return Ok(network);
    };
    let says = Description::parse(json).map_err(|e| bad(e.to_string()))?;
    says.check(body.classes()).map_err(|e| bad(e.to_string()))?;
    let body = Body::ResNet(Box::new(body));
    let mut network = network(says.name, says.size, says.normalisation, body);
    network.classes = says.classes;
    network.accuracy = Some(says.held_out_accuracy);
    Ok(network)
}

/// FID is defined by one file; any other is refused before it is looked at.
fn inception_network(
    path: &Path,
    bytes: &[u8],
    sha256: String,
    device: &Device,
) -> Result<FeatureNetwork, FeatureError> {
    if sha256 != inception::SHA256 {
        return Err(FeatureError::Hash {
            path: path.to_owned(),
            file: inception::FILE,
            expected: inception::SHA256,
            found: sha256,
        });
    }
    let weights = Weights::from_pytorch(bytes).map_err(|reason| FeatureError::Format {
        path: path.to_owned(),
        reason,
    })?;
    Ok(FeatureNetwork {
        name: "Inception".to_owned(),
        sha256,
        input: inception::INPUT,
        normalisation: Normalisation::SYMMETRIC,
        classes: ClassNames::default(),
        accuracy: None,
        body: Body::Inception(Box::new(Inception::load(&weights, device)?)),
        device: device.clone(),
    })
}
