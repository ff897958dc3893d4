//! Parquet as the `datasets` library writes it: the features of the columns are in the footer.

use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::types::ColumnPath;
use anyhow::{Context, Result};
use freeguide::bundle::WRITTEN_BY;
use freeguide::class_names::ClassNames;
use serde_json::{Map, Value, json};

use crate::files::PartialFile;
use crate::sample::Drawn;

/// The most rows of a row group. The hub writes as many: readers that want one image decode no more.
const ROWS: usize = 100;
/// A row group ends before [`ROWS`] if its PNGs have as many bytes.
const BYTES: usize = 32 << 20;

/// A Parquet file with a row for each image. `image` and `label` are an `Image` and a `ClassLabel` of `datasets`. The other
/// columns say what the image was drawn with; `settings` has all of it as JSON.
pub struct ParquetSet {
    writer: SerializedFileWriter<PartialFile>,
    has_label: bool,
    /// The images of the next row group.
    waiting: Vec<Drawn>,
    waiting_bytes: usize,
}

impl ParquetSet {
    /// An empty set for images of these classes. If there are none, it has no column `label`.
    pub fn new(file: PartialFile, classes: &ClassNames) -> Result<Self> {
        let has_label = !classes.is_empty();
        let schema = parse_message_type(&schema(has_label))?;
        let png = ColumnPath::new(vec!["image".to_owned(), "bytes".to_owned()]);
        let features = json!({ "info": { "features": features(classes) } });
        let features = KeyValue::new("huggingface".to_owned(), features.to_string());
        let properties = WriterProperties::builder()
            .set_created_by(WRITTEN_BY.to_owned())
            .set_key_value_metadata(Some(vec![features]))
            .set_compression(Compression::SNAPPY)
            // PNGs are compressed, and no two are alike.
            .set_column_compression(png.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(png.clone(), false)
            .set_column_statistics_enabled(png, EnabledStatistics::None);
        Ok(Self {
            writer: SerializedFileWriter::new(
                file,
                Arc::new(schema),
                Arc::new(properties.build()),
            )?,
            has_label,
            waiting: Vec::new(),
            waiting_bytes: 0,
        })
    }

    /// Adds images.
    pub fn add(&mut self, images: Vec<Drawn>) -> Result<()> {
        for image in images {
            self.waiting_bytes += image.png.len();
            self.waiting.push(image);
            if self.waiting.len() >= ROWS || self.waiting_bytes >= BYTES {
                self.write_group()?;
            }
        }
        Ok(())
    }

    /// Writes the waiting images as a row group, column after column in the order of the schema.
    fn write_group(&mut self) -> Result<()> {
        let mut group = Group {
            images: &std::mem::take(&mut self.waiting),
            writer: self.writer.next_row_group()?,
        };
        self.waiting_bytes = 0;
        group.column::<ByteArrayType>(2, |image| Some(image.png.clone().into()))?;
        group.text(2, |image| image.name() + ".png")?;
        if self.has_label {
            group.column::<Int64Type>(1, |image| image.class.map(i64::from))?;
        }
        group.column::<DoubleType>(1, |image| Some(image.settings.guidance))?;
        group.integer(|image| image.settings.seed)?;
        group.integer(|image| image.settings.image)?;
        group.integer(|image| image.settings.steps as u64)?;
        group.text(1, |image| image.settings.sampler.name().to_owned())?;
        group.text(1, |image| image.settings.model.clone())?;
        group.text(1, |image| {
            serde_json::to_string(&image.settings).unwrap_or_default()
        })?;
        group.writer.close()?;
        Ok(())
    }

    /// Writes the last row group and the footer, and puts the file in its place.
    pub fn finish(mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            self.write_group()?;
        }
        let file = self.writer.into_inner();
        file.context("cannot write the Parquet file")?.finish()
    }
}

/// The columns. `datasets` ignores its own features for a column that cannot be null, so that all can.
fn schema(has_label: bool) -> String {
    let label = if has_label {
        "optional int64 label;"
    } else {
        ""
    };
    format!(
        "message images {{
            optional group image {{ optional binary bytes; optional binary path (UTF8); }}
            {label}
            optional double guidance;
            optional int64 seed;
            optional int64 index;
            optional int64 steps;
            optional binary sampler (UTF8);
            optional binary model (UTF8);
            optional binary settings (UTF8);
        }}"
    )
}

/// What `datasets` is to make of the columns.
fn features(classes: &ClassNames) -> Map<String, Value> {
    let value = |dtype: &str| json!({ "dtype": dtype, "_type": "Value" });
    let mut features = Map::new();
    features.insert("image".to_owned(), json!({ "_type": "Image" }));
    if !classes.is_empty() {
        let names: Vec<_> = classes.iter().collect();
        let label = json!({ "names": names, "_type": "ClassLabel" });
        features.insert("label".to_owned(), label);
    }
    for (name, dtype) in [
        ("guidance", "float64"),
        ("seed", "int64"),
        ("index", "int64"),
        ("steps", "int64"),
        ("sampler", "string"),
        ("model", "string"),
        ("settings", "string"),
    ] {
        features.insert(name.to_owned(), value(dtype));
    }
    features
}

/// A row group that is being written.
struct Group<'a> {
    images: &'a [Drawn],
    writer: SerializedRowGroupWriter<'a, PartialFile>,
}

impl Group<'_> {
    /// The next column, whose values lie in `depth` fields that can be null.
    fn column<T: DataType>(
        &mut self,
        depth: i16,
        of: impl Fn(&Drawn) -> Option<T::T>,
    ) -> Result<()> {
        let all: Vec<_> = self.images.iter().map(of).collect();
        let level = |value: &Option<T::T>| depth - i16::from(value.is_none());
        let levels: Vec<i16> = all.iter().map(level).collect();
        let values: Vec<T::T> = all.into_iter().flatten().collect();
        let mut column = self.writer.next_column()?.context("no more columns")?;
        column
            .typed::<T>()
            .write_batch(&values, Some(&levels), None)?;
        Ok(column.close()?)
    }

    fn text(&mut self, depth: i16, of: impl Fn(&Drawn) -> String) -> Result<()> {
        self.column::<ByteArrayType>(depth, |image| Some(ByteArray::from(of(image).into_bytes())))
    }

    /// Numbers up to 2⁵³ − 1.
    fn integer(&mut self, of: impl Fn(&Drawn) -> u64) -> Result<()> {
        self.column::<Int64Type>(1, |image| i64::try_from(of(image)).ok())
    }
}
