//! Reading a folder of class folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use super::dataset_json::{self, DATASET_JSON};
use super::decode::is_image_extension;
use super::error::counted;
use super::labels::{Label, resolve};
use super::records::{Records, Stored};
use super::{Beside, DataError, Warning, names_file, recognise};

/// A data set on disk: a folder with one sub-folder for each class.
///
/// ```text
/// DIR/cats/tabby.png
/// DIR/cats/more/siamese.jpg
/// DIR/dogs/1.webp
/// ```
///
/// Sub-folders are sorted by name (byte by byte) and their names are the class names; class 0 is the first. Images lie
/// in a class folder at any depth, in any mixture of PNG, JPEG, WebP, GIF, BMP and TIFF, recognised by file name and then decoded by
/// content. Links are followed. Hidden files and folders (`.name`, and the `__MACOSX` that some archives carry) do not
/// count.
#[derive(Debug)]
pub struct ClassFolders {
    classes: Vec<String>,
    /// The class of each image, in the order of class and path.
    labels: Vec<u32>,
    /// What images have beside one class.
    beside: Beside,
    /// The file of each image.
    files: Vec<PathBuf>,
}

/// Images in a folder, at any depth, before it is known what their labels are.
pub struct Files {
    dir: PathBuf,
    files: Vec<PathBuf>,
    /// Their paths in the folder, with slashes.
    names: Vec<String>,
}

impl Files {
    /// Finds the images.
    pub fn find(dir: &Path) -> Result<Self, DataError> {
        let found = contents(dir, usize::MAX, &mut |path, source| {
            Err(DataError::Io { path, source })
        })?;
        let names = found.images.iter().map(|path| in_folder(dir, path));
        Ok(Self {
            dir: dir.into(),
            names: names.collect(),
            files: found.images,
        })
    }

    /// Their paths in the folder, with slashes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Those that have a label.
    pub fn chosen(self, labels: &[Option<Label>]) -> Self {
        let keep = |(place, _): &(usize, PathBuf)| labels[*place].is_some();
        let files = self.files.into_iter().enumerate().filter(keep);
        Self {
            files: files.map(|(_, file)| file).collect(),
            names: Vec::new(),
            dir: self.dir,
        }
    }

    /// Those that have a label, with it, and with a number where images have numbers. `names` are those of the classes, if
    /// something beside the labels gives them.
    pub fn labelled(
        self,
        labels: Vec<Option<Label>>,
        numbers: Option<Vec<Option<f64>>>,
        names: Option<Vec<String>>,
        report: &mut dyn FnMut(Warning),
    ) -> Result<ClassFolders, DataError> {
        let (mut found, mut files) = (Vec::new(), Vec::new());
        let (mut unlabelled, mut kept) = (Vec::new(), Vec::new());
        for (place, (path, label)) in self.files.into_iter().zip(labels).enumerate() {
            match label {
                Some(label) => {
                    found.push(label);
                    files.push(path);
                    kept.extend(numbers.as_ref().map(|all| all[place]));
                }
                None => unlabelled.push(path),
            }
        }
        report_unlabelled(&self.dir, files.is_empty(), &unlabelled, report)?;
        let name_of = |index: usize| files[index].display().to_string();
        let resolved = resolve(&found, names, &name_of, report)?;
        recognise::report_missing(&resolved, report);
        Ok(ClassFolders {
            classes: resolved.classes,
            labels: resolved.labels,
            beside: Beside {
                attributes: resolved.attributes,
                numbers: numbers.is_some().then_some(kept),
            },
            files,
        })
    }
}

/// What the folder of one class holds.
#[derive(Default)]
struct Contents {
    images: Vec<PathBuf>,
    others: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl ClassFolders {
    /// Finds the classes and their files without opening any.
    pub fn scan(dir: &Path, report: &mut dyn FnMut(Warning)) -> Result<Self, DataError> {
        let top = contents(dir, 1, &mut |path, source| {
            Err(DataError::Io { path, source })
        })?;
        if top.folders.is_empty() {
            return Err(DataError::NoClasses {
                path: dir.into(),
                found: describe(&top),
                flat: looks_flat(&top.images),
            });
        }
        if !top.images.is_empty() {
            report(Warning::OutsideClasses {
                path: dir.into(),
                count: top.images.len(),
            });
        }

        let mut classes = Vec::new();
        let mut labels = Vec::new();
        let mut files = Vec::new();
        let mut others = Vec::new();
        for folder in top.folders {
            let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
                return Err(DataError::ClassName { path: folder });
            };
            let inside = contents(&folder, usize::MAX, &mut |path, source| {
                report(Warning::Unreadable {
                    name: path.display().to_string(),
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
            labels.resize(labels.len() + inside.images.len(), id);
            files.extend(inside.images);
            others.extend(inside.others);
        }
        report_others(others, report);
        if let Some(meant) = split_name(&classes) {
            report(Warning::LooksLikeSplits {
                path: dir.into(),
                meant: meant.into(),
            });
        }
        Ok(Self {
            classes,
            labels,
            beside: Beside::default(),
            files,
        })
    }

    /// Finds images in one folder, at any depth, with the class before the first underscore of each name:
    /// `cat_0001.png`. Classes are sorted by name.
    pub fn flat(dir: &Path, report: &mut dyn FnMut(Warning)) -> Result<Self, DataError> {
        let found = contents(dir, usize::MAX, &mut |path, source| {
            Err(DataError::Io { path, source })
        })?;
        let mut by_class: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        let mut unlabelled = Vec::new();
        for path in found.images {
            match flat_class(&path) {
                Some(class) => by_class.entry(class.to_owned()).or_default().push(path),
                None => unlabelled.push(path),
            }
        }
        report_unlabelled(dir, by_class.is_empty(), &unlabelled, report)?;
        report_others(found.others, report);
        let (mut labels, mut files) = (Vec::new(), Vec::new());
        let mut classes = Vec::new();
        for (class, images) in by_class {
            labels.resize(labels.len() + images.len(), classes.len() as u32);
            files.extend(images);
            classes.push(class);
        }
        Ok(Self {
            classes,
            labels,
            beside: Beside::default(),
            files,
        })
    }

    /// Finds images in one folder, at any depth, whose classes stand in `dataset.json` in that folder.
    pub fn listed(dir: &Path, report: &mut dyn FnMut(Warning)) -> Result<Self, DataError> {
        let files = Files::find(dir)?;
        let list = dir.join(DATASET_JSON);
        let json = fs::read(&list).map_err(|source| DataError::Io {
            path: list.clone(),
            source,
        })?;
        let listed = dataset_json::labels(&json, files.names().iter().map(String::as_str));
        let listed = listed.map_err(|reason| DataError::Columns {
            path: list.clone(),
            reason,
        })?;
        files.labelled(listed, None, names_file::beside(&list)?, report)
    }
}

/// A path below a folder, with slashes.
fn in_folder(dir: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(dir).unwrap_or(path);
    let parts = inside
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    let parts: Vec<_> = parts.collect();
    parts.join("/")
}

/// Counts images without a label; that no image has one is an error.
fn report_unlabelled(
    dir: &Path,
    all: bool,
    unlabelled: &[PathBuf],
    report: &mut dyn FnMut(Warning),
) -> Result<(), DataError> {
    if all {
        return Err(DataError::NoLabels {
            path: dir.into(),
            total: unlabelled.len(),
            beside: Vec::new(),
        });
    }
    if let Some(example) = unlabelled.first() {
        report(Warning::Unlabelled {
            count: unlabelled.len(),
            example: example.display().to_string(),
        });
    }
    Ok(())
}

/// The class that a file's name begins with, up to its first underscore.
fn flat_class(path: &Path) -> Option<&str> {
    let (class, _) = path.file_name()?.to_str()?.split_once('_')?;
    (!class.is_empty()).then_some(class)
}

/// Whether images have names that begin with a class: all of them have one, and some share it.
fn looks_flat(images: &[PathBuf]) -> bool {
    let classes: Option<BTreeSet<&str>> = images.iter().map(|path| flat_class(path)).collect();
    classes.is_some_and(|classes| !classes.is_empty() && classes.len() < images.len())
}

fn report_others(mut others: Vec<PathBuf>, report: &mut dyn FnMut(Warning)) {
    if !others.is_empty() {
        report(Warning::OtherFiles {
            count: others.len(),
            example: others.swap_remove(0),
        });
    }
}

impl Records for ClassFolders {
    fn labels(&self) -> &[u32] {
        &self.labels
    }

    fn beside(&self) -> Beside {
        self.beside.clone()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        self.files[index].display().to_string()
    }

    fn stored_len(&self, index: usize) -> Option<u64> {
        fs::metadata(&self.files[index]).ok().map(|file| file.len())
    }

    fn read(&self, index: usize) -> Result<Stored, String> {
        fs::read(&self.files[index])
            .map(Stored::Encoded)
            .map_err(|error| error.to_string())
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

/// Whether the name says that this is an image of a kind that is read.
fn is_image_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    extension.is_some_and(is_image_extension)
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
