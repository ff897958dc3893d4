//! The idx files of MNIST and of the sets that follow it.
//!
//! ```text
//! DIR/train-images-idx3-ubyte   0 0 8 3, the sizes N, H and W (32 bits, big-endian), then N·H·W bytes
//! DIR/train-labels-idx1-ubyte   0 0 8 1, the size N, then N bytes
//! DIR/t10k-images-idx3-ubyte …  the test images
//! ```
//!
//! Each may be compressed with gzip, as they are served.

use std::path::{Path, PathBuf};

use super::{Arrays, Block, Form};
use crate::labels::of_places;
use crate::parts::Part;
use crate::positioned::Positioned;
use crate::{DataError, Warning, names_file, recognise, spool};

/// Labels that are read at a time.
const PIECE: u64 = 16 << 10;

/// A file: its sizes, and where its numbers begin.
struct Idx {
    path: PathBuf,
    file: Positioned,
    sizes: Vec<u64>,
    start: u64,
}

/// Whether this is the name of a file of images.
pub fn is_images(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("images") && (name.contains("idx3") || name.contains("idx4"))
}

/// The files of images among `names`, each once where it is there as it is and compressed.
pub fn images(dir: &Path, names: &[String]) -> Vec<PathBuf> {
    let plain = |name: &str| names.iter().any(|other| other == name);
    let wanted = names.iter().filter(|name| {
        let unpacked = name.strip_suffix(".gz");
        is_images(name) && !unpacked.is_some_and(plain)
    });
    wanted.map(|name| dir.join(name)).collect()
}

/// Opens files of images, and those of labels beside them.
pub fn open(dir: &Path, part: &Part, report: &mut dyn FnMut(Warning)) -> Result<Arrays, DataError> {
    let (mut blocks, mut labels) = (Vec::new(), Vec::new());
    for path in &part.files {
        let images = Idx::open(path)?;
        let form = images.form()?;
        let of_labels = Idx::open(&labels_of(path)?)?;
        if of_labels.sizes != images.sizes[..1] {
            return Err(DataError::Mixed {
                one: path.clone(),
                other: of_labels.path,
                reason: "they are of different lengths".into(),
            });
        }
        let count = images.sizes[0] as usize;
        of_labels.append(&mut labels)?;
        blocks.push(Block {
            path: images.path,
            noun: "image",
            file: images.file,
            offset: images.start,
            stride: form.bytes() as u64,
            count,
            form,
        });
    }
    let names = names_file::beside(&dir.join("x"))?;
    let name_of = |index: usize| format!("image {index} of {}", dir.display());
    let classes = of_places(&labels, names, &name_of)?;
    recognise::report_classes_without_images(&classes, &labels, report);
    let files = match blocks.len() {
        1 => "1 idx file of images".to_owned(),
        count => format!("{count} idx files of images"),
    };
    let description = format!("{files}{}", part.note());
    Ok(Arrays::new(description, blocks, classes, labels))
}

/// The file of labels beside one of images, as it is or compressed.
fn labels_of(images: &Path) -> Result<PathBuf, DataError> {
    let name = images.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let labels = name
        .replace("images", "labels")
        .replace("Images", "Labels")
        .replace("idx3", "idx1")
        .replace("idx4", "idx1");
    let candidates = [labels.clone(), format!("{labels}.gz")].map(|n| images.with_file_name(n));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| DataError::Columns {
        path: images.into(),
        reason: format!("its labels are missing: {labels} is not beside it"),
    })
}

impl Idx {
    fn open(path: &Path) -> Result<Self, DataError> {
        let torn = |reason: &str| DataError::Torn {
            path: path.into(),
            reason: reason.into(),
        };
        let file = spool::open(path)?;
        let begin = file.read_at(0, file.len().min(20) as usize);
        let begin = begin.map_err(|source| DataError::Io {
            path: path.into(),
            source,
        })?;
        let [0, 0, kind, rank, rest @ ..] = &begin[..] else {
            return Err(torn("it does not begin as an idx file"));
        };
        if *kind != 8 {
            return Err(DataError::Columns {
                path: path.into(),
                reason: format!("its numbers are of type {kind:#x}; bytes (0x8) are read"),
            });
        }
        let sizes = rest.as_chunks::<4>().0.iter().take(usize::from(*rank));
        let sizes: Vec<u64> = sizes.map(|&size| u32::from_be_bytes(size).into()).collect();
        let start = 4 + 4 * u64::from(*rank);
        let product = sizes
            .iter()
            .try_fold(1u64, |all, &size| all.checked_mul(size));
        let whole = product.and_then(|bytes| bytes.checked_add(start));
        if sizes.len() != usize::from(*rank) || sizes.is_empty() || whole != Some(file.len()) {
            return Err(torn(
                "its length is not that of the numbers that it announces",
            ));
        }
        if product == Some(0) {
            return Err(torn("it holds nothing"));
        }
        Ok(Self {
            path: path.into(),
            file,
            sizes,
            start,
        })
    }

    /// Puts labels, a byte each, behind others.
    fn append(&self, labels: &mut Vec<u32>) -> Result<(), DataError> {
        labels.reserve_exact(self.sizes[0] as usize);
        let mut at = self.start;
        while at < self.file.len() {
            let len = (self.file.len() - at).min(PIECE);
            let bytes = self.file.read_at(at, len as usize);
            let bytes = bytes.map_err(|source| DataError::Io {
                path: self.path.clone(),
                source,
            })?;
            labels.extend(bytes.into_iter().map(u32::from));
            at += len;
        }
        Ok(())
    }

    /// `[N, H, W]` is grey, and `[N, H, W, 3]` in colour.
    fn form(&self) -> Result<Form, DataError> {
        let (height, width, channels) = match self.sizes[..] {
            [_, height, width] => (height, width, 1),
            [_, height, width, channels @ (1 | 3)] => (height, width, channels),
            _ => {
                return Err(DataError::Columns {
                    path: self.path.clone(),
                    reason: format!(
                        "it is an array of {:?}, and images are [N, H, W] or [N, H, W, 3]",
                        self.sizes
                    ),
                });
            }
        };
        Ok(Form {
            width: width as usize,
            height: height as usize,
            channels: channels as usize,
            planes: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_mnist_are_known_by_their_names() {
        let names = [
            "t10k-images-idx3-ubyte.gz",
            "train-images-idx3-ubyte",
            "train-images-idx3-ubyte.gz",
            "train-labels-idx1-ubyte",
        ];
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let found = images(Path::new("d"), &names);
        let expected = ["d/t10k-images-idx3-ubyte.gz", "d/train-images-idx3-ubyte"];
        assert_eq!(found, expected.map(PathBuf::from));
    }
}
