//! `metadata.jsonl`, in which the image folders of `datasets` have what belongs to each image, a line each:
//! `{"file_name": "0001.png", "labels": ["smiling", "hat"], "age": 31}`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::class_folders::{ClassFolders, Files};
use super::here::io_error;
use super::json_fields::Keys;
use super::{DataError, DataRecipe, Warning, names_file};

/// The name of the file.
pub const LIST: &str = "metadata.jsonl";

/// The most bytes of a line.
const MOST_BYTES: u64 = 1 << 20;

/// Images in a folder, at any depth, whose labels stand in `metadata.jsonl` in that folder.
pub fn open(
    dir: &Path,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<ClassFolders, DataError> {
    let files = Files::find(dir)?;
    let list = dir.join(LIST);
    let places: HashMap<&str, usize> = files.names().iter().map(String::as_str).zip(0..).collect();
    let mut labels = vec![None; files.names().len()];
    let mut numbers = recipe
        .number_column
        .as_ref()
        .map(|_| vec![None; labels.len()]);
    let file = File::open(&list).map_err(|source| io_error(&list, source))?;
    let mut reader = BufReader::new(file);
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        let read = reader
            .by_ref()
            .take(MOST_BYTES + 1)
            .read_until(b'\n', &mut line);
        if read.map_err(|source| io_error(&list, source))? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let torn = |reason: &str| DataError::Columns {
            path: list.clone(),
            reason: format!("line {number} {reason}"),
        };
        if line.len() as u64 > MOST_BYTES {
            return Err(torn("is over a megabyte long"));
        }
        let fields = Keys::of(recipe).read(&line);
        let fields = fields.ok_or_else(|| torn("is no JSON object"))?;
        let name = fields.file.ok_or_else(|| torn("has no file_name"))?;
        if let Some(&place) = places.get(name.trim_start_matches("./")) {
            labels[place] = fields.label;
            if let Some(numbers) = &mut numbers {
                numbers[place] = fields.number;
            }
        }
    }
    let names = names_file::beside(&list)?;
    files.labelled(labels, numbers, names, report)
}
