//! What cannot be measured.

use std::fs;

use crate::process::{draw_shapes, text};
use crate::support::{against, small};

#[test]
fn too_few_images_for_a_covariance_are_refused() {
    let few = ["--samples 16 is too small", "16 features", "at least 17"];
    small("--guidance 0 --samples 16").refused(1, &few);
    let few = ["--samples 60 is too small", "ResNet20", "at least 65"];
    small("--guidance 0 --samples 60 --features resnet20").refused(1, &few);
    let few = ["has 90 images", "64 features of ResNet20", "at least 130"];
    small("--guidance 0 --samples 70 --features resnet20").refused(1, &few);
}

#[test]
fn an_unknown_feature_network_and_values_out_of_range_are_refused() {
    small("--guidance 0 --samples 60 --features resnet21")
        .refused(1, &["no feature network \"resnet21\""]);
    small("--guidance 0 --samples 0").refused(2, &["--samples"]);
    small("--guidance 1e9").refused(2, &["--guidance"]);
}

#[test]
fn other_weights_than_those_that_define_fid_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("pt_inception-2015-12-05-6726825d.pth");
    fs::write(&weights, b"other weights").unwrap();
    small(&format!("--samples 60 --features {}", text(&weights))).refused(
        1,
        &[
            "SHA-256",
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        ],
    );
}

#[test]
fn a_data_set_of_other_classes_than_the_models_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    draw_shapes(&other, 3);
    fs::rename(other.join("disc"), other.join("circle")).unwrap();
    against(&other).refused(
        1,
        &[
            "the model does not know \"circle\"",
            "the data set has no \"disc\"",
        ],
    );
}

#[test]
fn images_that_cannot_be_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    draw_shapes(&other, 3);
    for entry in fs::read_dir(other.join("disc")).unwrap() {
        fs::write(entry.unwrap().path(), b"no picture").unwrap();
    }
    against(&other).refused(1, &["none of the 3 images of class \"disc\" can be read"]);
    against(&folder.path().join("nowhere")).refused(1, &["nowhere does not exist"]);
}
