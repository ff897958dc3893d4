//! What lies in a folder, by the names of its files.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::arrays::pickled::{self, Set};
use super::arrays::{cifar, idx};
use super::dataset_json::DATASET_JSON;
use super::{DataError, celeba, json_lines};

/// What a file is by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tar file, also compressed, or a ZIP file.
    Archive,
    /// A Parquet file.
    Table,
    /// A NumPy archive.
    Arrays,
}

impl Kind {
    /// The kind of a file, if it is one of a data set.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match () {
            () if ends(&[".tar", ".tar.gz", ".tgz", ".zip"]) => Some(Self::Archive),
            () if ends(&[".npz"]) => Some(Self::Arrays),
            () if ends(&[".parquet"]) => Some(Self::Table),
            () => None,
        }
    }
}

/// The layouts of folders.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnDisk {
    /// CIFAR-10's binary batches.
    Cifar10,
    /// CIFAR-100's.
    Cifar100,
    /// MNIST's files.
    Idx,
    /// Pickled batches.
    Pickles(Set),
    /// NumPy's archives.
    Npz,
    /// Images that are listed with their classes.
    DatasetJson,
    /// CelebA's images and its list of attributes.
    CelebA,
    /// Images that are listed with their labels, a line each.
    JsonLines,
    /// Tar and ZIP files.
    Archives,
    /// Parquet files.
    Parquet,
    /// Folders of images.
    ClassFolders,
}

/// What lies in a folder.
pub struct Here {
    dir: PathBuf,
    /// The names of its files.
    pub names: Vec<String>,
    /// Parquet files, also those in a folder `data` inside, as repositories on the Hugging Face hub have them.
    pub tables: Vec<PathBuf>,
    folders: bool,
}

impl Here {
    /// Lists a folder.
    pub fn look(dir: &Path) -> Result<Self, DataError> {
        let (names, folders) = file_names(dir)?;
        let mut here = Self {
            dir: dir.into(),
            names,
            tables: Vec::new(),
            folders: !folders.is_empty(),
        };
        here.tables = here.of_kind(Kind::Table);
        let inner = dir.join("data");
        if here.tables.is_empty() && inner.is_dir() {
            let (names, _) = file_names(&inner)?;
            let files = names.into_iter().map(|name| inner.join(name));
            here.tables = files
                .filter(|file| Kind::of(file) == Some(Kind::Table))
                .collect();
        }
        Ok(here)
    }

    /// The files of a kind.
    pub fn of_kind(&self, kind: Kind) -> Vec<PathBuf> {
        let files = self.names.iter().map(|name| self.dir.join(name));
        files.filter(|file| Kind::of(file) == Some(kind)).collect()
    }

    /// Tar files; where there are none, compressed ones and ZIP files.
    pub fn archives(&self) -> Vec<PathBuf> {
        let all = self.of_kind(Kind::Archive);
        let plain = all.iter().filter(|file| extension(file) == "tar");
        let plain: Vec<PathBuf> = plain.cloned().collect();
        match plain.is_empty() {
            true => all,
            false => plain,
        }
    }

    /// Whether there is a list of images and their labels, and not another file of that name.
    fn lists_labels(&self) -> bool {
        let mut begins = Vec::new();
        let file = fs::File::open(self.dir.join(DATASET_JSON));
        let read = file.and_then(|file| file.take(1 << 16).read_to_end(&mut begins));
        read.is_ok() && begins.windows(8).any(|piece| piece == b"\"labels\"")
    }

    /// The one layout of which there are files; class folders where there is none. Compressed archives and NumPy's count
    /// only where nothing else is there, not even a folder: data often lie beside the archive that they came in.
    ///
    /// # Errors
    /// [`DataError::Ambiguous`] where there are files of two.
    pub fn layout(&self) -> Result<OnDisk, DataError> {
        let has = |fits: fn(&str) -> bool| self.names.iter().any(|name| fits(name));
        let found = [
            (OnDisk::Cifar10, "CIFAR-10 batches", has(cifar::is_batch)),
            (
                OnDisk::Cifar100,
                "CIFAR-100 batches",
                cifar::is_cifar100(&self.names),
            ),
            (OnDisk::Idx, "idx files", has(idx::is_images)),
            (OnDisk::DatasetJson, "a dataset.json", self.lists_labels()),
            (
                OnDisk::CelebA,
                celeba::LIST,
                has(|name| name == celeba::LIST),
            ),
            (
                OnDisk::JsonLines,
                json_lines::LIST,
                has(|name| name == json_lines::LIST),
            ),
            (
                OnDisk::Archives,
                "archives",
                self.archives().iter().any(|file| extension(file) == "tar"),
            ),
            (OnDisk::Parquet, ".parquet files", !self.tables.is_empty()),
        ];
        let pickles = pickled::set(&self.names);
        let pickles = pickles.map(|set| (OnDisk::Pickles(set), "pickled batches", true));
        let found = found.into_iter().chain(pickles);
        if let Some(layout) = self.only(found)? {
            return Ok(layout);
        }
        let packed = [
            (OnDisk::Archives, "archives", !self.archives().is_empty()),
            (
                OnDisk::Npz,
                ".npz files",
                !self.of_kind(Kind::Arrays).is_empty(),
            ),
        ];
        let packed = packed.into_iter().filter(|_| !self.folders);
        Ok(self.only(packed)?.unwrap_or(OnDisk::ClassFolders))
    }

    /// The only layout of these that is there.
    fn only(
        &self,
        layouts: impl Iterator<Item = (OnDisk, &'static str, bool)>,
    ) -> Result<Option<OnDisk>, DataError> {
        let mut found = layouts.filter(|(_, _, there)| *there);
        match (found.next(), found.next()) {
            (found, None) => Ok(found.map(|(layout, _, _)| layout)),
            (Some((_, one, _)), Some((_, other, _))) => Err(DataError::Ambiguous {
                path: self.dir.clone(),
                one,
                other,
            }),
            (None, Some(_)) => Ok(None),
        }
    }
}

/// The names of the files in a folder, and of the folders, sorted; hidden ones do not count.
fn file_names(dir: &Path) -> Result<(Vec<String>, Vec<String>), DataError> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir).map_err(|source| io_error(dir, source))? {
        let entry = entry.map_err(|source| io_error(dir, source))?;
        let name = entry.file_name();
        if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
            match entry.path().is_dir() {
                true => folders.push(name.to_owned()),
                false => files.push(name.to_owned()),
            }
        }
    }
    files.sort_unstable();
    folders.sort_unstable();
    Ok((files, folders))
}

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

/// What the system says of a path.
pub fn io_error(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io {
        path: path.into(),
        source,
    }
}
