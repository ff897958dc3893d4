//! Tar shards as WebDataset lays them out.

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;
use tar::Archive;

use super::decode::is_image_extension;
use super::labels::{Label, resolve};
use super::positioned::Positioned;
use super::records::{Records, Stored};
use super::{DataError, DataRecipe, Warning, recognise};

/// Where class names stand, beside the shards, one a line.
const CLASSES: &str = "classes.txt";

/// Keys of a `.json` that are taken for the label, in this order.
const LABEL_KEYS: [&str; 5] = ["label", "cls", "class", "class_id", "class_name"];

/// The most bytes of a label's file.
const MAX_LABEL_BYTES: u64 = 1 << 20;

/// Blocks that a tar archive is made of.
const BLOCK: u64 = 512;

/// A data set in tar shards.
///
/// ```text
/// name-000000.tar:  0001.jpg 0001.cls  0002.jpg 0002.json  …
/// ```
///
/// Members that lie beside each other and share their path up to the first dot of the file name are one sample. Its image
/// is the member with an image's extension, its label the text of `.cls` (a number or a class name), or a value of
/// `.json`. Class names come from `classes.txt` beside the shards, or from labels that are names. The shards are read
/// through once, from header to header, and then by position.
pub struct TarShards {
    classes: Vec<String>,
    labels: Vec<u32>,
    shards: Vec<Shard>,
    samples: Vec<Sample>,
}

struct Shard {
    path: PathBuf,
    file: Positioned,
}

/// The image of a sample.
struct Sample {
    shard: usize,
    name: Box<str>,
    offset: u64,
    len: u64,
}

/// A sample while its members are read.
struct Draft {
    key: String,
    image: Option<(Box<str>, u64, u64)>,
    cls: Option<Label>,
    json: Option<Label>,
}

impl TarShards {
    /// Reads the headers of all shards.
    pub fn index(
        path: &Path,
        shards: &[PathBuf],
        recipe: &DataRecipe,
        report: &mut dyn FnMut(Warning),
    ) -> Result<Self, DataError> {
        let indexed: Vec<(Shard, Vec<Draft>)> = shards
            .par_iter()
            .map(|path| index_shard(path, recipe))
            .collect::<Result<_, _>>()?;
        let names = match shards.first().map(|shard| shard.with_file_name(CLASSES)) {
            Some(file) if file.exists() => Some(class_names(&file)?),
            _ => None,
        };

        let mut shards = Vec::new();
        let (mut samples, mut labels) = (Vec::new(), Vec::new());
        let mut unlabelled = Vec::new();
        for (shard, drafts) in indexed {
            for draft in drafts {
                let Some((name, offset, len)) = draft.image else {
                    continue;
                };
                let Some(label) = draft.cls.or(draft.json) else {
                    unlabelled.push(format!("{}/{name}", shard.path.display()));
                    continue;
                };
                labels.push(label);
                samples.push(Sample {
                    shard: shards.len(),
                    name,
                    offset,
                    len,
                });
            }
            shards.push(shard);
        }
        if samples.is_empty() {
            return Err(match unlabelled.len() {
                0 => DataError::Columns {
                    path: path.into(),
                    reason:
                        "no member is an image; samples such as 0001.jpg with 0001.cls are expected"
                            .into(),
                },
                total => DataError::NoLabels {
                    path: path.into(),
                    total,
                },
            });
        }
        if let Some(example) = unlabelled.first() {
            report(Warning::Unlabelled {
                count: unlabelled.len(),
                example: example.clone(),
            });
        }
        let name_of = |index: usize| name(&shards, &samples[index]);
        let (classes, labels) = resolve(&labels, names, &name_of)?;
        recognise::report_classes_without_images(&classes, &labels, report);
        Ok(Self {
            classes,
            labels,
            shards,
            samples,
        })
    }
}

fn name(shards: &[Shard], sample: &Sample) -> String {
    format!("{}/{}", shards[sample.shard].path.display(), sample.name)
}

fn class_names(path: &Path) -> Result<Vec<String>, DataError> {
    let text = fs::read_to_string(path).map_err(|source| DataError::Io {
        path: path.into(),
        source,
    })?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(names.map(str::to_owned).collect())
}

/// The samples of one shard, in its order.
fn index_shard(path: &Path, recipe: &DataRecipe) -> Result<(Shard, Vec<Draft>), DataError> {
    let io = |source| DataError::Io {
        path: path.into(),
        source,
    };
    let torn = |reason: String| DataError::Torn {
        path: path.into(),
        reason,
    };
    let file = Positioned::open(path).map_err(io)?;
    let mut archive = Archive::new(file.reader(0));
    let mut drafts: Vec<Draft> = Vec::new();
    let mut end = 0;
    for entry in archive.entries_with_seek().map_err(io)? {
        let entry = entry.map_err(|error| torn(format!("at byte {end}: {error}")))?;
        let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (offset, len) = (entry.raw_file_position(), entry.size());
        let whole = offset.checked_add(len).filter(|&end| end <= file.len());
        let Some(after) = whole else {
            return Err(torn(format!("it ends within {member}")));
        };
        end = after.div_ceil(BLOCK) * BLOCK;
        let Some((key, extension)) = split(&member) else {
            continue;
        };
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if drafts.last().is_none_or(|draft| draft.key != key) {
            drafts.push(Draft {
                key: key.to_owned(),
                image: None,
                cls: None,
                json: None,
            });
        }
        let Some(draft) = drafts.last_mut() else {
            continue;
        };
        let text = || -> Result<Vec<u8>, DataError> {
            if len > MAX_LABEL_BYTES {
                return Err(torn(format!(
                    "{member} has {len} bytes, too many for a label"
                )));
            }
            file.read_at(offset, len as usize).map_err(io)
        };
        if is_image(extension, recipe.image_column.as_deref()) {
            if draft.image.is_none() {
                draft.image = Some((member.into(), offset, len));
            }
        } else if extension.eq_ignore_ascii_case("cls") && recipe.label_column.is_none() {
            draft.cls = Some(Label::parse(&String::from_utf8_lossy(&text()?)));
        } else if extension.eq_ignore_ascii_case("json") {
            draft.json = json_label(&text()?, recipe.label_column.as_deref());
        }
    }
    // Two blocks of zeros end an archive; one says already that nothing was lost.
    match file.read_at(end, BLOCK as usize) {
        Ok(block) if block.iter().all(|&byte| byte == 0) => {}
        _ => return Err(torn("the end of the archive is missing".into())),
    }
    let shard = Shard {
        path: path.into(),
        file,
    };
    Ok((shard, drafts))
}

/// The path up to the first dot of the file name, and what follows. None of a hidden file or one without extension.
fn split(member: &str) -> Option<(&str, &str)> {
    let name = member.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name + member[name..].find('.')?;
    (dot > name).then(|| (&member[..dot], &member[dot + 1..]))
}

/// Whether a member with this extension is the image: the one that was asked for, or one of a kind that is read. An
/// extension of several parts, `seg.png`, is something beside the image unless it is asked for.
fn is_image(extension: &str, wanted: Option<&str>) -> bool {
    match wanted {
        Some(wanted) => extension.eq_ignore_ascii_case(wanted.trim_start_matches('.')),
        None => is_image_extension(extension),
    }
}

/// The label in a `.json`, where there is one.
fn json_label(bytes: &[u8], key: Option<&str>) -> Option<Label> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let label = |key: &str| match value.get(key)? {
        Value::Number(number) => number.as_u64().map(Label::Id),
        Value::String(text) => Some(Label::parse(text)),
        _ => None,
    };
    match key {
        Some(key) => label(key),
        None => LABEL_KEYS.into_iter().find_map(label),
    }
}

impl Records for TarShards {
    fn labels(&self) -> &[u32] {
        &self.labels
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn name(&self, index: usize) -> String {
        name(&self.shards, &self.samples[index])
    }

    fn stored_len(&self, index: usize) -> Option<u64> {
        Some(self.samples[index].len)
    }

    fn read(&self, index: usize) -> Result<Stored, String> {
        let sample = &self.samples[index];
        let len = usize::try_from(sample.len).map_err(|error| error.to_string())?;
        let bytes = self.shards[sample.shard].file.read_at(sample.offset, len);
        bytes
            .map(Stored::Encoded)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_named_by_its_path_up_to_the_first_dot_of_the_name() {
        assert_eq!(split("0001.jpg"), Some(("0001", "jpg")));
        assert_eq!(split("a.b/0001.seg.png"), Some(("a.b/0001", "seg.png")));
        for nothing in ["readme", "a.b/readme", ".hidden", "a/.hidden.png"] {
            assert_eq!(split(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn labels_in_json_are_found_by_key() {
        let json = br#"{"caption": "x", "class": 7, "fine": "cat", "label": null}"#;
        assert_eq!(json_label(json, None), Some(Label::Id(7)));
        assert_eq!(
            json_label(json, Some("fine")),
            Some(Label::Name("cat".into()))
        );
        assert_eq!(json_label(json, Some("absent")), None);
        assert_eq!(json_label(b"{", None), None);
    }
}
