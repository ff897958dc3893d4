//! Members that belong together: the samples of WebDataset.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;

use super::members::{Archive, Member};
use super::{Arranged, Listed, folders};
use crate::decode::{is_image_extension, is_unread_image_extension};
use crate::error::counted;
use crate::json_fields::Keys;
use crate::labels::Label;
use crate::{DataError, DataRecipe, Warning};

/// The most bytes of a label's file.
const MAX_LABEL_BYTES: u64 = 1 << 20;

/// A sample: members that lie beside each other and share their path up to the first dot of the file name.
struct Sample {
    /// Which archive, and the first of its members in it.
    archive: usize,
    first: usize,
    count: usize,
    /// What its members say of its label.
    labels: Vec<(String, Label)>,
    /// Its number.
    number: Option<f64>,
}

/// What a member says of its sample.
#[derive(Default)]
struct Said {
    label: Option<Label>,
    number: Option<f64>,
}

/// How images and labels are called in a set.
struct Choice<'a> {
    recipe: &'a DataRecipe,
    /// Whether some image is called by one extension alone: `0001.jpg`.
    plain: bool,
    /// Extensions of several parts that end like an image: `input.png`.
    compound: BTreeSet<String>,
}

/// Finds the samples, or class folders where nothing has a label and folders do.
pub fn arrange(
    path: &Path,
    all: &Listed,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Arranged, DataError> {
    let read: Vec<Vec<Sample>> = (0..all.archives.len())
        .into_par_iter()
        .map(|archive| samples(all, archive, recipe))
        .collect::<Result<_, _>>()?;
    let samples: Vec<Sample> = read.into_iter().flatten().collect();
    let described = samples.iter().any(|sample| sample.is_described(all));
    if !described && let Some(arranged) = folders::arrange(path, all, recipe, report)? {
        return Ok(arranged);
    }
    let choice = Choice::of(path, all, &samples, recipe)?;
    let mut arranged = Arranged {
        description: counted(all.archives.len(), "tar shard"),
        images: Vec::new(),
        labels: Vec::new(),
        numbers: recipe.number_column.as_ref().map(|_| Vec::new()),
        names: None,
    };
    let mut unlabelled = Vec::new();
    let mut without = Without::default();
    for sample in samples {
        let Some(image) = choice.image(all, &sample) else {
            without.note(all, &sample);
            continue;
        };
        let image = (sample.archive, image);
        let number = sample.number;
        match choice.label(sample.labels) {
            Some(label) => {
                arranged.images.push(image);
                if let Some(numbers) = &mut arranged.numbers {
                    numbers.push(number);
                }
                arranged.labels.push(label);
            }
            None => unlabelled.push(image),
        }
    }
    without.report(report);
    if arranged.images.is_empty() {
        return Err(match unlabelled.first() {
            None => DataError::Columns {
                path: path.into(),
                reason:
                    "no member is an image; samples such as 0001.jpg with 0001.cls are expected"
                        .into(),
            },
            Some(&image) => no_labels(path, all, unlabelled.len(), image),
        });
    }
    if let Some(&example) = unlabelled.first() {
        report(Warning::Unlabelled {
            count: unlabelled.len(),
            example: all.name(example),
        });
    }
    Ok(arranged)
}

/// The samples of one archive, with the texts that may be labels.
fn samples(all: &Listed, archive: usize, recipe: &DataRecipe) -> Result<Vec<Sample>, DataError> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut before = None;
    for (place, member) in all.members[archive].iter().enumerate() {
        let Some((key, extension)) = split(&member.name) else {
            continue;
        };
        if before != Some(key) || samples.is_empty() {
            samples.push(Sample {
                archive,
                first: place,
                count: 0,
                labels: Vec::new(),
                number: None,
            });
        }
        before = Some(key);
        let Some(sample) = samples.last_mut() else {
            continue;
        };
        sample.count = place + 1 - sample.first;
        let said = said(&all.archives[archive], member, extension, recipe)?;
        if let Some(label) = said.label {
            sample.labels.push((extension.to_ascii_lowercase(), label));
        }
        sample.number = said.number.or(sample.number);
    }
    Ok(samples)
}

/// What a member says of its sample: the text of a label or of a number, or JSON with both.
fn said(
    archive: &Archive,
    member: &Member,
    extension: &str,
    recipe: &DataRecipe,
) -> Result<Said, DataError> {
    let wanted = recipe.label_column.as_deref();
    let number = recipe.number_column.as_deref();
    let is_number = number.is_some_and(|wanted| is_called(extension, wanted));
    let asked = wanted.is_some_and(|wanted| is_called(extension, wanted));
    let text = asked || wanted.is_none() && last(extension).eq_ignore_ascii_case("cls");
    let json = !asked && last(extension).eq_ignore_ascii_case("json");
    if !text && !json && !is_number {
        return Ok(Said::default());
    }
    if member.len > MAX_LABEL_BYTES {
        return Err(DataError::Torn {
            path: archive.path.clone(),
            reason: format!(
                "{} has {} bytes, too many for a label",
                member.name, member.len
            ),
        });
    }
    let bytes = archive.read(member).map_err(|source| DataError::Io {
        path: archive.path.clone(),
        source,
    })?;
    if json {
        let fields = Keys::of(recipe).read(&bytes).unwrap_or_default();
        return Ok(Said {
            label: fields.label,
            number: fields.number,
        });
    }
    let content = String::from_utf8_lossy(&bytes);
    let value = content.trim().parse().ok().filter(|v: &f64| v.is_finite());
    Ok(Said {
        label: text.then(|| Label::of_file(&content)),
        number: value.filter(|_| is_number),
    })
}

impl<'a> Choice<'a> {
    /// # Errors
    /// [`DataError::Columns`] where more than one kind of member could be the images.
    fn of(
        path: &Path,
        all: &Listed,
        samples: &[Sample],
        recipe: &'a DataRecipe,
    ) -> Result<Self, DataError> {
        let mut choice = Self {
            recipe,
            plain: false,
            compound: BTreeSet::new(),
        };
        for sample in samples {
            for (_, extension) in sample.members(all) {
                if is_image_extension(extension) {
                    choice.plain = true;
                } else if is_image_extension(last(extension)) {
                    let stem = extension.len() - last(extension).len() - 1;
                    choice.compound.insert(extension[..stem].into());
                }
            }
        }
        if recipe.image_column.is_none() && !choice.plain && choice.compound.len() > 1 {
            let list: Vec<&str> = choice.compound.iter().map(String::as_str).collect();
            return Err(DataError::Columns {
                path: path.into(),
                reason: format!(
                    "which member of a sample is the image is not clear: {}; --set data.image_column=NAME names it",
                    list.join(", ")
                ),
            });
        }
        Ok(choice)
    }

    /// The member that is the image: the one that was asked for, or one that is called by an image's extension alone, or
    /// where no sample has such a one, that which ends so.
    fn image(&self, all: &Listed, sample: &Sample) -> Option<usize> {
        let fits = |extension: &str| match &self.recipe.image_column {
            Some(wanted) => is_called(extension, wanted),
            None if self.plain => is_image_extension(extension),
            None => is_image_extension(last(extension)),
        };
        let mut found = sample.members(all).filter(|(_, e)| fits(e));
        found.next().map(|(place, _)| place)
    }

    /// The label: what was asked for, or `.cls` before `.json`, and one that is called so alone before others.
    fn label(&self, mut labels: Vec<(String, Label)>) -> Option<Label> {
        let rank = |extension: &str| {
            let asked = self.recipe.label_column.as_deref();
            if asked.is_some_and(|wanted| is_called(extension, wanted)) {
                return 0;
            }
            1 + usize::from(last(extension) == "json") * 2 + usize::from(extension.contains('.'))
        };
        labels.sort_by_key(|(extension, _)| rank(extension));
        labels.into_iter().next().map(|(_, label)| label)
    }
}

impl Sample {
    /// Whether it is one of WebDataset's: it has a label, or something that is no picture lies beside its picture. In
    /// ZIP archives nothing is.
    fn is_described(&self, all: &Listed) -> bool {
        let picture = |extension: &str| {
            is_image_extension(last(extension)) || is_unread_image_extension(last(extension))
        };
        let pictures = self.members(all).filter(|(_, e)| picture(e)).count();
        let others = self.members(all).count() - pictures;
        let shards = !all.archives[self.archive].is_zip;
        shards && (!self.labels.is_empty() || pictures > 0 && others > 0)
    }

    /// The places of its members in the archive, and their extensions.
    fn members<'a>(&self, all: &'a Listed) -> impl Iterator<Item = (usize, &'a str)> {
        let members = &all.members[self.archive][self.first..self.first + self.count];
        let split = members.iter().enumerate().filter_map(|(place, member)| {
            let (_, extension) = split(&member.name)?;
            Some((place, extension))
        });
        let first = self.first;
        split.map(move |(place, extension)| (first + place, extension))
    }
}

/// Samples of which no member is an image, by what is there instead.
#[derive(Default)]
struct Without(BTreeMap<String, (usize, String)>);

impl Without {
    fn note(&mut self, all: &Listed, sample: &Sample) {
        let unread = |extension: &str| is_unread_image_extension(last(extension));
        let picture = sample.members(all).find(|(_, e)| unread(e));
        let (place, extension) = match picture {
            Some((place, extension)) => (place, last(extension).to_ascii_lowercase()),
            // What has neither a label nor a picture is no sample: a text about the set.
            None if sample.labels.is_empty() => return,
            None => (sample.first, String::new()),
        };
        let entry = self.0.entry(extension);
        let (count, _) = entry.or_insert_with(|| (0, all.name((sample.archive, place))));
        *count += 1;
    }

    fn report(self, report: &mut dyn FnMut(Warning)) {
        for (extension, (count, example)) in self.0 {
            report(Warning::NoImage {
                count,
                example,
                extension,
            });
        }
    }
}

/// Says what lies beside an image without a label.
fn no_labels(path: &Path, all: &Listed, total: usize, image: (usize, usize)) -> DataError {
    let members = &all.members[image.0];
    let key = split(&members[image.1].name).map(|(key, _)| key);
    let beside = members.iter().enumerate().filter_map(|(place, member)| {
        let (other, extension) = split(&member.name)?;
        let text = !is_image_extension(last(extension));
        (place != image.1 && Some(other) == key && text).then(|| extension.to_owned())
    });
    DataError::NoLabels {
        path: path.into(),
        total,
        beside: beside.take(4).collect(),
    }
}

/// Whether an extension is the one that a recipe names, with all its parts or without the last: `input.png` or `input`.
fn is_called(extension: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_start_matches('.');
    let without_last = extension.rsplit_once('.').map(|(before, _)| before);
    extension.eq_ignore_ascii_case(wanted)
        || without_last.is_some_and(|before| before.eq_ignore_ascii_case(wanted))
}

/// The last part of an extension.
fn last(extension: &str) -> &str {
    extension
        .rsplit_once('.')
        .map_or(extension, |(_, last)| last)
}

/// The path up to the first dot of the file name, and what follows. None of a hidden file or one without extension.
fn split(member: &str) -> Option<(&str, &str)> {
    let name = member.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name + member[name..].find('.')?;
    (dot > name).then(|| (&member[..dot], &member[dot + 1..]))
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
    fn members_are_called_by_all_parts_or_all_but_the_last() {
        for wanted in ["input", "input.png", ".INPUT.png"] {
            assert!(is_called("input.png", wanted), "{wanted}");
        }
        assert!(!is_called("input.png", "png"));
        assert!(is_called("txt", "txt"));
        assert_eq!((last("a.b.png"), last("png")), ("png", "png"));
    }
}
