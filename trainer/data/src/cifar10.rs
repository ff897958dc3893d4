//! CIFAR-10's own binary batches (Krizhevsky 2009).

use std::ops::Range;
use std::path::{Path, PathBuf};

use image::{DynamicImage, RgbImage};

use super::positioned::Positioned;
use super::records::{Records, Stored};
use super::{DataError, Warning};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
/// One byte of label, then the red, the green and the blue plane.
const RECORD: usize = 1 + 3 * PLANE;

/// The file of class names.
pub const META: &str = "batches.meta.txt";

/// The binary version of CIFAR-10, `cifar-10-batches-bin`.
///
/// ```text
/// DIR/data_batch_1.bin … data_batch_5.bin   the training images, 10,000 each
/// DIR/test_batch.bin                        the test images
/// DIR/batches.meta.txt                      a class name a line
/// ```
///
/// Fewer or shorter batches are read as well, as long as they are of whole records.
pub struct Cifar10 {
    classes: Vec<String>,
    labels: Vec<u32>,
    batches: Vec<Batch>,
}

struct Batch {
    path: PathBuf,
    file: Positioned,
    /// The index of its first image.
    first: usize,
}

/// Whether `name` is that of a batch.
pub fn is_batch(name: &str) -> bool {
    name == "test_batch.bin" || is_training_batch(name)
}

fn is_training_batch(name: &str) -> bool {
    let number = name
        .strip_prefix("data_batch_")
        .and_then(|rest| rest.strip_suffix(".bin"));
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

impl Cifar10 {
    /// Opens the batches of `split` among the files `names` of `dir`.
    pub fn open(
        dir: &Path,
        names: &[String],
        split: &str,
        report: &mut dyn FnMut(Warning),
    ) -> Result<Self, DataError> {
        let wanted: Vec<&String> = match split {
            "train" => names.iter().filter(|n| is_training_batch(n)).collect(),
            "test" => names.iter().filter(|n| *n == "test_batch.bin").collect(),
            other => {
                return Err(DataError::Setting(format!(
                    "split is \"{other}\"; CIFAR-10 has \"train\" and \"test\""
                )));
            }
        };
        if wanted.is_empty() {
            return Err(DataError::NoSplit {
                path: dir.into(),
                split: split.into(),
                found: names.to_vec(),
            });
        }
        let classes = class_names(&dir.join(META))?;
        let mut labels = Vec::new();
        let mut batches = Vec::new();
        for name in wanted {
            let path = dir.join(name);
            let io = |source| DataError::Io {
                path: path.clone(),
                source,
            };
            let file = Positioned::open(&path).map_err(io)?;
            if file.len() == 0 || file.len() % RECORD as u64 != 0 {
                return Err(DataError::Torn {
                    reason: format!(
                        "it has {} bytes, which is no whole number of records of {RECORD}",
                        file.len()
                    ),
                    path,
                });
            }
            let first = labels.len();
            for record in 0..file.len() / RECORD as u64 {
                let label = file.read_at(record * RECORD as u64, 1).map_err(io)?[0];
                if usize::from(label) >= classes.len() {
                    return Err(DataError::Label {
                        name: format!("{}, record {record}", path.display()),
                        label: label.to_string(),
                        classes: classes.len(),
                    });
                }
                labels.push(u32::from(label));
            }
            batches.push(Batch { path, file, first });
        }
        super::recognise::report_classes_without_images(&classes, &labels, report);
        Ok(Self {
            classes,
            labels,
            batches,
        })
    }

    /// How many files there are.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// The batch that image `index` lies in.
    fn batch(&self, index: usize) -> &Batch {
        let after = self.batches.partition_point(|batch| batch.first <= index);
        &self.batches[after - 1]
    }
}

/// The lines of `batches.meta.txt`.
fn class_names(path: &Path) -> Result<Vec<String>, DataError> {
    let text = std::fs::read_to_string(path).map_err(|source| DataError::Io {
        path: path.into(),
        source,
    })?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(names.map(str::to_owned).collect())
}

/// The image of a record without its label.
fn image(planes: &[u8]) -> DynamicImage {
    let picture = RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        let at = y as usize * SIDE + x as usize;
        image::Rgb([planes[at], planes[PLANE + at], planes[2 * PLANE + at]])
    });
    DynamicImage::ImageRgb8(picture)
}

impl Records for Cifar10 {
    fn labels(&self) -> &[u32] {
        &self.labels
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        let batch = self.batch(index);
        format!("{}, record {}", batch.path.display(), index - batch.first)
    }

    fn stored_len(&self, _: usize) -> Option<u64> {
        Some(RECORD as u64)
    }

    fn read(&self, index: usize) -> Result<Stored, String> {
        let batch = self.batch(index);
        let offset = ((index - batch.first) * RECORD + 1) as u64;
        let planes = batch
            .file
            .read_at(offset, 3 * PLANE)
            .map_err(|error| error.to_string())?;
        Ok(Stored::Pixels(image(&planes)))
    }

    fn read_range(&self, range: Range<usize>, take: &mut dyn FnMut(usize, Result<Stored, String>)) {
        for index in range {
            take(index, self.read(index));
        }
    }
}
