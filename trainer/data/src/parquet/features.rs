//! What the `datasets` library writes into a file about its columns.

use serde_json::{Map, Value};

use super::file::ParquetFile;

/// The key under which it stands in the footer.
const KEY: &str = "huggingface";

/// The features of a data set, by column; empty of a file from elsewhere.
pub struct Features(Map<String, Value>);

impl Features {
    /// Those of a file.
    pub fn of(file: &ParquetFile) -> Self {
        let features = file
            .key_value(KEY)
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            .and_then(|mut value| match value["info"]["features"].take() {
                Value::Object(features) => Some(features),
                _ => None,
            });
        Self(features.unwrap_or_default())
    }

    /// The columns of a type, `Image` or `ClassLabel`, or of lists of that type.
    pub fn of_type(&self, kind: &str) -> Vec<&str> {
        let is_kind = |value: &Value| value["_type"] == kind || value["feature"]["_type"] == kind;
        let of_kind = self.0.iter().filter(|(_, value)| is_kind(value));
        of_kind.map(|(name, _)| name.as_str()).collect()
    }

    /// The classes of a column of class labels, or of lists of them.
    pub fn class_names(&self, column: &str) -> Option<Vec<String>> {
        let feature = self.0.get(column)?;
        let of_items = || feature.get("feature")?.get("names");
        let names = feature.get("names").or_else(of_items)?.as_array()?;
        let names = names.iter().map(|name| name.as_str().map(str::to_owned));
        names.collect()
    }
}
