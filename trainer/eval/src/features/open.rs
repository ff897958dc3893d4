//! Opening a feature network: one that comes with the program, or a file, recognised by what it holds.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;

use burn::tensor::Device;
use freeguide::bundle::{ClassNames, hex};
use sha2::{Digest, Sha256};

use super::inception::{self, Inception};
use super::onnx::{MAX_VALUES, OnnxNetwork};
use super::recognise::{Recognised, Unrecognised, recognise};
use super::{Body, FeatureError, FeatureNetwork, Normalisation, Weights, efficientnet_lite0};
use freeguide_readers::weights::WeightsError;

/// The networks that are part of the program, by name: CIFAR-10 classifiers. Their licence is beside them.
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

/// The weights file of a network that is part of the program.
pub fn built_in(spec: &str) -> Option<&'static [u8]> {
    let found = BUILT_IN.iter().find(|(name, _)| *name == spec);
    found.map(|(_, bytes)| *bytes)
}

/// Opens a network: `resnet20` or `resnet56`, or the path of a file: a `.safetensors` of `freeguide classifier`, of a
/// CIFAR-10 ResNet or of EfficientNet-Lite0, FID's Inception-v3 as pytorch-fid publishes it, or a classifier in
/// `.onnx`, whose input is normalised as `onnx_input` says.
///
/// # Errors
///
/// [`FeatureError`], which says what is wrong.
pub fn open(
    spec: &str,
    onnx_input: Normalisation,
    device: &Device,
) -> Result<FeatureNetwork, FeatureError> {
    if let Some(bytes) = built_in(spec) {
        let weights = Weights::read(Cursor::new(bytes));
        return weights_network(weights, hex(&Sha256::digest(bytes)), device)
            .map_err(|reason| unrecognised(Path::new(spec), reason));
    }
    let path = Path::new(spec);
    if !path.exists() && !spec.contains(['/', '\\', '.']) {
        return Err(FeatureError::Unknown(spec.to_owned()));
    }
    let io = |source| FeatureError::Io {
        path: path.to_owned(),
        source,
    };
    let bad = |reason| unrecognised(path, reason);
    let mut file = File::open(path).map_err(io)?;
    let sha256 = digest(&mut file).map_err(io)?;
    match path.extension().and_then(|e| e.to_str()) {
        Some("onnx") => {
            let bytes = std::fs::read(path).map_err(io)?;
            onnx_network(path, &bytes, sha256, onnx_input, device)
        }
        // One file defines FID. Any other is refused before it is parsed.
        Some("pth" | "pt") if sha256 != inception::SHA256 => Err(FeatureError::Hash {
            path: path.to_owned(),
            file: inception::FILE,
            expected: inception::SHA256,
            found: sha256,
        }),
        Some("pth" | "pt") => inception_network(Weights::read(file), sha256, device).map_err(bad),
        _ => weights_network(Weights::read(file), sha256, device).map_err(bad),
    }
}

fn unrecognised(path: &Path, reason: Unrecognised) -> FeatureError {
    FeatureError::Weights {
        path: path.to_owned(),
        reason,
    }
}

/// The SHA-256 of a file, which is read to its end and then rewound.
fn digest(file: &mut File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = [0; 1 << 14];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count => hash.update(&chunk[..count]),
        }
    }
    file.rewind()?;
    Ok(hex(&hash.finalize()))
}

/// A network whose classes are not known.
fn network(
    name: String,
    sha256: String,
    input: usize,
    normalisation: Normalisation,
    body: Body,
    device: &Device,
) -> FeatureNetwork {
    FeatureNetwork {
        name,
        sha256,
        input,
        normalisation,
        classes: ClassNames::default(),
        accuracy: None,
        body,
        device: device.clone(),
    }
}

fn onnx_network(
    path: &Path,
    bytes: &[u8],
    sha256: String,
    normalisation: Normalisation,
    device: &Device,
) -> Result<FeatureNetwork, FeatureError> {
    let onnx = OnnxNetwork::read(bytes, MAX_VALUES).map_err(|e| FeatureError::Format {
        path: path.to_owned(),
        reason: format!("{e:#}"),
    })?;
    let stem = path.file_stem().and_then(|s| s.to_str());
    let name = stem.unwrap_or("ONNX").to_owned();
    let (input, body) = (onnx.input(), Body::Onnx(Box::new(onnx)));
    Ok(network(name, sha256, input, normalisation, body, device))
}

/// The network in a safetensors file is recognised by the names of its tensors.
fn weights_network(
    weights: Result<Weights, WeightsError>,
    sha256: String,
    device: &Device,
) -> Result<FeatureNetwork, Unrecognised> {
    Ok(match recognise(&weights?, device)? {
        Recognised::EfficientNetLite0(body) => network(
            "EfficientNetLite0".to_owned(),
            sha256,
            efficientnet_lite0::INPUT,
            efficientnet_lite0::NORMALISATION,
            Body::EfficientNetLite0(body),
            device,
        ),
        Recognised::ResNet(body) => {
            let name = format!("ResNet{}", body.depth());
            let classes = match body.classes() == CIFAR10.len() {
                true => CIFAR10.iter().collect(),
                false => ClassNames::default(),
            };
            let (normalisation, body) = (Normalisation::IMAGENET, Body::ResNet(body));
            FeatureNetwork {
                classes,
                ..network(name, sha256, 32, normalisation, body, device)
            }
        }
        Recognised::Described(body, says) => {
            let (normalisation, body) = (says.normalisation, Body::ResNet(body));
            FeatureNetwork {
                classes: says.classes,
                accuracy: Some(says.held_out_accuracy),
                ..network(says.name, sha256, says.size, normalisation, body, device)
            }
        }
    })
}

fn inception_network(
    weights: Result<Weights, WeightsError>,
    sha256: String,
    device: &Device,
) -> Result<FeatureNetwork, Unrecognised> {
    let body = Body::Inception(Box::new(Inception::load(&weights?, device)?));
    let (name, input) = ("Inception".to_owned(), inception::INPUT);
    let normalisation = Normalisation::SYMMETRIC;
    Ok(network(name, sha256, input, normalisation, body, device))
}
