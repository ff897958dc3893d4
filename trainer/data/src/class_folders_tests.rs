//! Loading class folders, from files that the tests write.

use std::{cell::RefCell, collections::BTreeSet, fs::File};

use image::{ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;

use super::*;
use crate::{DataRecipe, Dataset, load};

/// A folder to build a data set in.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// A 4×4 picture of one colour; the file's name gives its format.
    fn image(&self, name: &str, color: [u8; 3]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(4, 4, Rgb(color)).save(path).unwrap();
    }

    fn load(&self) -> (Result<Dataset, DataError>, Vec<Warning>) {
        self.load_with(&DataRecipe::new(2))
    }

    fn load_with(&self, recipe: &DataRecipe) -> (Result<Dataset, DataError>, Vec<Warning>) {
        let mut warnings = Vec::new();
        let result = load(self.path(), recipe, &mut |warning| warnings.push(warning));
        (result, warnings)
    }

    fn error(&self) -> DataError {
        self.load().0.unwrap_err()
    }
}

/// Blocks of 12 bytes (2×2 RGB) of one colour each.
fn flat(colors: &[[u8; 3]]) -> Vec<u8> {
    colors.iter().flat_map(|color| color.repeat(4)).collect()
}

#[test]
fn loads_every_format_sorted_by_class_and_path() {
    let folder = Folder::new();
    folder.image("b/2.PNG", [2, 0, 0]);
    folder.image("b/nested/deep/1.png", [3, 0, 0]);
    folder.image("b/10.png", [1, 0, 0]);
    folder.image("a c/x.webp", [10, 20, 30]);
    folder.image("Z/grey.jpg", [99, 99, 99]);
    let (data, warnings) = folder.load();
    let data = data.unwrap();
    assert_eq!(warnings, []);
    assert_eq!(data.classes, ["Z", "a c", "b"]);
    assert_eq!(data.labels, [0, 1, 2, 2, 2]);
    assert_eq!(
        data.images,
        flat(&[[99, 99, 99], [10, 20, 30], [1, 0, 0], [2, 0, 0], [3, 0, 0]])
    );
    assert_eq!((data.size, data.channels), (2, 3));
}

#[test]
fn one_class_is_enough() {
    let folder = Folder::new();
    folder.image("only/1.png", [1, 2, 3]);
    assert_eq!(folder.load().0.unwrap().class_counts(), [1]);
}

#[test]
fn hidden_files_do_not_count() {
    let folder = Folder::new();
    folder.image("a/1.png", [1, 1, 1]);
    folder.write("a/._1.png", "resource fork");
    folder.write("a/.thumbs/1.png", "thumbnail");
    folder.write(".cache/x.png", "x");
    folder.write("__MACOSX/a/1.png", "x");
    let (data, warnings) = folder.load();
    assert_eq!(data.unwrap().classes, ["a"]);
    assert_eq!(warnings, []);
}

#[test]
fn a_bad_image_is_named_and_skipped() {
    let folder = Folder::new();
    folder.image("a/1.png", [1, 1, 1]);
    folder.write("a/2.png", "not an image at all");
    folder.image("a/3.png", [3, 3, 3]);
    folder.image("b/4.jpg", [4, 4, 4]);
    let whole = fs::read(folder.path().join("a/3.png")).unwrap();
    folder.write("b/5.png", &whole[..whole.len() / 2]);
    let (data, warnings) = folder.load();
    let data = data.unwrap();
    assert_eq!(data.labels, [0, 0, 1]);
    assert_eq!(data.images, flat(&[[1, 1, 1], [3, 3, 3], [4, 4, 4]]));
    let [
        Warning::Unreadable { name, reason },
        Warning::Unreadable { name: cut, .. },
    ] = &warnings[..]
    else {
        panic!("{warnings:?}");
    };
    assert_eq!(
        (name.as_str(), cut.as_str()),
        (
            folder.path().join("a/2.png").to_str().unwrap(),
            folder.path().join("b/5.png").to_str().unwrap()
        )
    );
    assert_eq!(reason, "not a PNG, JPEG, WebP, GIF, BMP or TIFF image");
    assert!(warnings[0].to_string().starts_with("skipped "));
}

#[test]
fn a_file_is_decoded_by_content_and_a_foreign_format_is_unreadable() {
    let folder = Folder::new();
    folder.image("a/1.png", [1, 1, 1]);
    fs::copy(folder.path().join("a/1.png"), folder.path().join("a/2.jpg")).unwrap();
    folder.write("a/3.png", b"GIF89a\x01\0\x01\0\0\0\0;");
    let (data, warnings) = folder.load();
    assert_eq!(data.unwrap().len(), 2);
    assert_eq!(warnings.len(), 1);
}

#[test]
fn more_than_half_unreadable_is_an_error() {
    let folder = Folder::new();
    folder.image("a/1.png", [1, 1, 1]);
    folder.write("a/2.png", "bad");
    assert_eq!(folder.load().0.unwrap().len(), 1);
    folder.write("a/3.png", "bad");
    let error = folder.error();
    assert!(
        matches!(
            error,
            DataError::TooManyUnreadable {
                unreadable: 2,
                total: 3,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("2.png"));
}

#[test]
fn a_class_of_which_nothing_can_be_read_is_an_error() {
    let folder = Folder::new();
    for i in 0..5 {
        folder.image(&format!("a/{i}.png"), [1, 1, 1]);
    }
    folder.write("b/1.png", "bad");
    let error = folder.error();
    assert!(
        matches!(&error, DataError::ClassUnreadable { class, total: 1, .. } if class == "b"),
        "{error}"
    );
}

#[test]
fn an_empty_class_is_named() {
    let folder = Folder::new();
    folder.image("full/1.png", [1, 1, 1]);
    fs::create_dir(folder.path().join("hollow")).unwrap();
    let error = folder.error();
    assert!(
        matches!(&error, DataError::EmptyClass { class, .. } if class == "hollow"),
        "{error}"
    );
    assert!(error.to_string().contains("holds nothing"), "{error}");
    folder.write("hollow/a.avif", "GIF89a");
    assert!(folder.error().to_string().contains("holds 1 file (a.avif)"));
}

#[test]
fn a_folder_without_classes_says_what_it_found_and_what_is_wanted() {
    let folder = Folder::new();
    assert!(
        folder
            .error()
            .to_string()
            .contains("it holds nothing; expected one sub-folder for each class")
    );
    folder.image("1.png", [1, 1, 1]);
    folder.image("2.jpg", [1, 1, 1]);
    folder.write("labels.csv", "1,cat");
    let text = folder.error().to_string();
    assert!(
        text.contains("2 images (1.png, …) and 1 other file (labels.csv)"),
        "{text}"
    );
}

#[test]
fn what_is_no_folder_is_said_plainly() {
    let folder = Folder::new();
    folder.write("data.7z", "7z");
    let load_named =
        |name: &str| load(&folder.path().join(name), &DataRecipe::new(2), &mut |_| ()).unwrap_err();
    assert!(matches!(load_named("nowhere"), DataError::NotFound { .. }));
    let archive = load_named("data.7z");
    assert!(
        archive
            .to_string()
            .ends_with("or an .npz file; unpack it first"),
        "{archive}"
    );
}

#[test]
fn what_is_left_out_is_reported() {
    let folder = Folder::new();
    folder.image("stray.png", [1, 1, 1]);
    folder.image("train/1.png", [1, 1, 1]);
    folder.image("val/1.png", [1, 1, 1]);
    folder.write("val/notes.txt", "");
    folder.write("val/old.avif", "");
    let (data, warnings) = folder.load();
    assert_eq!(data.unwrap().len(), 2);
    let path = folder.path().to_path_buf();
    assert_eq!(
        warnings,
        [
            Warning::OutsideClasses {
                path: path.clone(),
                count: 1
            },
            Warning::OtherFiles {
                count: 2,
                example: path.join("val/notes.txt")
            },
            Warning::LooksLikeSplits {
                path,
                meant: "train".into()
            },
        ]
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_and_dead_links_survived() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new();
    let elsewhere = Folder::new();
    elsewhere.image("1.png", [1, 1, 1]);
    elsewhere.image("2.png", [2, 2, 2]);
    symlink(elsewhere.path(), folder.path().join("linked")).unwrap();
    symlink(elsewhere.path(), elsewhere.path().join("loop")).unwrap();
    symlink("/nowhere/3.png", elsewhere.path().join("3.png")).unwrap();
    let (data, warnings) = folder.load();
    assert_eq!(data.unwrap().images, flat(&[[1, 1, 1], [2, 2, 2]]));
    let names: BTreeSet<_> = warnings
        .iter()
        .map(|warning| match warning {
            Warning::Unreadable { name, .. } => name.rsplit('/').next().unwrap(),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(names, BTreeSet::from(["3.png", "loop"]));
}

#[test]
fn palettes_transparency_and_depth_are_expanded() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("a")).unwrap();
    let file = |name: &str| folder.path().join("a").join(name);

    // A palette whose second entry is transparent.
    let mut encoder = png::Encoder::new(File::create(file("1.png")).unwrap(), 2, 2);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(vec![10, 20, 30, 40, 50, 60]);
    encoder.set_trns(vec![255, 0]);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&[0, 1, 0, 1])
        .unwrap();
    // 16 bits of grey.
    let mut encoder = png::Encoder::new(File::create(file("2.png")).unwrap(), 2, 2);
    encoder.set_depth(png::BitDepth::Sixteen);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&[128; 8])
        .unwrap();
    RgbaImage::from_pixel(2, 2, Rgba([9, 9, 9, 0]))
        .save(file("3.webp"))
        .unwrap();

    let (data, warnings) = folder.load();
    assert_eq!(warnings, []);
    let data = data.unwrap();
    assert_eq!(data.image(0), [10, 20, 30, 255, 255, 255].repeat(2));
    assert_eq!(data.images[12..], flat(&[[128; 3], [255; 3]]));
}

#[test]
fn the_orientation_in_the_file_is_applied() {
    // Left half black, right half white; orientation 3 (turned by 180°) swaps them.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0";
    let upright = RgbImage::from_fn(16, 16, |x, _| Rgb(if x < 8 { [0; 3] } else { [255; 3] }));
    let folder = Folder::new();
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        use image::{ImageEncoder, codecs};
        let mut bytes = Vec::new();
        fn encode(mut encoder: impl ImageEncoder, image: &RgbImage, exif: &[u8]) {
            encoder.set_exif_metadata(exif.to_vec()).unwrap();
            encoder
                .write_image(image, 16, 16, image::ExtendedColorType::Rgb8)
                .unwrap();
        }
        match format {
            ImageFormat::Png => encode(codecs::png::PngEncoder::new(&mut bytes), &upright, exif),
            ImageFormat::Jpeg => encode(
                codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 100),
                &upright,
                exif,
            ),
            _ => encode(
                codecs::webp::WebPEncoder::new_lossless(&mut bytes),
                &upright,
                exif,
            ),
        }
        folder.write(&format!("a/1.{}", format.extensions_str()[0]), bytes);
    }
    let recipe = DataRecipe {
        resize: crate::resample::Filter::Area,
        ..DataRecipe::new(2)
    };
    let (data, warnings) = folder.load_with(&recipe);
    assert_eq!(warnings, []);
    let data = data.unwrap();
    for index in 0..3 {
        assert_eq!(
            data.image(index),
            [255, 255, 255, 0, 0, 0].repeat(2),
            "image {index}"
        );
    }
}

#[test]
fn settings_are_checked_before_anything_is_read() {
    let result = load(Path::new("/nowhere"), &DataRecipe::new(0), &mut |_| ());
    assert!(matches!(result, Err(DataError::Setting(_))));
}

#[test]
fn the_order_does_not_depend_on_the_number_of_threads() {
    let folder = Folder::new();
    for i in 0..40u8 {
        folder.image(&format!("class {}/{i}.png", i % 3), [i, 255 - i, 7]);
    }
    let results = RefCell::new(Vec::new());
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        results
            .borrow_mut()
            .push(pool.install(|| folder.load().0.unwrap().fingerprint()));
    }
    let results = results.into_inner();
    assert_eq!(results[0], results[1]);
}
