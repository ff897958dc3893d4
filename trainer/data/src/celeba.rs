//! CelebA (Liu et al. 2015, "Deep Learning Face Attributes in the Wild") as it is served: a folder of images, and a table of
//! attributes.
//!
//! ```text
//! DIR/img_align_celeba/000001.jpg …
//! DIR/list_attr_celeba.txt            202599
//!                                     5_o_Clock_Shadow Arched_Eyebrows …
//!                                     000001.jpg -1  1 …
//! DIR/list_eval_partition.txt         000001.jpg 0
//! ```
//!
//! 1 says that an image has an attribute. The partition, where it is there, says which part an image belongs to: 0 is for
//! training, 1 for validation and 2 for tests.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::class_folders::{ClassFolders, Files};
use super::here::io_error;
use super::labels::Label;
use super::{DataError, DataRecipe, Warning};

/// The table of attributes.
pub const LIST: &str = "list_attr_celeba.txt";

/// Which part each image belongs to.
const PARTITION: &str = "list_eval_partition.txt";

/// The most bytes of a line.
const MOST_BYTES: u64 = 64 << 10;

/// The parts by their numbers.
const PARTS: [&str; 3] = ["train", "validation", "test"];

/// Images in a folder, at any depth, by the names of their files in the table; `names` are those of the folder's files.
pub fn open(
    dir: &Path,
    names: &[String],
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<ClassFolders, DataError> {
    let files = Files::find(dir)?;
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let places: HashMap<String, usize> = files.names().iter().map(|n| last(n)).zip(0..).collect();
    let mut labels = vec![None; files.names().len()];
    let path = dir.join(LIST);
    let mut lines = Lines::open(&path)?;
    // How many images follow, which their lines say too.
    lines.next()?;
    let Some(header) = lines.next()? else {
        return Err(lines.error("it has no names of attributes"));
    };
    let attributes: Vec<String> = header.split_whitespace().map(str::to_owned).collect();
    while let Some(line) = lines.next()? {
        let mut parts = line.split_whitespace();
        let Some(name) = parts.next() else { continue };
        let mut ids = Vec::new();
        let mut count = 0;
        for (id, part) in (0..).zip(&mut parts) {
            match part {
                "1" => ids.push(id),
                "-1" | "0" => {}
                other => {
                    let reason = format!("{other:?} of {name} is neither 1 nor -1");
                    return Err(lines.error(&reason));
                }
            }
            count += 1;
        }
        if count != attributes.len() {
            let reason = format!("{name} has {count} of {} attributes", attributes.len());
            return Err(lines.error(&reason));
        }
        if let Some(&place) = places.get(name) {
            ids.shrink_to_fit();
            labels[place] = Some(Label::Ids(ids));
        }
    }
    if names.iter().any(|name| name == PARTITION) {
        keep_part(dir, recipe, &places, &mut labels)?;
    } else if recipe.split != PARTS[0] {
        return Err(DataError::Setting(format!(
            "split is \"{}\", and there is no {PARTITION} in {}",
            recipe.split,
            dir.display()
        )));
    }
    drop(places);
    // Images of other parts are not left out by accident, and so are not counted.
    let chosen = files.chosen(&labels);
    let labels = labels.into_iter().filter(Option::is_some).collect();
    chosen.labelled(labels, None, Some(attributes), report)
}

/// Takes their labels from the images of other parts.
fn keep_part(
    dir: &Path,
    recipe: &DataRecipe,
    places: &HashMap<String, usize>,
    labels: &mut [Option<Label>],
) -> Result<(), DataError> {
    let wanted = PARTS.iter().position(|part| *part == recipe.split);
    let Some(wanted) = wanted else {
        return Err(DataError::NoSplit {
            path: dir.into(),
            split: recipe.split.clone(),
            found: PARTS.map(str::to_owned).to_vec(),
        });
    };
    let mut lines = Lines::open(&dir.join(PARTITION))?;
    while let Some(line) = lines.next()? {
        let mut parts = line.split_whitespace();
        let (Some(name), Some(part)) = (parts.next(), parts.next()) else {
            continue;
        };
        if part != wanted.to_string()
            && let Some(&place) = places.get(name)
        {
            labels[place] = None;
        }
    }
    Ok(())
}

/// The lines of a file, each of a limited length.
struct Lines {
    path: std::path::PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|source| io_error(path, source))?;
        Ok(Self {
            path: path.into(),
            reader: BufReader::new(file),
            line: Vec::new(),
        })
    }

    fn next(&mut self) -> Result<Option<String>, DataError> {
        self.line.clear();
        let mut limited = self.reader.by_ref().take(MOST_BYTES + 1);
        let read = limited.read_until(b'\n', &mut self.line);
        if read.map_err(|source| io_error(&self.path, source))? == 0 {
            return Ok(None);
        }
        if self.line.len() as u64 > MOST_BYTES {
            return Err(self.error("it has a line of over 64 KiB"));
        }
        Ok(Some(String::from_utf8_lossy(&self.line).into_owned()))
    }

    fn error(&self, reason: &str) -> DataError {
        DataError::Columns {
            path: self.path.clone(),
            reason: reason.into(),
        }
    }
}
