//! WebDataset: for each image a PNG and a JSON file of the same name.

use std::io::BufWriter;

use ::tar::{Builder, Header};
use anyhow::{Context, Result};
use serde_json::Value;

use crate::files::PartialFile;
use crate::sample::Drawn;

/// A tar file with the members `00000.png`, `00000.json` and so on. The JSON holds the settings of the image, with the
/// name of the class in `class`, and the id of the class in `class_id`.
pub struct TarSet(Builder<BufWriter<PartialFile>>);

impl TarSet {
    /// An empty set.
    pub fn new(file: PartialFile) -> Self {
        Self(Builder::new(BufWriter::new(file)))
    }

    /// Adds images.
    pub fn add(&mut self, images: &[Drawn]) -> Result<()> {
        for image in images {
            let mut settings = serde_json::to_value(&image.settings)?;
            if let Value::Object(fields) = &mut settings {
                fields.insert("class_id".to_owned(), image.class.into());
            }
            let name = image.name();
            self.member(&format!("{name}.png"), &image.png)?;
            self.member(&format!("{name}.json"), &serde_json::to_vec(&settings)?)?;
        }
        Ok(())
    }

    fn member(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        // The same images give the same bytes: the header has no time and no owner.
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.0
            .append_data(&mut header, name, bytes)
            .with_context(|| format!("cannot write {name}"))
    }

    /// Writes the end of the archive and puts it in its place.
    pub fn finish(self) -> Result<()> {
        let buffer = self.0.into_inner().context("cannot write the tar file")?;
        let file = buffer.into_inner().map_err(|error| error.into_error());
        file.context("cannot write the tar file")?.finish()
    }
}
