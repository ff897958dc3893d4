//! Feature networks against the code that their figures are defined by: tests/python/feature_networks.py.

use std::collections::BTreeMap;

use burn::tensor::Device;
use freeguide::bundle::ClassNames;
use freeguide::classifier::{LayerError, Tensors};
use safetensors::SafeTensors;

use super::efficientnet_lite0::EfficientNetLite0;
use super::inception::Inception;
use super::*;
use crate::classifier::pretrained;
use freeguide_data::Dataset;

const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/feature_networks.safetensors"
);

struct Fixture(Vec<u8>);

impl Fixture {
    fn open() -> Self {
        Self(std::fs::read(FIXTURE).unwrap())
    }

    fn bytes(&self, name: &str) -> (Vec<u8>, Vec<usize>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        (tensor.data().to_vec(), tensor.shape().to_vec())
    }

    fn rows(&self, name: &str) -> Rows {
        let (bytes, shape) = self.bytes(name);
        let values = bytes.chunks_exact(4);
        let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Rows::new(shape[1], values.collect())
    }

    /// The parameters of a network, each by the formula of its name.
    fn formula_weights(&self, network: &str) -> Formula {
        let (_, header) = SafeTensors::read_metadata(&self.0).unwrap();
        let json = &header.metadata().as_ref().unwrap()["shapes"];
        let mut all: BTreeMap<String, BTreeMap<String, Vec<usize>>> =
            serde_json::from_str(json).unwrap();
        Formula(all.remove(network).unwrap())
    }
}

/// Tensors of these shapes, each by the formula of its name.
struct Formula(BTreeMap<String, Vec<usize>>);

impl Tensors for Formula {
    fn dims(&self, name: &str) -> Option<Vec<usize>> {
        self.0.get(name).cloned()
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, LayerError> {
        Ok(formula(name, &self.0[name]))
    }
}

/// The same numbers as `uniform` and `formula` of the script.
fn formula(name: &str, shape: &[usize]) -> Vec<f32> {
    let state = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let count: usize = shape.iter().product();
    let uniform = (1..=count as u64).map(|i| {
        let z = state.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    });
    let fan_in: usize = shape.iter().skip(1).product();
    let scaled = |u: f64| match shape.len() {
        1 if name.ends_with(".running_var") => 1.0 + 0.5 * u,
        1 if name.ends_with(".weight") => 1.0 + 0.2 * u,
        1 => 0.2 * u,
        _ => u * (6.0 / fan_in as f64).sqrt(),
    };
    uniform.map(|u| scaled(u) as f32).collect()
}

fn network(name: &str, input: usize, normalisation: Normalisation, body: Body) -> FeatureNetwork {
    FeatureNetwork {
        name: name.to_owned(),
        sha256: String::new(),
        input,
        normalisation,
        classes: ClassNames::default(),
        accuracy: None,
        body,
        device: Device::flex(),
    }
}

/// The largest difference, as a share of the largest value.
fn difference(found: &Rows, expected: &Rows) -> f32 {
    assert_eq!(
        (found.len(), found.width()),
        (expected.len(), expected.width())
    );
    let largest = expected.values().iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let pairs = found.values().iter().zip(expected.values());
    pairs.fold(0.0f32, |m, (a, b)| m.max((a - b).abs())) / largest
}

fn probabilities(logits: &Rows) -> Rows {
    let shape = [logits.len(), logits.width()];
    let data = TensorData::new(logits.values().to_vec(), shape);
    read(softmax(Tensor::from_data(data, &Device::flex()), 1)).unwrap()
}

/// Asserts features and probabilities against those of the fixture.
fn check(fixture: &Fixture, network: &FeatureNetwork, images: &str, answers: &str, tolerance: f32) {
    let (pixels, shape) = fixture.bytes(images);
    let found = network.extract(&pixels, shape[1], shape[3]).unwrap();
    let features = fixture.rows(&format!("{answers}_features"));
    let off = difference(&found.features, &features);
    assert!(off < tolerance, "{answers}: features are off by {off}");
    let expected = probabilities(&fixture.rows(&format!("{answers}_logits")));
    let off = difference(&found.probabilities, &expected);
    assert!(
        off < 10.0 * tolerance,
        "{answers}: probabilities are off by {off}"
    );
}

#[test]
fn inception_is_pytorch_fids_with_its_resize_and_its_pools() {
    let fixture = Fixture::open();
    let weights = fixture.formula_weights("inception");
    let body = Inception::load(&weights, &Device::flex()).unwrap();
    let body = Body::Inception(Box::new(body));
    let network = network(
        "Inception",
        inception::INPUT,
        Normalisation::SYMMETRIC,
        body,
    );
    check(&fixture, &network, "images", "inception", 1e-4);
    let names = [
        network.distance_name(),
        network.score_name(),
        network.kernel_name(),
    ];
    assert_eq!(names, ["FID", "IS", "KID"]);
}

#[test]
fn efficientnet_lite0_is_that_of_its_python_package() {
    let fixture = Fixture::open();
    let weights = fixture.formula_weights("efficientnet_lite0");
    let body = EfficientNetLite0::load(&weights, &Device::flex()).unwrap();
    let body = Body::EfficientNetLite0(Box::new(body));
    let network = network(
        "EfficientNetLite0",
        224,
        efficientnet_lite0::NORMALISATION,
        body,
    );
    check(&fixture, &network, "images", "efficientnet_lite0", 1e-4);
}

#[test]
fn the_cifar_10_resnets_answer_as_recorded() {
    let fixture = Fixture::open();
    for (spec, depth) in [("resnet20", 20), ("resnet56", 56)] {
        let network = open(spec, Normalisation::IMAGENET, &Device::flex()).unwrap();
        assert_eq!(network.distance_name(), format!("FD-ResNet{depth}"));
        assert_eq!(network.score_name(), format!("IS-ResNet{depth}"));
        assert_eq!((network.features(), network.classes().len()), (64, 10));
        check(&fixture, &network, "cifar10_images", spec, 1e-3);
    }
}

#[test]
fn a_network_within_the_program_becomes_a_classifiers_file() {
    let fixture = Fixture::open();
    let (images, shape) = fixture.bytes("cifar10_images");
    let logits = fixture.rows("resnet20_logits");
    let label = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let labels = logits.values().chunks(logits.width()).map(label);
    let network = open("resnet20", Normalisation::IMAGENET, &Device::flex()).unwrap();
    let mut data = Dataset {
        beside: freeguide_data::Beside::default(),
        images: images.clone(),
        labels: labels.map(|l| l.unwrap() as u32).collect(),
        classes: network.classes().iter().map(str::to_owned).collect(),
        size: 32,
        channels: 3,
    };
    let made = pretrained("resnet20", &data, &Device::flex()).unwrap();
    assert_eq!(
        (made.held_out.accuracy(), made.held_out.images()),
        (1.0, shape[0])
    );

    let file = freeguide::classifier::Classifier::read(&made.file, &Device::flex()).unwrap();
    let said = file.description();
    assert_eq!((said.name.as_str(), said.size), ("ResNet20", 32));
    assert_eq!(&said.classes, network.classes());
    // Weights of 16 bits move the answers a little.
    let (features, probabilities) = file.classify(&images, 32, 3).unwrap();
    let features = difference(&read(features).unwrap(), &fixture.rows("resnet20_features"));
    let probabilities = difference(&read(probabilities).unwrap(), &self::probabilities(&logits));
    assert!(
        features < 1e-2 && probabilities < 1e-2,
        "{features} {probabilities}"
    );

    let error = pretrained("resnet21", &data, &Device::flex())
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("no feature network \"resnet21\""),
        "{error}"
    );
    data.classes.swap(0, 1);
    let error = pretrained("resnet20", &data, &Device::flex())
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("knows the classes airplane, automobile"),
        "{error}"
    );
}

#[test]
fn a_state_dict_is_read_as_pytorch_saved_it() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/state_dict.pth"
    );
    let weights = Weights::read(std::fs::File::open(path).unwrap()).unwrap();
    for (name, shape) in [("conv.weight", &[2, 3, 1, 1][..]), ("bn.running_var", &[2])] {
        assert_eq!(weights.values(name, shape).unwrap(), formula(name, shape));
    }
    let counted = weights.read("bn.num_batches_tracked").unwrap_err();
    assert!(counted.to_string().contains("of integers"), "{counted}");
    assert!(Weights::read(std::io::Cursor::new(b"nothing")).is_err());
}

#[test]
fn a_classifier_in_onnx_answers_as_in_onnxruntime() {
    let fixture = Fixture::open();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/classifier.onnx"
    );
    let network = open(path, Normalisation::IMAGENET, &Device::flex()).unwrap();
    assert_eq!(network.distance_name(), "FD-classifier");
    let form = (network.input(), network.features(), network.class_count());
    assert_eq!(form, (16, 4, 5));
    check(&fixture, &network, "images", "onnx", 1e-5);
}

/// With the weights that the golden answers were recorded with.
#[test]
#[ignore = "needs ../shared/featnets/efficientnet_lite0.safetensors, or its path in FREEGUIDE_EFFICIENTNET"]
fn efficientnet_lite0_with_its_own_weights_answers_as_recorded() {
    let path = std::env::var("FREEGUIDE_EFFICIENTNET").unwrap_or_else(|_| {
        let root = env!("CARGO_MANIFEST_DIR");
        format!("{root}/../../../shared/featnets/efficientnet_lite0.safetensors")
    });
    let mut network = open(&path, Normalisation::IMAGENET, &Device::flex()).unwrap();
    assert_eq!(network.distance_name(), "FD-EfficientNetLite0");
    network.input = 128;
    check(
        &Fixture::open(),
        &network,
        "cifar10_images",
        "efficientnet_lite0_128",
        1e-3,
    );
}

#[test]
fn what_is_no_feature_network_is_refused_in_one_sentence() {
    let error = |spec: &str| {
        let opened = open(spec, Normalisation::IMAGENET, &Device::flex());
        opened.err().unwrap().to_string()
    };
    assert!(error("resnet21").contains("resnet20, resnet56 or the path"));
    assert!(error("no/such.safetensors").contains("cannot read no/such.safetensors"));
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let other = error(&put("pt_inception.pth", b"other weights"));
    assert!(
        other.contains(inception::SHA256) && other.contains("not FID"),
        "{other}"
    );
    let nothing = error(&put("a.safetensors", b"nothing"));
    assert!(nothing.contains("neither a safetensors file"), "{nothing}");
    assert!(error(&put("a.onnx", b"nothing")).contains("ONNX"));
    let mut weights = std::collections::HashMap::new();
    let one = [0u8; 4];
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &one);
    weights.insert("x".to_owned(), view.unwrap());
    let file = safetensors::serialize(weights, None).unwrap();
    let other = error(&put("b.safetensors", &file));
    assert!(
        other.contains("b.safetensors has other tensors than"),
        "{other}"
    );
}
