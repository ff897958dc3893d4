//! A classifier's file, written by hand, and what is refused of one.

use super::*;

/// A ResNet of one block a stage and one channel, whose answers come from its last layer alone: every convolution is 0.
fn file(
    change: impl Fn(&mut Vec<(String, Vec<usize>, Vec<f32>)>, &mut serde_json::Value),
) -> Vec<u8> {
    let mut tensors = Vec::new();
    let mut conv = |conv: String, norm: String, output: usize, input: usize| {
        let count = 9 * output * input;
        tensors.push((
            format!("{conv}.weight"),
            vec![output, input, 3, 3],
            vec![0.0; count],
        ));
        for (part, value) in [
            ("weight", 1.0),
            ("bias", 0.5),
            ("running_mean", 0.0),
            ("running_var", 1.0),
        ] {
            tensors.push((format!("{norm}.{part}"), vec![output], vec![value; output]));
        }
    };
    conv("conv1".to_owned(), "bn1".to_owned(), 1, 3);
    for (stage, input, output) in [(1, 1, 1), (2, 1, 2), (3, 2, 4)] {
        let block = format!("layer{stage}.0");
        conv(
            format!("{block}.conv1"),
            format!("{block}.bn1"),
            output,
            input,
        );
        conv(
            format!("{block}.conv2"),
            format!("{block}.bn2"),
            output,
            output,
        );
    }
    tensors.push(("linear.weight".to_owned(), vec![2, 4], vec![0.0; 8]));
    tensors.push(("linear.bias".to_owned(), vec![2], vec![0.0, 3f32.ln()]));
    let mut says = serde_json::json!({
        "name": "hand", "size": 4, "classes": ["a", "b"], "held_out_accuracy": 0.5,
        "held_out_images": 2, "data_fingerprint": "0"
    });
    change(&mut tensors, &mut says);
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        let view =
            safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.unwrap())
    });
    let metadata =
        std::collections::HashMap::from([(DESCRIPTION_KEY.to_owned(), says.to_string())]);
    safetensors::serialize(views, Some(metadata)).unwrap()
}

fn refused(bytes: &[u8], words: &str) {
    let error = Classifier::read(bytes, &Device::flex())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains(words), "{error}");
}

#[test]
fn images_of_any_channels_are_classified() {
    let classifier = Classifier::read(&file(|_, _| ()), &Device::flex()).unwrap();
    assert_eq!(
        (
            classifier.description().name.as_str(),
            classifier.features()
        ),
        ("hand", 4)
    );
    for channels in [1, 3, 4] {
        let (features, probabilities) = classifier
            .classify(&vec![128; 32 * channels], 4, channels)
            .unwrap();
        assert_eq!((features.dims(), probabilities.dims()), ([2, 4], [2, 2]));
        let probabilities: Vec<f32> = probabilities.into_data().iter().collect();
        for (found, expected) in probabilities.iter().zip([0.25, 0.75, 0.25, 0.75]) {
            assert!((found - expected).abs() < 1e-6, "{probabilities:?}");
        }
        // The stem says 0.5, and every block adds 0.5 to its shortcut: one channel becomes two, the new one last, and two
        // become four, a new one before and one after them.
        let features: Vec<f32> = features.into_data().iter().collect();
        assert_eq!(features[..4], [0.5, 2.0, 1.0, 0.5]);
    }
    let error = classifier.classify(&[0; 17], 4, 1).err().unwrap();
    assert!(
        error
            .to_string()
            .contains("17 bytes are not images of 4×4 pixels"),
        "{error}"
    );
}

#[test]
fn files_that_are_no_classifiers_are_refused() {
    refused(b"no file", "ends within");
    let whole = file(|_, _| ());
    refused(&whole[..whole.len() - 1], "bytes");
    refused(
        &file(|tensors, _| drop(tensors.pop())),
        "no tensor \"linear.bias\"",
    );
    refused(
        &file(|tensors, _| tensors[1].1 = vec![1, 1]),
        "has the shape [1, 1]",
    );
    refused(
        &file(|tensors, _| tensors[0].2[0] = f32::NAN),
        "conv1.weight",
    );
    refused(
        &file(|_, says| says["classes"] = serde_json::json!(["a"])),
        "describes 4 pixels and 1 classes",
    );
    refused(
        &file(|_, says| *says = serde_json::json!({})),
        "has an invalid description",
    );
}

/// The same with the first channel's middle weight 1: features follow the red of the picture.
fn seeing_red(normalisation: Option<serde_json::Value>) -> Vec<u8> {
    file(|tensors, says| {
        tensors[0].2[4] = 1.0;
        if let Some(normalisation) = normalisation.clone() {
            says["normalisation"] = normalisation;
        }
    })
}

fn first_feature(file: &[u8], pixels: &[u8], side: usize) -> f32 {
    let classifier = Classifier::read(file, &Device::flex()).unwrap();
    let (features, _) = classifier.classify(pixels, side, 3).unwrap();
    features.into_data().iter().nth(1).unwrap()
}

#[test]
fn pixels_are_put_to_it_as_its_file_says() {
    let pixels = [255u8, 0, 0].repeat(16);
    // The stem gives red + 0.5, and three blocks add 0.5 each: 1 + 2 where pixels go from −1 to 1.
    let symmetric = first_feature(&seeing_red(None), &pixels, 4);
    assert!((symmetric - 3.0).abs() < 1e-4, "{symmetric}");
    let says = serde_json::json!({ "mean": [0.5, 0, 0], "deviation": [0.25, 1, 1] });
    let other = first_feature(&seeing_red(Some(says)), &pixels, 4);
    assert!((other - 4.0).abs() < 1e-4, "{other}");
    for deviation in [0.0, -1.0, 1e-40] {
        let says = serde_json::json!({ "mean": [0, 0, 0], "deviation": [1, 1, deviation] });
        refused(&seeing_red(Some(says)), "has an invalid normalisation");
    }
}

#[test]
fn pictures_of_another_size_are_resized() {
    // Columns of red and black, two pixels wide. Halved, the corner sees three columns, with the weights 3, 3, 1 of 7: it
    // is 6/7 red. Strides leave of the picture the corner alone.
    let row: Vec<u8> = (0..8)
        .flat_map(|x| [255 * u8::from(x % 4 < 2), 0, 0])
        .collect();
    let found = first_feature(&seeing_red(None), &row.repeat(8), 8);
    let expected = (2.0 * 6.0 / 7.0 - 1.0) + 0.5 + 1.5;
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    let classifier = Classifier::read(&seeing_red(None), &Device::flex()).unwrap();
    for (pixels, side) in [(vec![0; 3 * 64], 7), (vec![], 4), (vec![0; 3], usize::MAX)] {
        let error = classifier.classify(&pixels, side, 3).err().unwrap();
        assert!(error.to_string().contains("are not images"), "{error}");
    }
}
