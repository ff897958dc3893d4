//! Images whose classes stand in a `dataset.json`, as EDM's and StyleGAN's dataset tools pack them.

use std::path::Path;

use super::{Arranged, Listed};
use crate::dataset_json::{self, DATASET_JSON};
use crate::decode::is_image_extension;
use crate::{DataError, Warning};

/// The images of archives that each have a `dataset.json`; none where the first has none.
pub fn arrange(
    path: &Path,
    all: &Listed,
    report: &mut dyn FnMut(Warning),
) -> Result<Option<Arranged>, DataError> {
    let has_list = |archive: usize| {
        let mut members = all.members[archive].iter();
        members.position(|member| &*member.name == DATASET_JSON)
    };
    if all.archives.is_empty() || has_list(0).is_none() {
        return Ok(None);
    }
    let mut arranged = Arranged {
        description: format!("{} with classes in {DATASET_JSON}", all.count()),
        images: Vec::new(),
        labels: Vec::new(),
        numbers: None,
        names: None,
    };
    let mut unlabelled = Vec::new();
    for (archive, members) in all.members.iter().enumerate() {
        let columns = |reason: String| DataError::Columns {
            path: all.archives[archive].path.clone(),
            reason,
        };
        let list = has_list(archive).ok_or_else(|| columns(format!("it has no {DATASET_JSON}")))?;
        let json = all.archives[archive].read(&members[list]);
        let json = json.map_err(|error| columns(format!("{DATASET_JSON}: {error}")))?;
        let names = members.iter().map(|member| &*member.name);
        let labels = dataset_json::labels(&json, names)
            .map_err(|reason| columns(format!("{DATASET_JSON}: {reason}")))?;
        for (place, (member, label)) in members.iter().zip(labels).enumerate() {
            let extension = member.name.rsplit_once('.').map(|(_, e)| e);
            match label {
                Some(label) => {
                    arranged.images.push((archive, place));
                    arranged.labels.push(label);
                }
                None if extension.is_some_and(is_image_extension) => {
                    unlabelled.push((archive, place));
                }
                None => {}
            }
        }
    }
    if arranged.images.is_empty() {
        return Err(DataError::NoLabels {
            path: path.into(),
            total: unlabelled.len(),
            beside: Vec::new(),
        });
    }
    if let Some(&example) = unlabelled.first() {
        report(Warning::Unlabelled {
            count: unlabelled.len(),
            example: all.name(example),
        });
    }
    Ok(Some(arranged))
}
