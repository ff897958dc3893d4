//! One Parquet file, read by many threads.

use std::io::BufReader;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use crate::DataError;
use crate::labels::{Label, SEPARATOR};
use crate::positioned::{Positioned, Reader};

impl Length for Positioned {
    fn len(&self) -> u64 {
        self.len()
    }
}

impl ChunkReader for Positioned {
    type T = BufReader<Reader>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(self.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.read_at(start, length)
            .map(Bytes::from)
            .map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// One file of a data set.
pub struct ParquetFile {
    /// Its path.
    pub path: PathBuf,
    reader: SerializedFileReader<Positioned>,
    /// The number of the first row of each row group.
    first_rows: Vec<u64>,
}

impl ParquetFile {
    /// Opens a file and reads its footer.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = Positioned::open_data(path)?;
        let reader = SerializedFileReader::new(file).map_err(|error| torn(path, &error))?;
        check_compression(path, reader.metadata())?;
        let mut rows = 0;
        let first_rows = (reader.metadata().row_groups().iter())
            .map(|group| {
                let first = rows;
                rows += group.num_rows().max(0) as u64;
                first
            })
            .collect();
        Ok(Self {
            path: path.into(),
            reader,
            first_rows,
        })
    }

    /// The number of row groups.
    pub fn groups(&self) -> usize {
        self.first_rows.len()
    }

    /// The number of the first row of a row group.
    pub fn first_row(&self, group: usize) -> u64 {
        self.first_rows[group]
    }

    /// The leaves of the schema.
    pub fn columns(&self) -> &[ColumnDescPtr] {
        self.reader
            .metadata()
            .file_metadata()
            .schema_descr()
            .columns()
    }

    /// A leaf of the schema, where there are that many.
    pub fn column(&self, number: usize) -> Option<&ColumnDescriptor> {
        self.columns().get(number).map(|column| &**column)
    }

    /// A value of the footer's metadata.
    pub fn key_value(&self, key: &str) -> Option<String> {
        let pairs = self
            .reader
            .metadata()
            .file_metadata()
            .key_value_metadata()?;
        pairs
            .iter()
            .find(|pair| pair.key == key)
            .and_then(|pair| pair.value.clone())
    }

    /// The compressed bytes of a column in a row group.
    pub fn stored_len(&self, group: usize, column: usize) -> Option<u64> {
        let columns = self.reader.metadata().row_groups().get(group)?.columns();
        u64::try_from(columns.get(column)?.compressed_size()).ok()
    }

    /// The labels of a row group: none where there is no value, or a negative one, which on the hub means unlabelled.
    pub fn labels(&self, group: usize, column: usize) -> Result<Vec<Option<Label>>, DataError> {
        if self.column(column).is_some_and(|c| c.max_rep_level() > 0) {
            return self.lists(group, column);
        }
        let read = || {
            let rows = self.rows(group);
            let id = |value: i64| u64::try_from(value).ok().map(Label::Id);
            Ok(match self.column_reader(group, column)? {
                ColumnReader::Int32ColumnReader(mut reader) => values(&mut reader, rows)?
                    .into_iter()
                    .map(|value| value.and_then(|value| id(value.into())))
                    .collect(),
                ColumnReader::Int64ColumnReader(mut reader) => values(&mut reader, rows)?
                    .into_iter()
                    .map(|value| value.and_then(id))
                    .collect(),
                ColumnReader::ByteArrayColumnReader(mut reader) => values(&mut reader, rows)?
                    .into_iter()
                    .map(|value| Some(Label::Name(text(&value?))))
                    .collect(),
                _ => Vec::new(),
            })
        };
        read().map_err(|error: ParquetError| torn(&self.path, &error))
    }

    /// The lists of a row group: none where there is no list, or where one of its integers is negative.
    fn lists(&self, group: usize, column: usize) -> Result<Vec<Option<Label>>, DataError> {
        let most = self.column(column).map_or(0, |c| c.max_def_level());
        let ids = |list: Vec<i64>| {
            let ids = list.into_iter().map(|id| u32::try_from(id).ok());
            ids.collect::<Option<Vec<u32>>>().map(Label::Ids)
        };
        let read = || {
            let rows = self.rows(group);
            Ok(match self.column_reader(group, column)? {
                ColumnReader::Int32ColumnReader(mut reader) => lists(&mut reader, rows, most)?
                    .into_iter()
                    .map(|list| ids(list?.into_iter().map(i64::from).collect()))
                    .collect(),
                ColumnReader::Int64ColumnReader(mut reader) => lists(&mut reader, rows, most)?
                    .into_iter()
                    .map(|list| ids(list?))
                    .collect(),
                ColumnReader::ByteArrayColumnReader(mut reader) => lists(&mut reader, rows, most)?
                    .into_iter()
                    .map(|list| {
                        let names = list?;
                        let names = names.iter().map(text).filter(|name| !name.is_empty());
                        Some(Label::Names(
                            names.map(|name| format!("{name}{SEPARATOR}")).collect(),
                        ))
                    })
                    .collect(),
                _ => Vec::new(),
            })
        };
        read().map_err(|error: ParquetError| torn(&self.path, &error))
    }

    /// The numbers of a row group: none where there is no value, or no finite one.
    pub fn numbers(&self, group: usize, column: usize) -> Result<Vec<Option<f64>>, DataError> {
        let read = || {
            let rows = self.rows(group);
            let numbers: Vec<Option<f64>> = match self.column_reader(group, column)? {
                ColumnReader::Int32ColumnReader(mut reader) => widened(values(&mut reader, rows)?),
                ColumnReader::Int64ColumnReader(mut reader) => values(&mut reader, rows)?
                    .into_iter()
                    .map(|value| value.map(|value| value as f64))
                    .collect(),
                ColumnReader::FloatColumnReader(mut reader) => widened(values(&mut reader, rows)?),
                ColumnReader::DoubleColumnReader(mut reader) => values(&mut reader, rows)?,
                _ => Vec::new(),
            };
            let finite = |number: Option<f64>| number.filter(|number| number.is_finite());
            Ok(numbers.into_iter().map(finite).collect())
        };
        read().map_err(|error: ParquetError| torn(&self.path, &error))
    }

    /// The rows of a row group.
    fn rows(&self, group: usize) -> usize {
        self.reader.metadata().row_group(group).num_rows().max(0) as usize
    }

    /// A reader at the beginning of a row group of images, or of their paths.
    pub fn cursor(&self, file: u32, group: u32, column: usize) -> Result<Cursor, String> {
        match self.column_reader(group as usize, column) {
            Ok(ColumnReader::ByteArrayColumnReader(reader)) => Ok(Cursor {
                file,
                group,
                column,
                next: 0,
                reader,
            }),
            Ok(_) => Err("the column holds no bytes".into()),
            Err(error) => Err(words(&error)),
        }
    }

    fn column_reader(&self, group: usize, column: usize) -> ParquetResult<ColumnReader> {
        self.reader.get_row_group(group)?.get_column_reader(column)
    }
}

/// Refuses by its name a compression that is not read: LZO, which nobody writes today.
fn check_compression(path: &Path, metadata: &ParquetMetaData) -> Result<(), DataError> {
    let mut columns = metadata.row_groups().iter().flat_map(|g| g.columns());
    match columns.find(|column| column.compression() == Compression::LZO) {
        None => Ok(()),
        Some(column) => Err(DataError::Columns {
            path: path.into(),
            reason: format!(
                "the column {} is compressed with LZO, which is not read; brotli, gzip, LZ4, snappy and zstd are",
                column.column_path()
            ),
        }),
    }
}

fn torn(path: &Path, error: &ParquetError) -> DataError {
    DataError::Torn {
        path: path.into(),
        reason: words(error),
    }
}

/// An error without the name of its kind in front.
fn words(error: &ParquetError) -> String {
    match error {
        ParquetError::General(text) | ParquetError::EOF(text) => text.clone(),
        other => other.to_string(),
    }
}

/// All `rows` values of a column, nulls included.
fn values<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
) -> ParquetResult<Vec<Option<T::T>>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (records, _, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if records != rows {
        return Err(ParquetError::EOF(format!(
            "{records} of {rows} labels are there"
        )));
    }
    // A column that is never null has no levels.
    if levels.is_empty() {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    Ok(levels
        .into_iter()
        .map(|level| (level > 0).then(|| values.next()).flatten())
        .collect())
}

/// All `rows` lists of a column whose values are there at the definition level `most`; none where a list is null.
fn lists<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    most: i16,
) -> ParquetResult<Vec<Option<Vec<T::T>>>> {
    let (mut defined, mut repeated, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let (records, _, _) =
        reader.read_records(rows, Some(&mut defined), Some(&mut repeated), &mut values)?;
    if records != rows || defined.len() != repeated.len() {
        return Err(ParquetError::EOF(format!(
            "{records} of {rows} lists are there"
        )));
    }
    let mut values = values.into_iter();
    let mut all: Vec<Option<Vec<T::T>>> = Vec::new();
    for (level, repeated) in defined.into_iter().zip(repeated) {
        if repeated == 0 {
            // A list that may be null is so at level 0, and empty at the level above.
            all.push((level > 0 || most < 2).then(Vec::new));
        }
        if level == most
            && let (Some(Some(list)), Some(value)) = (all.last_mut(), values.next())
        {
            list.push(value);
        }
    }
    Ok(all)
}

/// The text of a value.
fn text(value: &ByteArray) -> String {
    String::from_utf8_lossy(value.data()).trim().to_owned()
}

fn widened<T: Into<f64>>(values: Vec<Option<T>>) -> Vec<Option<f64>> {
    let values = values.into_iter();
    values.map(|value| value.map(Into::into)).collect()
}

/// A reader within one row group.
pub struct Cursor {
    /// The number of its file.
    pub file: u32,
    /// The row group.
    pub group: u32,
    /// The column.
    pub column: usize,
    /// The row that it reads next.
    pub next: u32,
    reader: ColumnReaderImpl<ByteArrayType>,
}

impl Cursor {
    /// The bytes of row `row`, which must not lie before [`next`](Self::next); none where they are null. The error is for
    /// people.
    pub fn read(&mut self, row: u32) -> Result<Option<Vec<u8>>, String> {
        let ahead = (row - self.next) as usize;
        let (mut levels, mut values) = (Vec::new(), Vec::<ByteArray>::new());
        let mut read = || {
            let skipped = self.reader.skip_records(ahead)?;
            let (records, _, _) =
                self.reader
                    .read_records(1, Some(&mut levels), None, &mut values)?;
            Ok((skipped, records))
        };
        let (skipped, records) = read().map_err(|error: ParquetError| words(&error))?;
        if (skipped, records) != (ahead, 1) {
            return Err("the row group ends before this row".into());
        }
        self.next = row + 1;
        Ok(values.pop().map(|value| value.data().to_vec()))
    }
}
