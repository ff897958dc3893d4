//! Parquet files as the Hugging Face hub serves image sets.

mod columns;
mod features;
mod file;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use columns::Columns;
use features::Features;
use file::{Cursor, ParquetFile};

use super::labels::resolve;
use super::records::{Records, Stored};
use super::{Beside, DataError, DataRecipe, Warning, decode, recognise};

/// A data set in Parquet files: a column of encoded images, each a struct of `bytes` and `path` or the bytes alone, and
/// one of labels, integers or names or lists of them, and perhaps one of numbers. Class names come from the metadata that the `datasets` library leaves in the file.
///
/// Labels are read at once. An image is read by skipping to its row: pages before it are passed over unread, and the one
/// that holds it is decompressed.
pub struct ParquetFiles {
    classes: Vec<String>,
    labels: Vec<u32>,
    beside: Beside,
    files: Vec<ParquetFile>,
    columns: Columns,
    rows: Vec<Row>,
    /// Readers that stand somewhere; whoever wants a row further on in the same row group takes one along.
    cursors: Mutex<Vec<Cursor>>,
}

/// Where an image lies.
#[derive(Clone, Copy)]
struct Row {
    file: u32,
    group: u32,
    /// Within the row group.
    row: u32,
}

/// Readers that are kept. Each holds a decompressed page.
const MOST_CURSORS: usize = 32;

impl ParquetFiles {
    /// Opens the files and reads their labels. A panic of the library that reads them is a damaged file.
    pub fn open(
        path: &Path,
        paths: &[PathBuf],
        recipe: &DataRecipe,
        report: &mut dyn FnMut(Warning),
    ) -> Result<Self, DataError> {
        let opened = decode::quietly(|| Self::read_labels(path, paths, recipe, report));
        opened.unwrap_or_else(|| {
            Err(DataError::Torn {
                path: path.into(),
                reason: "its reader fails at it".into(),
            })
        })
    }

    fn read_labels(
        path: &Path,
        paths: &[PathBuf],
        recipe: &DataRecipe,
        report: &mut dyn FnMut(Warning),
    ) -> Result<Self, DataError> {
        let files = paths
            .iter()
            .map(|path| ParquetFile::open(path))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(first) = files.first() else {
            return Err(DataError::NotADataSet { path: path.into() });
        };
        let features = Features::of(first);
        let columns = Columns::choose(first, &features, recipe)?;
        let names = features.class_names(&columns.label_name);

        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        let mut numbers = columns.number.map(|_| Vec::new());
        let mut unlabelled = Vec::new();
        for (number, file) in files.iter().enumerate() {
            columns.check(first, file)?;
            if Features::of(file).class_names(&columns.label_name) != names {
                return Err(DataError::Mixed {
                    one: first.path.clone(),
                    other: file.path.clone(),
                    reason: "they name other classes".into(),
                });
            }
            for group in 0..file.groups() {
                let of_group = match columns.number {
                    Some(column) => file.numbers(group, column)?,
                    None => Vec::new(),
                };
                for (row, label) in file.labels(group, columns.label)?.into_iter().enumerate() {
                    let of_row = of_group.get(row).copied().flatten();
                    let row = Row {
                        file: number as u32,
                        group: group as u32,
                        row: row as u32,
                    };
                    match label {
                        Some(label) => {
                            labels.push(label);
                            rows.push(row);
                            numbers.iter_mut().for_each(|all| all.push(of_row));
                        }
                        None => unlabelled.push(row),
                    }
                }
            }
        }
        let name_of = |row: &Row| file_and_row(&files, row);
        if rows.is_empty() {
            return Err(DataError::NoLabels {
                path: path.into(),
                total: unlabelled.len(),
                beside: Vec::new(),
            });
        }
        if let Some(example) = unlabelled.first() {
            report(Warning::Unlabelled {
                count: unlabelled.len(),
                example: name_of(example),
            });
        }
        let resolved = resolve(&labels, names, &|index| name_of(&rows[index]), report)?;
        recognise::report_missing(&resolved, report);
        Ok(Self {
            classes: resolved.classes,
            labels: resolved.labels,
            beside: Beside {
                attributes: resolved.attributes,
                numbers,
            },
            files,
            columns,
            rows,
            cursors: Mutex::default(),
        })
    }

    /// The name of the column of images.
    pub fn image_column(&self) -> &str {
        &self.columns.image_name
    }

    /// The name of the column of labels.
    pub fn label_column(&self) -> &str {
        &self.columns.label_name
    }

    /// A reader of a column that stands at or before `row` in its row group.
    fn cursor(&self, row: Row, column: usize) -> Result<Cursor, String> {
        let mut kept = self.cursors.lock().unwrap_or_else(|e| e.into_inner());
        let nearest = kept
            .iter()
            .enumerate()
            .filter(|(_, cursor)| cursor.reaches(row, column))
            .max_by_key(|(_, c)| c.next)
            .map(|(place, _)| place);
        match nearest {
            Some(place) => Ok(kept.swap_remove(place)),
            None => {
                drop(kept);
                self.files[row.file as usize].cursor(row.file, row.group, column)
            }
        }
    }

    fn keep(&self, cursor: Cursor) {
        let mut kept = self.cursors.lock().unwrap_or_else(|e| e.into_inner());
        if kept.len() >= MOST_CURSORS {
            kept.remove(0);
        }
        kept.push(cursor);
    }
}

/// The row as people count it in a file, from 0.
fn file_and_row(files: &[ParquetFile], row: &Row) -> String {
    let file = &files[row.file as usize];
    let number = file.first_row(row.group as usize) + u64::from(row.row);
    format!("{}, row {number}", file.path.display())
}

impl Records for ParquetFiles {
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
        file_and_row(&self.files, &self.rows[index])
    }

    /// That of all images of its row group, compressed; the image's own is not written anywhere.
    fn stored_len(&self, index: usize) -> Option<u64> {
        let row = self.rows[index];
        self.files[row.file as usize].stored_len(row.group as usize, self.columns.image)
    }

    fn read(&self, index: usize) -> Result<Stored, String> {
        let row = self.rows[index];
        let mut cursor = self.cursor(row, self.columns.image)?;
        // A reader that has failed is not kept.
        let bytes = cursor.read(row.row)?;
        self.keep(cursor);
        self.stored(row, bytes)
    }

    fn read_range(&self, range: Range<usize>, take: &mut dyn FnMut(usize, Result<Stored, String>)) {
        // One reader for the whole range, whatever other threads do meanwhile.
        let mut own: Option<Cursor> = None;
        for index in range {
            let row = self.rows[index];
            let at = own
                .take()
                .filter(|cursor| cursor.reaches(row, self.columns.image));
            let read = at
                .map_or_else(|| self.cursor(row, self.columns.image), Ok)
                .and_then(|mut cursor| {
                    let bytes = cursor.read(row.row)?;
                    own = Some(cursor);
                    self.stored(row, bytes)
                });
            take(index, read);
        }
        if let Some(cursor) = own {
            self.keep(cursor);
        }
    }
}

impl ParquetFiles {
    /// The image of a row: its bytes or, where they are null, the file that its path names. `datasets` writes image
    /// folders so, with paths that are absolute or beside the Parquet file.
    fn stored(&self, row: Row, bytes: Option<Vec<u8>>) -> Result<Stored, String> {
        if let Some(bytes) = bytes {
            return Ok(Stored::Encoded(bytes));
        }
        let Some(column) = self.columns.path else {
            return Err("it has no bytes".into());
        };
        let mut cursor = self.cursor(row, column)?;
        let path = cursor.read(row.row)?;
        self.keep(cursor);
        let path = path.ok_or("it has neither bytes nor a path")?;
        let path = String::from_utf8_lossy(&path).into_owned();
        let file = &self.files[row.file as usize].path;
        let beside = file.parent().unwrap_or(Path::new("")).join(&path);
        std::fs::read(beside).map(Stored::Encoded).map_err(|error| {
            format!("it has no bytes, and the file {path} that it names cannot be read: {error}")
        })
    }
}

impl Cursor {
    fn reaches(&self, row: Row, column: usize) -> bool {
        (self.file, self.group, self.column) == (row.file, row.group, column)
            && self.next <= row.row
    }
}
