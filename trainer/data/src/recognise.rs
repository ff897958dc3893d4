//! Which layout lies in a path.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::archives::Archives;
use super::arrays::pickled::Set;
use super::arrays::{Arrays, cifar, idx, npz, pickled, table};
use super::class_folders::ClassFolders;
use super::error::counted;
use super::here::{Here, Kind, OnDisk, io_error};
use super::labels::Resolved;
use super::parquet::ParquetFiles;
use super::parts::{Part, of_split};
use super::recipe::Layout;
use super::records::Found;
use super::renamed::Renamed;
use super::{DataError, DataRecipe, Warning, celeba, json_lines, parts};

/// Finds out what lies in `path` and lists its images, without decoding any.
///
/// docs/DATA.md says by which files a layout is known; a folder of none of them is class folders.
/// `name-{000000..000009}.tar` is the shards of these numbers.
/// Where the files' names say which part of a set they are, those of `split` are taken. Classes are then called as
/// `class_names` of the recipe has it; no two may have one name.
pub fn recognise(
    path: &Path,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    recipe.validate()?;
    let mut found = by_layout(path, recipe, report)?;
    found.records = Box::new(Renamed::new(found.records, &recipe.class_names)?);
    Ok(found)
}

fn by_layout(
    path: &Path,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    if let Some(shards) = numbered_shards(path) {
        return archives(path, Part::whole(shards), recipe, report);
    }
    let kind = fs::metadata(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => DataError::NotFound { path: path.into() },
        _ => io_error(path, source),
    })?;
    if !kind.is_dir() {
        let file = Part::whole(vec![path.to_path_buf()]);
        return match Kind::of(path) {
            Some(Kind::Archive) => archives(path, file, recipe, report),
            Some(Kind::Table) => parquet(path, file, recipe, report),
            Some(Kind::Arrays) => npz(path, file, recipe, report),
            None => Err(DataError::NotADataSet { path: path.into() }),
        };
    }
    if recipe.layout == Layout::Flat {
        only_part(path, recipe)?;
        return Ok(Found {
            description: "images with their classes in their names".into(),
            records: Box::new(ClassFolders::flat(path, report)?),
        });
    }
    let here = Here::look(path)?;
    match here.layout()? {
        OnDisk::Cifar10 => arrays(cifar::cifar10(path, &here.names, recipe, report)?),
        OnDisk::Cifar100 => arrays(cifar::cifar100(path, &here.names, recipe, report)?),
        OnDisk::Idx => {
            let part = of_split(path, idx::images(path, &here.names), &recipe.split)?;
            arrays(idx::open(path, &part, report)?)
        }
        OnDisk::Pickles(set) => pickles(path, set, &here, recipe, report),
        OnDisk::Npz => {
            let files = here.of_kind(Kind::Arrays);
            // Where files are of no part, the names of their arrays may be.
            let named = |file: &PathBuf| {
                let name = file.file_name().unwrap_or_default();
                parts::part_of(&name.to_string_lossy()).is_some()
            };
            let part = match files.iter().any(named) {
                true => of_split(path, files, &recipe.split)?,
                false => Part::whole(files),
            };
            npz(path, part, recipe, report)
        }
        OnDisk::DatasetJson => {
            only_part(path, recipe)?;
            Ok(Found {
                description: "images with their classes in dataset.json".into(),
                records: Box::new(ClassFolders::listed(path, report)?),
            })
        }
        OnDisk::CelebA => Ok(Found {
            description: format!("images with their attributes in {}", celeba::LIST),
            records: Box::new(celeba::open(path, &here.names, recipe, report)?),
        }),
        OnDisk::JsonLines => {
            only_part(path, recipe)?;
            Ok(Found {
                description: format!("images with their labels in {}", json_lines::LIST),
                records: Box::new(json_lines::open(path, recipe, report)?),
            })
        }
        OnDisk::Archives => {
            let part = of_split(path, here.archives(), &recipe.split)?;
            archives(path, part, recipe, report)
        }
        OnDisk::Parquet => {
            let part = of_split(path, here.tables, &recipe.split)?;
            parquet(path, part, recipe, report)
        }
        OnDisk::ClassFolders => {
            only_part(path, recipe)?;
            Ok(Found {
                description: "class folders".into(),
                records: Box::new(ClassFolders::scan(path, report)?),
            })
        }
    }
}

fn arrays(records: Arrays) -> Result<Found, DataError> {
    Ok(Found {
        description: records.description().to_owned(),
        records: Box::new(records),
    })
}

fn npz(
    path: &Path,
    part: Part,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    let tables = part.files.iter().map(|file| npz::open(file));
    let tables = tables.collect::<Result<_, _>>()?;
    let noun = "NumPy archive";
    arrays(table::open(
        path, &part, tables, noun, None, recipe, report,
    )?)
}

fn pickles(
    path: &Path,
    set: Set,
    here: &Here,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    let batches = set.batches(path, &here.names);
    let split = &recipe.split;
    let part = parts::chosen(path, batches, split, &|batch| set.is_of(batch, split))?;
    let tables = part.files.iter().map(|file| pickled::open(file));
    let tables = tables.collect::<Result<_, _>>()?;
    let classes = set.classes(path, recipe)?;
    let noun = format!("pickled batch of {}", set.name());
    arrays(table::open(
        path, &part, tables, &noun, classes, recipe, report,
    )?)
}

fn archives(
    path: &Path,
    part: Part,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    let records = Archives::index(path, &part.files, recipe, report)?;
    Ok(Found {
        description: format!("{}{}", records.description(), part.note()),
        records: Box::new(records),
    })
}

fn parquet(
    path: &Path,
    part: Part,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Found, DataError> {
    let records = ParquetFiles::open(path, &part.files, recipe, report)?;
    Ok(Found {
        description: format!(
            "{}{} with images in {} and labels in {}",
            counted(part.files.len(), "Parquet file"),
            part.note(),
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

/// Warns of classes, or of attributes, that are named and never shown.
pub fn report_missing(resolved: &Resolved, report: &mut dyn FnMut(Warning)) {
    let labels = match &resolved.attributes {
        Some(attributes) => attributes.all(),
        None => &resolved.labels,
    };
    report_classes_without_images(&resolved.classes, labels, report);
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
}
