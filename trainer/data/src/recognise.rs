//! Which layout lies in a path.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::cifar10::{self, Cifar10};
use super::class_folders::ClassFolders;
use super::error::counted;
use super::parquet::ParquetFiles;
use super::records::Found;
use super::renamed::Renamed;
use super::webdataset::TarShards;
use super::{DataError, DataRecipe, Warning};

/// Finds out what lies in `path` and lists its images, without decoding any.
///
/// A folder with `data_batch_1.bin` and the like is CIFAR-10; one with `.tar` files, or such a file, is tar shards; one
/// with `.parquet` files, also in a folder `data` inside, or such a file, is Parquet; any other folder is class folders.
/// `name-{000000..000009}.tar` is the shards of these numbers.
/// Classes are then called as `class_names` of the recipe has it.
pub fn recognise(
    path: &Path,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    recipe.validate()?;
    let mut found = by_layout(path, recipe, report)?;
    if !recipe.class_names.is_empty() {
        found.records = Box::new(Renamed::new(found.records, &recipe.class_names)?);
    }
    Ok(found)
}

fn by_layout(
    path: &Path,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    if let Some(shards) = numbered_shards(path) {
        return tar_shards(path, &shards, recipe, report);
    }
    let kind = fs::metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => DataError::NotFound { path: path.into() },
        _ => io_error(path, source),
    })?;
    if !kind.is_dir() {
        let file = [path.to_path_buf()];
        return match extension(path).as_str() {
            "tar" => tar_shards(path, &file, recipe, report),
            "parquet" => parquet(path, &file, recipe, report),
            _ => Err(DataError::NotADataSet { path: path.into() }),
        };
    }

    let names = file_names(path)?;
    let with = |wanted: &str| -> Vec<PathBuf> {
        let files = names.iter().map(|name| path.join(name));
        files.filter(|file| extension(file) == wanted).collect()
    };
    let batches: Vec<String> = names
        .iter()
        .filter(|n| cifar10::is_batch(n))
        .cloned()
        .collect();
    let (shards, mut tables) = (with("tar"), with("parquet"));
    if tables.is_empty() {
        // As repositories on the Hugging Face hub are laid out.
        let inner = path.join("data");
        if inner.is_dir() {
            let names = file_names(&inner)?.into_iter().map(|name| inner.join(name));
            tables = names.filter(|file| extension(file) == "parquet").collect();
        }
    }
    let kinds: Vec<&'static str> = [
        ("CIFAR-10 batches", !batches.is_empty()),
        (".tar shards", !shards.is_empty()),
        (".parquet files", !tables.is_empty()),
    ]
    .into_iter()
    .filter_map(|(kind, there)| there.then_some(kind))
    .collect();
    if let [one, other, ..] = kinds[..] {
        return Err(DataError::Ambiguous {
            path: path.into(),
            one,
            other,
        });
    }

    if !batches.is_empty() {
        let records = Cifar10::open(path, &batches, &recipe.split, report)?;
        let count = records.batches();
        return Ok(Found {
            description: format!(
                "{count} binary {} of CIFAR-10",
                if count == 1 { "batch" } else { "batches" }
            ),
            records: Box::new(records),
        });
    }
    if !shards.is_empty() {
        return tar_shards(path, &shards, recipe, report);
    }
    if !tables.is_empty() {
        return parquet(
            path,
            &of_split(path, tables, &recipe.split)?,
            recipe,
            report,
        );
    }
    only_part(path, recipe)?;
    Ok(Found {
        description: "class folders".into(),
        records: Box::new(ClassFolders::scan(path, report)?),
    })
}

fn tar_shards(
    path: &Path,
    shards: &[PathBuf],
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    only_part(path, recipe)?;
    Ok(Found {
        description: counted(shards.len(), "tar shard"),
        records: Box::new(TarShards::index(path, shards, recipe, report)?),
    })
}

fn parquet(
    path: &Path,
    files: &[PathBuf],
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    let records = ParquetFiles::open(path, files, recipe, report)?;
    Ok(Found {
        description: format!(
            "{} with images in {} and labels in {}",
            counted(files.len(), "Parquet file"),
            records.image_column(),
            records.label_column()
        ),
        records: Box::new(records),
    })
}

/// Refuses to look for parts where there are none.
fn only_part(path: &Path, recipe: &DataRecipe) -> Result<(), DataError> {
    if recipe.split != "train" {
        return Err(DataError::Setting(format!(
            "split is \"{}\", and {} is not a data set of parts; --data names the part itself",
            recipe.split,
            path.display()
        )));
    }
    Ok(())
}

/// The Parquet files of a part. The hub names them `train-00000-of-00002.parquet`; where no name says which part it is,
/// all of them are the training part.
fn of_split(path: &Path, files: Vec<PathBuf>, split: &str) -> Result<Vec<PathBuf>, DataError> {
    const PARTS: [&str; 3] = ["train", "validation", "test"];
    let begins = |file: &PathBuf, part: &str| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let rest = name.strip_prefix(part).map(str::to_owned);
        rest.is_some_and(|rest| rest.starts_with(['-', '.', '_']))
    };
    let found: Vec<PathBuf> = files.iter().filter(|f| begins(f, split)).cloned().collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let named = |file: &PathBuf| PARTS.iter().any(|part| begins(file, part));
    if split == "train" && !files.iter().any(named) {
        return Ok(files);
    }
    let names = files.iter().map(|file| {
        let name = file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    });
    Err(DataError::NoSplit {
        path: path.into(),
        split: split.into(),
        found: names.collect(),
    })
}

/// `DIR/name-{000000..000009}.tar` as the ten files that it stands for.
fn numbered_shards(path: &Path) -> Option<Vec<PathBuf>> {
    let name = path.file_name()?.to_str()?;
    let (before, rest) = name.split_once('{')?;
    let (range, after) = rest.split_once('}')?;
    let (first, last) = range.split_once("..")?;
    if path.exists() || !after.ends_with(".tar") || first.len() > 9 || last.len() > 9 {
        return None;
    }
    let numbers = first.parse::<u32>().ok()?..=last.parse::<u32>().ok()?;
    let width = first.len();
    let shard = |k| path.with_file_name(format!("{before}{k:0width$}{after}"));
    (!numbers.is_empty()).then(|| numbers.map(shard).collect())
}

/// The names of the files in a folder, sorted; hidden ones do not count.
fn file_names(dir: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| io_error(dir, source))? {
        let entry = entry.map_err(|source| io_error(dir, source))?;
        let name = entry.file_name();
        if let Some(name) = name.to_str().filter(|name| !name.starts_with('.'))
            && !entry.path().is_dir()
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_ascii_lowercase()
}

fn io_error(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io {
        path: path.into(),
        source,
    }
}

/// Warns of classes that are named and never shown.
pub fn report_classes_without_images(
    classes: &[String],
    labels: &[u32],
    report: &mut dyn FnMut(Warning),
) {
    let mut shown = vec![false; classes.len()];
    for &label in labels {
        shown[label as usize] = true;
    }
    let mut missing = classes
        .iter()
        .zip(shown)
        .filter_map(|(class, shown)| (!shown).then_some(class));
    if let Some(example) = missing.next() {
        report(Warning::ClassesWithoutImages {
            count: 1 + missing.count(),
            example: example.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_number_shards() {
        let shards = numbered_shards(Path::new("/x/a-{008..011}.tar")).unwrap();
        let names: Vec<_> = shards.iter().map(|s| s.to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "/x/a-008.tar",
                "/x/a-009.tar",
                "/x/a-010.tar",
                "/x/a-011.tar"
            ]
        );
        for no in [
            "/x/a.tar",
            "/x/{a..b}.tar",
            "/x/{3..1}.tar",
            "/x/{1..2}.png",
        ] {
            assert_eq!(numbered_shards(Path::new(no)), None, "{no}");
        }
    }

    #[test]
    fn a_part_is_chosen_by_the_beginning_of_the_name() {
        let files = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(PathBuf::from).collect() };
        let hub = files(&[
            "test-00000-of-00001.parquet",
            "train-00000-of-00001.parquet",
        ]);
        let chosen = |all: &[PathBuf], split| of_split(Path::new("x"), all.to_vec(), split);
        assert_eq!(chosen(&hub, "train").unwrap(), hub[1..]);
        assert_eq!(chosen(&hub, "test").unwrap(), hub[..1]);
        assert!(chosen(&hub, "validation").is_err());
        let plain = files(&["0000.parquet", "trained.parquet"]);
        assert_eq!(chosen(&plain, "train").unwrap(), plain);
        assert!(chosen(&hub[..1], "train").is_err());
    }
}
