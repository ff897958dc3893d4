//! Data sets that come in parts: which files are for training.

use std::path::{Path, PathBuf};

use super::DataError;
use super::error::list;

/// What people call the parts, each with its name in `data.split` first.
const PARTS: [&[&str]; 3] = [
    &["train", "training"],
    &["validation", "val", "valid", "dev"],
    &["test", "testing", "t10k"],
];

/// The files of a part.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Its files.
    pub files: Vec<PathBuf>,
    /// The files of other parts, and of none.
    left_out: Vec<String>,
    split: String,
}

/// The files of the part that `split` names. Names say it anywhere between delimiters: `train-00000-of-00002.parquet`,
/// `mnist_train.parquet`, `set-val-000000.tar`. Where no name says which part it is, all files are the training part.
///
/// # Errors
/// [`DataError::NoSplit`] where there is no such part.
pub fn of_split(path: &Path, files: Vec<PathBuf>, split: &str) -> Result<Part, DataError> {
    let wanted = |file: &Path| is_of(&name(file), split);
    let any = |fits: &dyn Fn(&Path) -> bool| files.iter().any(|file| fits(file));
    let named = any(&|file| part_of(&name(file)).is_some());
    match split == "train" && !named && !any(&wanted) {
        true => Ok(Part::whole(files)),
        false => chosen(path, files, split, &wanted),
    }
}

/// The files that are of the part `split`, as `is_wanted` says.
pub fn chosen(
    path: &Path,
    files: Vec<PathBuf>,
    split: &str,
    is_wanted: &dyn Fn(&Path) -> bool,
) -> Result<Part, DataError> {
    let wanted = files.iter().filter(|file| is_wanted(file));
    let found: Vec<PathBuf> = wanted.cloned().collect();
    if found.is_empty() {
        return Err(DataError::NoSplit {
            path: path.into(),
            split: split.into(),
            found: files.iter().map(|file| name(file)).collect(),
        });
    }
    let left_out = files.iter().filter(|file| !is_wanted(file));
    Ok(Part {
        left_out: left_out.map(|file| name(file)).collect(),
        files: found,
        split: split.into(),
    })
}

impl Part {
    /// Files that are all of a data set.
    pub fn whole(files: Vec<PathBuf>) -> Self {
        Self {
            files,
            left_out: Vec::new(),
            split: String::new(),
        }
    }

    /// What to say of it behind the number of files: nothing where it is all that there is.
    pub fn note(&self) -> String {
        match self.left_out.is_empty() {
            true => String::new(),
            false => format!(
                " of the part \"{}\" (not {})",
                self.split,
                list(&self.left_out)
            ),
        }
    }
}

/// The part that a name says, as `data.split` calls it. Of a name that says more than one, the first.
pub fn part_of(name: &str) -> Option<&'static str> {
    tokens(name).find_map(|token| {
        let part = PARTS.iter().find(|part| part.contains(&token.as_str()));
        part.map(|part| part[0])
    })
}

/// Whether a name is that of the part `split`, which may be one that only these files know: `extra`.
pub fn is_of(name: &str, split: &str) -> bool {
    let split = split.to_ascii_lowercase();
    let known = PARTS.iter().find(|part| part.contains(&split.as_str()));
    match known {
        Some(part) => part_of(name) == Some(part[0]),
        None => part_of(name).is_none() && tokens(name).any(|token| token == split),
    }
}

/// What stands between delimiters, in lower case.
fn tokens(name: &str) -> impl Iterator<Item = String> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .map(str::to_ascii_lowercase)
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[track_caller]
    fn names_of(all: &[&str], split: &str) -> Vec<String> {
        let part = of_split(Path::new("x"), files(all), split).unwrap();
        part.files.iter().map(|file| name(file)).collect()
    }

    #[test]
    fn a_part_is_chosen_by_what_stands_between_delimiters() {
        let hub = [
            "test-00000-of-00001.parquet",
            "train-00000-of-00001.parquet",
        ];
        assert_eq!(names_of(&hub, "train"), hub[1..]);
        assert_eq!(names_of(&hub, "test"), hub[..1]);
        for (train, other, split) in [
            ("mnist_train.parquet", "mnist_test.parquet", "test"),
            ("set-train-000000.tar", "set-val-000000.tar", "validation"),
            ("a.training.tar", "a.testing.tar", "test"),
            ("TRAIN.parquet", "DEV.parquet", "validation"),
            ("0-train.parquet", "0-valid.parquet", "val"),
            ("x_train_1.parquet", "x_validation_1.parquet", "validation"),
            ("train_32x32.parquet", "extra_32x32.parquet", "extra"),
        ] {
            assert_eq!(names_of(&[train, other], "train"), [train]);
            assert_eq!(names_of(&[train, other], split), [other]);
        }
    }

    #[test]
    fn without_parts_all_files_are_for_training() {
        let plain = ["0000.parquet", "trained.parquet", "latest.parquet"];
        assert_eq!(names_of(&plain, "train"), plain);
        let refused = |all: &[&str], split| of_split(Path::new("x"), files(all), split).is_err();
        assert!(refused(&plain, "test"));
        assert!(refused(&["set-val-0.tar"], "train"));
        assert!(refused(&["train-0.tar", "test-0.tar"], "validation"));
    }

    #[test]
    fn what_was_left_out_is_named() {
        let all = files(&["a_train.parquet", "a_test.parquet"]);
        let part = of_split(Path::new("x"), all.clone(), "train").unwrap();
        assert_eq!(part.note(), " of the part \"train\" (not a_test.parquet)");
        let part = of_split(Path::new("x"), all[..1].to_vec(), "train").unwrap();
        assert_eq!(part.note(), "");
    }
}
