//! What can be wrong with a data set: errors that stop the loading, and warnings that do not.

use std::{fmt, io, path::PathBuf};

use thiserror::Error;

/// How a data set must lie on disk, for error messages.
const LAYOUT: &str = "expected one sub-folder for each class, such as DIR/cats/1.png and DIR/dogs/1.jpg, or .zip, .tar or .parquet files, CIFAR's batches, MNIST's idx files or .npz files";

/// Why a data set was not loaded.
#[derive(Debug, Error)]
pub enum DataError {
    /// There is nothing at the path.
    #[error("{} does not exist", .path.display())]
    NotFound {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The path is a file of no known kind.
    #[error("{} is a file, and neither a folder nor an archive (.zip, .tar, .tar.gz), a .parquet or an .npz file{}", .path.display(), unpack_hint(.path))]
    NotADataSet {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A folder holds files of more than one layout.
    #[error("{} holds {one} as well as {other}; put them in folders of their own", .path.display())]
    Ambiguous {
        /// The folder.
        path: PathBuf,
        /// One layout.
        one: &'static str,
        /// Another.
        other: &'static str,
    },
    /// The part of the data set that was asked for is not there.
    #[error("there is no part \"{split}\" in {}, which holds {}; --set data.split=… chooses another", .path.display(), list(.found))]
    NoSplit {
        /// The folder.
        path: PathBuf,
        /// The part.
        split: String,
        /// The files that there are.
        found: Vec<String>,
    },
    /// A file that was cut off or damaged.
    #[error("{}", torn(.path, .reason))]
    Torn {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A label that is no class.
    #[error("{name} has the label {label:?}, and there are {classes} classes")]
    Label {
        /// The image.
        name: String,
        /// Its label.
        label: String,
        /// How many classes there are.
        classes: usize,
    },
    /// The columns of a file, or the members of an archive, that hold images or labels were not found.
    #[error("{}: {reason}", .path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// What is missing, and how to name it.
        reason: String,
    },
    /// Files of one data set that do not belong together.
    #[error("{} and {} do not belong to one data set: {reason}", .one.display(), .other.display())]
    Mixed {
        /// One file.
        one: PathBuf,
        /// Another.
        other: PathBuf,
        /// What differs.
        reason: String,
    },
    /// No image has a label.
    #[error("none of {total} images in {} has a label{}", .path.display(), beside_hint(.beside))]
    NoLabels {
        /// The data set.
        path: PathBuf,
        /// The number of its images.
        total: usize,
        /// The extensions of what lies beside the first of them.
        beside: Vec<String>,
    },
    /// The system gives no threads.
    #[error("cannot start the threads that decode images: {0}")]
    Threads(String),
    /// A compressed file could not be unpacked.
    #[error("cannot unpack {} into a temporary file", .path.display())]
    Temporary {
        /// The compressed file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file or folder could not be read.
    #[error("cannot read {}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The folder has no sub-folder.
    #[error("{} has no class folders: it holds {found}; {}", .path.display(), layout_hint(*.flat))]
    NoClasses {
        /// The data set's folder.
        path: PathBuf,
        /// What it holds instead.
        found: String,
        /// Whether the images' names seem to begin with their classes.
        flat: bool,
    },
    /// A class folder whose name cannot be a class name.
    #[error("the folder {} has a name that is not valid Unicode; rename it, since folder names are class names", .path.display())]
    ClassName {
        /// The class folder.
        path: PathBuf,
    },
    /// A class folder without an image.
    #[error("class \"{class}\" is empty: {} holds {found}, and images are wanted (PNG, JPEG, WebP, GIF, BMP, TIFF); add some or remove the folder", .path.display())]
    EmptyClass {
        /// The class.
        class: String,
        /// Its folder.
        path: PathBuf,
        /// What it holds instead.
        found: String,
    },
    /// A class folder with images of which none can be read.
    #[error(
        "none of the {total} images of class \"{class}\" can be read; the first, {first}: {reason}"
    )]
    ClassUnreadable {
        /// The class.
        class: String,
        /// The number of its images.
        total: usize,
        /// Its first image.
        first: String,
        /// What is wrong with that one.
        reason: String,
    },
    /// More than half of all images cannot be read: this is no accident of one file.
    #[error("{unreadable} of {total} images cannot be read; the first, {first}: {reason}")]
    TooManyUnreadable {
        /// The number of images that cannot be read.
        unreadable: usize,
        /// The number of images.
        total: usize,
        /// The first of them.
        first: String,
        /// What is wrong with that one.
        reason: String,
    },
    /// The images do not fit in memory at the size that the transform asks for.
    #[error(
        "{total} images of {size}×{size} with {channels} channels do not fit in memory; choose a smaller size"
    )]
    TooLarge {
        /// The number of images.
        total: usize,
        /// Their size in pixels.
        size: usize,
        /// Their channels.
        channels: usize,
    },
    /// A class that was to have another name and that the data do not have.
    #[error("data.class_names has \"{class}\", and no class is called so; there are {}", list(.found))]
    NoSuchClass {
        /// The class that is missing.
        class: String,
        /// The classes of the data.
        found: Vec<String>,
    },
    /// Two classes of one name.
    #[error(
        "classes {one} and {other} are both called \"{name}\", and a class is asked for by its name; --set data.class_names=\"{{ {other} = '{name} 2' }}\" renames the second"
    )]
    SameName {
        /// The name.
        name: String,
        /// The id of the first of them.
        one: usize,
        /// And of the second.
        other: usize,
    },
    /// A setting that has no meaning.
    #[error("bad data setting: {0}")]
    Setting(String),
}

/// Something about a data set that is worth a line but does not stop the loading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// An image, or a folder inside a class folder, was skipped.
    Unreadable {
        /// The file, folder or record.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Images that lie beside the class folders, not in one, are left out.
    OutsideClasses {
        /// The data set's folder.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// Files that are no images by their name are left out.
    OtherFiles {
        /// How many, in all class folders together.
        count: usize,
        /// The first of them.
        example: PathBuf,
    },
    /// Images that have no label are left out.
    Unlabelled {
        /// How many.
        count: usize,
        /// The first of them.
        example: String,
    },
    /// Classes that are named but never shown: the model will not learn them.
    ClassesWithoutImages {
        /// How many.
        count: usize,
        /// The first of them.
        example: String,
    },
    /// Numbers that were taken for places in the list of classes are names in it, too, of other classes.
    PlacesLookLikeNames {
        /// One of them.
        label: String,
    },
    /// Samples of which no member is an image of a kind that is read.
    NoImage {
        /// How many.
        count: usize,
        /// The first of them.
        example: String,
        /// What its members end in, as far as they are no labels; empty where there are labels alone.
        extension: String,
    },
    /// The "classes" are called train, val, test: most likely the folder of one of them was meant.
    LooksLikeSplits {
        /// The data set's folder.
        path: PathBuf,
        /// The name of the sub-folder that was most likely meant.
        meant: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { name, reason } => write!(f, "skipped {name}: {reason}"),
            Self::Unlabelled { count, example } => write!(
                f,
                "left out {} without a label, such as {example}",
                counted(*count, "image")
            ),
            Self::ClassesWithoutImages { count, example } => {
                let classes = match count {
                    1 => "1 class has".to_owned(),
                    n => format!("{n} classes have"),
                };
                write!(f, "{classes} no image, such as \"{example}\"")
            }
            Self::OutsideClasses { path, count } => {
                write!(
                    f,
                    "left out {} directly in {}, outside any class folder",
                    counted(*count, "image"),
                    path.display()
                )
            }
            Self::OtherFiles { count, example } => {
                let files = counted(*count, "file");
                write!(
                    f,
                    "left out {files} not named .png, .jpg, .webp, .gif, .bmp or .tif, such as {}",
                    example.display()
                )
            }
            Self::PlacesLookLikeNames { label } => write!(
                f,
                "the labels are taken for places in the list of classes, from 0; some classes are called like such numbers, as \"{label}\" is, and are not meant by them"
            ),
            Self::NoImage {
                count,
                example,
                extension,
            } => {
                let samples = counted(*count, "sample");
                let why = match extension.is_empty() {
                    true => "have no image".to_owned(),
                    false => format!(".{extension} is not read"),
                };
                write!(f, "left out {samples}: {why}, such as {example}")
            }
            Self::LooksLikeSplits { path, meant } => {
                let (path, meant_path) = (path.display(), path.join(meant));
                write!(
                    f,
                    "the class folders of {path} are named like parts of a data set; was {} meant?",
                    meant_path.display()
                )
            }
        }
    }
}

/// `1 image`, `2 images`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The first few of some names.
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".into(),
        [one, two, three, rest @ ..] if rest.len() > 1 => {
            format!("{one}, {two}, {three} and {} more", rest.len())
        }
        few => few.join(", "),
    }
}

/// What is wrong with a file; a stand-in for it says so by its first bytes.
fn torn(path: &std::path::Path, reason: &str) -> String {
    let path = path.display();
    match reason == LFS_POINTER {
        true => format!("{path}: {LFS_POINTER}"),
        false => format!("{path} is damaged or was not copied whole: {reason}"),
    }
}

/// What Git leaves in the place of a file where Git LFS is not installed.
pub(super) const LFS_POINTER: &str =
    "it is a Git LFS pointer and not the file itself; fetch it with `git lfs pull`";

/// How data must lie on disk, or how they seem to.
fn layout_hint(flat: bool) -> &'static str {
    match flat {
        true => {
            "if the class stands before the first underscore of each image's name, --set data.layout=flat reads it there"
        }
        false => LAYOUT,
    }
}

/// How labels are found in what lies beside images.
fn beside_hint(extensions: &[String]) -> String {
    match extensions.first() {
        None => String::new(),
        Some(first) => format!(
            "; beside the first lies .{}, and --set data.label_column={first} takes the text of .{first} as its class, or names the key in a .json",
            extensions.join(" and .")
        ),
    }
}

/// What to do with an archive that is not read as it is.
fn unpack_hint(path: &std::path::Path) -> &'static str {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match extension.as_str() {
        "gz" | "xz" | "zst" | "bz2" | "7z" | "rar" => "; unpack it first",
        _ => "",
    }
}
