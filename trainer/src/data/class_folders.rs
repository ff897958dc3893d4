//! Reading a folder of class folders.

use std::{
    fs::{self, File},
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use rayon::prelude::*;
use walkdir::WalkDir;

use super::{DataError, Dataset, Transform, Warning, error::counted};

/// A data set on disk: a folder with one sub-folder a class.
///
/// ```text
/// DIR/cats/tabby.png
/// DIR/cats/more/siamese.jpg
/// DIR/dogs/1.webp
/// ```
///
/// Sub-folders are sorted by name (byte by byte) and their names are the class names; class 0 is the first. Images lie
/// in a class folder at any depth, in any mixture of PNG, JPEG and WebP, recognised by file name and then decoded by
/// content. Links are followed. Hidden files and folders (`.name`, and the `__MACOSX` that some archives carry) do not
/// count.
#[derive(Debug)]
pub struct ClassFolders {
    classes: Vec<String>,
    /// Every image file with its class, in the order of class and path.
    files: Vec<(u32, PathBuf)>,
}

/// What the folder of one class holds.
#[derive(Default)]
struct Contents {
    images: Vec<PathBuf>,
    others: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl ClassFolders {
    /// Finds and decodes every image in `dir` and brings it to the form that `transform` describes, on all cores.
    ///
    /// What is wrong but can be skipped goes to `report`, in the order of the paths.
    ///
    /// # Errors
    /// If `dir` is no folder of class folders, a class is empty, more than half of all images or every image of a class
    /// cannot be read, the settings make no sense, or the memory does not suffice.
    pub fn load(
        dir: &Path,
        transform: &Transform,
        report: &mut dyn FnMut(Warning),
    ) -> Result<Dataset, DataError> {
        transform.validate()?;
        Self::scan(dir, report)?.decode(transform, report)
    }

    /// Finds the classes and their files without opening any.
    fn scan(dir: &Path, report: &mut dyn FnMut(Warning)) -> Result<Self, DataError> {
        match fs::metadata(dir) {
            Err(source) if source.kind() == io::ErrorKind::NotFound => {
                return Err(DataError::NotFound { path: dir.into() });
            }
            Err(source) => {
                return Err(DataError::Io {
                    path: dir.into(),
                    source,
                });
            }
            Ok(found) if !found.is_dir() => return Err(DataError::NotAFolder { path: dir.into() }),
            Ok(_) => {}
        }
        let top = contents(dir, 1, &mut |path, source| {
            Err(DataError::Io { path, source })
        })?;
        if top.folders.is_empty() {
            return Err(DataError::NoClasses {
                path: dir.into(),
                found: describe(&top),
            });
        }
        if !top.images.is_empty() {
            report(Warning::OutsideClasses {
                path: dir.into(),
                count: top.images.len(),
            });
        }

        let mut classes = Vec::new();
        let mut files = Vec::new();
        let mut others = Vec::new();
        for folder in top.folders {
            let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
                return Err(DataError::ClassName { path: folder });
            };
            let inside = contents(&folder, usize::MAX, &mut |path, source| {
                report(Warning::Unreadable {
                    path,
                    reason: source.to_string(),
                });
                Ok(())
            })?;
            if inside.images.is_empty() {
                return Err(DataError::EmptyClass {
                    class: name.into(),
                    found: describe(&inside),
                    path: folder,
                });
            }
            let id = classes.len() as u32;
            classes.push(name.to_owned());
            files.extend(inside.images.into_iter().map(|path| (id, path)));
            others.extend(inside.others);
        }
        if !others.is_empty() {
            report(Warning::OtherFiles {
                count: others.len(),
                example: others.swap_remove(0),
            });
        }
        if let Some(meant) = split_name(&classes) {
            report(Warning::LooksLikeSplits {
                path: dir.into(),
                meant: meant.into(),
            });
        }
        Ok(Self { classes, files })
    }

    /// Decodes every file. The result does not depend on how many threads there are.
    fn decode(
        self,
        transform: &Transform,
        report: &mut dyn FnMut(Warning),
    ) -> Result<Dataset, DataError> {
        let (total, len) = (self.files.len(), transform.image_len());
        let too_large = || DataError::TooLarge {
            total,
            size: transform.size as usize,
            channels: transform.channels as usize,
        };
        let mut images = Vec::new();
        let bytes = total.checked_mul(len).ok_or_else(too_large)?;
        images.try_reserve_exact(bytes).map_err(|_| too_large())?;
        images.resize(bytes, 0u8);

        let failures: Vec<Option<String>> = images
            .par_chunks_exact_mut(len)
            .zip(&self.files)
            .map(|(pixels, (_, path))| match read_image(path) {
                Ok(image) => {
                    pixels.copy_from_slice(&transform.apply(&image));
                    None
                }
                Err(reason) => Some(reason),
            })
            .collect();
        self.check(&failures)?;

        let mut labels = Vec::with_capacity(total);
        for (index, ((label, path), failure)) in self.files.into_iter().zip(failures).enumerate() {
            match failure {
                Some(reason) => report(Warning::Unreadable { path, reason }),
                None => {
                    // Close the gaps that skipped images leave.
                    images.copy_within(index * len..(index + 1) * len, labels.len() * len);
                    labels.push(label);
                }
            }
        }
        images.truncate(labels.len() * len);
        Ok(Dataset {
            images,
            labels,
            classes: self.classes,
            size: transform.size as usize,
            channels: transform.channels as usize,
        })
    }

    /// Whether what could be read is enough to be the data set that was meant.
    fn check(&self, failures: &[Option<String>]) -> Result<(), DataError> {
        let failed = || {
            failures
                .iter()
                .zip(&self.files)
                .filter_map(|(f, file)| f.as_ref().map(|reason| (file, reason)))
        };
        let unreadable = failed().count();
        if let Some(((_, path), reason)) = failed().next()
            && unreadable * 2 > failures.len()
        {
            let (first, reason) = (path.clone(), reason.clone());
            return Err(DataError::TooManyUnreadable {
                unreadable,
                total: failures.len(),
                first,
                reason,
            });
        }
        for (id, class) in self.classes.iter().enumerate() {
            let of_class = |label: u32| label as usize == id;
            let total = self
                .files
                .iter()
                .filter(|(label, _)| of_class(*label))
                .count();
            let mut failed = failed()
                .filter(|((label, _), _)| of_class(*label))
                .peekable();
            if let Some(((_, path), reason)) = failed.peek().copied()
                && failed.count() == total
            {
                let (first, reason) = (path.clone(), reason.clone());
                return Err(DataError::ClassUnreadable {
                    class: class.clone(),
                    total,
                    first,
                    reason,
                });
            }
        }
        Ok(())
    }
}

/// Lists what is in `dir`, to `depth` levels, sorted. What cannot be listed is handed to `failed`, which may go on.
fn contents(
    dir: &Path,
    depth: usize,
    failed: &mut dyn FnMut(PathBuf, io::Error) -> Result<(), DataError>,
) -> Result<Contents, DataError> {
    let walk = WalkDir::new(dir)
        .min_depth(1)
        .max_depth(depth)
        .follow_links(true)
        .sort_by_file_name();
    let mut found = Contents::default();
    for entry in walk
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.path()))
    {
        match entry {
            Ok(entry) => {
                let kind = entry.file_type();
                let list = match () {
                    () if kind.is_dir() => &mut found.folders,
                    () if is_image_name(entry.path()) => &mut found.images,
                    () => &mut found.others,
                };
                list.push(entry.into_path());
            }
            Err(error) => {
                let path = error.path().unwrap_or(dir).to_path_buf();
                match error.depth() {
                    // A link to nothing with the name of an image is an image that cannot be read.
                    1.. if error.loop_ancestor().is_none() && is_image_name(&path) => {
                        found.images.push(path)
                    }
                    _ => {
                        // The walker's own words name the path a second time.
                        let plain = error.io_error().map(|e| e.kind().into());
                        failed(path, plain.unwrap_or_else(|| error.into()))?
                    }
                }
            }
        }
    }
    Ok(found)
}

/// The most memory that the pixels of one file may take: a photograph of 170 megapixels.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Decodes one file, upright. The error is for people.
fn read_image(path: &Path) -> Result<DynamicImage, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    if reader.format().is_none() {
        return Err("not a PNG, JPEG or WebP image".into());
    }
    let decode = || {
        let mut decoder = reader.into_decoder()?;
        // A file of a hundred bytes may claim to be a picture of gigabytes.
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        limits.reserve(decoder.total_bytes())?;
        decoder.set_limits(limits)?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok::<_, image::ImageError>(image)
    };
    let image = decode().map_err(|error| error.to_string())?;
    if image.width() == 0 || image.height() == 0 {
        return Err("the image has no pixels".into());
    }
    Ok(image)
}

/// Whether the name says that this is an image of a kind that is read.
fn is_image_name(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    ["png", "jpg", "jpeg", "jpe", "jfif", "webp"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".") || name == "__MACOSX"
}

/// "3 images (a.png, …)", "2 other files (a.txt, …)" or "nothing".
fn describe(found: &Contents) -> String {
    let part = |paths: &[PathBuf], noun: &str| {
        let name = paths.first()?.file_name()?.to_string_lossy();
        let more = if paths.len() > 1 { ", …" } else { "" };
        Some(format!("{} ({name}{more})", counted(paths.len(), noun)))
    };
    let images = part(&found.images, "image");
    let others = part(
        &found.others,
        if images.is_some() {
            "other file"
        } else {
            "file"
        },
    );
    match (images, others) {
        (Some(images), Some(others)) => format!("{images} and {others}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) if !found.folders.is_empty() => "only folders without files".into(),
        (None, None) => "nothing".into(),
    }
}

/// The sub-folder to train on, where all "classes" are named like the parts that data sets are split into.
fn split_name(classes: &[String]) -> Option<&str> {
    let is_part = |name: &String| {
        [
            "train",
            "training",
            "val",
            "valid",
            "validation",
            "test",
            "testing",
        ]
        .contains(&name.to_lowercase().as_str())
    };
    let train = classes
        .iter()
        .find(|name| name.to_lowercase().starts_with("train"))?;
    classes.iter().all(is_part).then_some(train)
}

#[cfg(test)]
#[path = "class_folders_tests.rs"]
mod tests;
