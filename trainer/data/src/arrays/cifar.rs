//! CIFAR-10's and CIFAR-100's own binary batches (Krizhevsky 2009).

use std::path::Path;

use super::{Arrays, Block, Form};
use crate::positioned::Positioned;
use crate::{DataError, DataRecipe, Warning, names_file, recognise};

/// 32×32 pixels: the red, the green and the blue plane.
pub const FORM: Form = Form {
    width: 32,
    height: 32,
    channels: 3,
    planes: true,
};

/// What tells the two sets apart.
struct Kind {
    name: &'static str,
    /// The file of class names.
    names: &'static str,
    /// Bytes of labels in front of a picture, and which of them is the class.
    labels: u64,
    label: u64,
}

/// Whether `name` is that of a batch of CIFAR-10.
pub fn is_batch(name: &str) -> bool {
    name == "test_batch.bin" || is_training_batch(name)
}

/// Whether these are the files of CIFAR-100.
pub fn is_cifar100(names: &[String]) -> bool {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    has("fine_label_names.txt") && (has("train.bin") || has("test.bin"))
}

fn is_training_batch(name: &str) -> bool {
    let number = name
        .strip_prefix("data_batch_")
        .and_then(|rest| rest.strip_suffix(".bin"));
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Opens the batches of `split` among the files `names` of `dir`.
///
/// ```text
/// DIR/data_batch_1.bin … data_batch_5.bin   the training images, 10,000 each
/// DIR/test_batch.bin                        the test images
/// DIR/batches.meta.txt                      a class name a line
/// ```
///
/// A record is one byte of label, then the red, the green and the blue plane. Fewer or shorter batches are read as well,
/// as long as they are of whole records.
pub fn cifar10(
    dir: &Path,
    names: &[String],
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Arrays, DataError> {
    let wanted = of_split(
        dir,
        names,
        "CIFAR-10",
        &recipe.split,
        &|name| match is_training_batch(name) {
            true => Some("train"),
            false => (name == "test_batch.bin").then_some("test"),
        },
    )?;
    let kind = Kind {
        name: "CIFAR-10",
        names: "batches.meta.txt",
        labels: 1,
        label: 0,
    };
    open(dir, &wanted, &kind, report)
}

/// Opens CIFAR-100's `train.bin` or `test.bin`, whose records have two labels: the coarse and the fine one.
/// `data.label_column` says which is the class, `"fine"` unless told otherwise.
pub fn cifar100(
    dir: &Path,
    names: &[String],
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Arrays, DataError> {
    let wanted = of_split(dir, names, "CIFAR-100", &recipe.split, &|name| match name {
        "train.bin" => Some("train"),
        "test.bin" => Some("test"),
        _ => None,
    })?;
    let (names, label) = match is_fine(recipe)? {
        true => ("fine_label_names.txt", 1),
        false => ("coarse_label_names.txt", 0),
    };
    let kind = Kind {
        name: "CIFAR-100",
        names,
        labels: 2,
        label,
    };
    open(dir, &wanted, &kind, report)
}

/// Whether CIFAR-100's hundred classes are meant, and not its twenty groups of them.
pub fn is_fine(recipe: &DataRecipe) -> Result<bool, DataError> {
    match recipe.label_column.as_deref() {
        None | Some("fine" | "fine_labels" | "fine_label") => Ok(true),
        Some("coarse" | "coarse_labels" | "coarse_label") => Ok(false),
        Some(other) => Err(DataError::Setting(format!(
            "label_column is \"{other}\"; CIFAR-100 has \"fine\" and \"coarse\""
        ))),
    }
}

/// The names of the files of a part.
pub fn of_split(
    dir: &Path,
    names: &[String],
    set: &str,
    split: &str,
    part: &dyn Fn(&str) -> Option<&'static str>,
) -> Result<Vec<String>, DataError> {
    if !matches!(split, "train" | "test") {
        return Err(DataError::Setting(format!(
            "split is \"{split}\"; {set} has \"train\" and \"test\""
        )));
    }
    let wanted: Vec<String> = names
        .iter()
        .filter(|name| part(name) == Some(split))
        .cloned()
        .collect();
    match wanted.is_empty() {
        false => Ok(wanted),
        true => Err(DataError::NoSplit {
            path: dir.into(),
            split: split.into(),
            found: names
                .iter()
                .filter(|name| part(name).is_some())
                .cloned()
                .collect(),
        }),
    }
}

fn open(
    dir: &Path,
    names: &[String],
    kind: &Kind,
    report: &mut dyn FnMut(Warning),
) -> Result<Arrays, DataError> {
    let classes = names_file::read(&dir.join(kind.names))?;
    let record = kind.labels + FORM.bytes() as u64;
    let (mut labels, mut blocks) = (Vec::new(), Vec::new());
    for name in names {
        let path = dir.join(name);
        let file = Positioned::open_data(&path)?;
        if file.len() == 0 || file.len() % record != 0 {
            return Err(DataError::Torn {
                reason: format!(
                    "it has {} bytes, which is no whole number of records of {record}",
                    file.len()
                ),
                path,
            });
        }
        let count = file.len() / record;
        for number in 0..count {
            let at = number * record + kind.label;
            let label = file.read_at(at, 1).map_err(|source| DataError::Io {
                path: path.clone(),
                source,
            })?[0];
            if usize::from(label) >= classes.len() {
                return Err(DataError::Label {
                    name: format!("{}, record {number}", path.display()),
                    label: label.to_string(),
                    classes: classes.len(),
                });
            }
            labels.push(u32::from(label));
        }
        blocks.push(Block {
            path,
            noun: "record",
            file,
            offset: kind.labels,
            stride: record,
            count: count as usize,
            form: FORM,
        });
    }
    recognise::report_classes_without_images(&classes, &labels, report);
    let batches = match blocks.len() {
        1 => "1 binary batch".to_owned(),
        count => format!("{count} binary batches"),
    };
    let description = format!("{batches} of {}", kind.name);
    Ok(Arrays::new(description, blocks, classes, labels))
}
