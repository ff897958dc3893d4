//! Archives of images: tar shards as WebDataset lays them out, and class folders in tar, compressed tar and ZIP files.

mod folders;
mod listed;
mod members;
mod samples;
mod tar;
mod zip;

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::error::counted;
use super::labels::{Label, resolve};
use super::records::{Records, Stored};
use super::{Beside, DataError, DataRecipe, Warning, names_file, recognise};
use members::{Archive, Member};

/// Labelled images in archives, read by position.
///
/// ```text
/// name-000000.tar:  0001.jpg 0001.cls  0002.jpg 0002.json  …     samples
/// set.tar:          cats/tabby.png  dogs/1.jpg  …                class folders
/// ```
///
/// Class names come from `classes.txt` beside the archives, from labels that are names, or from folders. The archives
/// are listed once, from header to header, and their images are then read by position.
pub struct Archives {
    description: String,
    classes: Vec<String>,
    labels: Vec<u32>,
    beside: Beside,
    archives: Vec<Archive>,
    images: Vec<Image>,
}

/// An image, and the archive that it lies in.
struct Image {
    archive: usize,
    member: Member,
}

/// Everything that lies in the archives, before it is known what it means.
struct Listed {
    archives: Vec<Archive>,
    /// The members of each archive, in its order.
    members: Vec<Vec<Member>>,
}

/// What an arrangement of members comes to: images and their labels.
struct Arranged {
    description: String,
    /// The archive and the place of the member in it.
    images: Vec<(usize, usize)>,
    labels: Vec<Label>,
    /// Their numbers, where they have any.
    numbers: Option<Vec<Option<f64>>>,
    /// Class names by id, where something other than the labels gives them.
    names: Option<Vec<String>>,
}

impl Archives {
    /// Lists all archives.
    pub fn index(
        path: &Path,
        files: &[PathBuf],
        recipe: &DataRecipe,
        report: &mut dyn FnMut(Warning),
    ) -> Result<Self, DataError> {
        let listed: Vec<(Archive, Vec<Member>, Vec<Warning>)> = match files {
            [one] => vec![members::list(one)?],
            many => {
                let listed = many.par_iter().map(|path| members::list(path));
                listed.collect::<Result<_, _>>()?
            }
        };
        let mut all = Listed {
            archives: Vec::new(),
            members: Vec::new(),
        };
        for (archive, members, warnings) in listed {
            all.archives.push(archive);
            all.members.push(members);
            warnings.into_iter().for_each(&mut *report);
        }
        let mut arranged = match listed::arrange(path, &all, report)? {
            Some(arranged) => arranged,
            None => samples::arrange(path, &all, recipe, report)?,
        };
        if arranged.names.is_none() {
            arranged.names = names_file::beside(files.first().map_or(path, PathBuf::as_path))?;
        }
        all.finish(arranged, report)
    }

    /// One line on what was found.
    pub fn description(&self) -> &str {
        &self.description
    }
}

impl Listed {
    fn name(&self, (archive, member): (usize, usize)) -> String {
        let path = self.archives[archive].path.display();
        format!("{path}/{}", self.members[archive][member].name)
    }

    /// "2 tar archives", "1 ZIP archive".
    fn count(&self) -> String {
        let zip = self.archives.iter().all(|archive| archive.is_zip);
        let noun = match zip {
            true => "ZIP archive",
            false => "tar archive",
        };
        counted(self.archives.len(), noun)
    }

    fn finish(
        self,
        arranged: Arranged,
        report: &mut dyn FnMut(Warning),
    ) -> Result<Archives, DataError> {
        let name_of = |index: usize| self.name(arranged.images[index]);
        let resolved = resolve(&arranged.labels, arranged.names, &name_of, report)?;
        recognise::report_missing(&resolved, report);
        let images = arranged.images.iter();
        let images = images.map(|&(archive, member)| Image {
            archive,
            member: self.members[archive][member].clone(),
        });
        Ok(Archives {
            description: arranged.description,
            classes: resolved.classes,
            labels: resolved.labels,
            beside: Beside {
                attributes: resolved.attributes,
                numbers: arranged.numbers,
            },
            images: images.collect(),
            archives: self.archives,
        })
    }
}

impl Records for Archives {
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
        let image = &self.images[index];
        let path = self.archives[image.archive].path.display();
        format!("{path}/{}", image.member.name)
    }

    fn stored_len(&self, index: usize) -> Option<u64> {
        Some(self.images[index].member.len)
    }

    fn read(&self, index: usize) -> Result<Stored, String> {
        let image = &self.images[index];
        let bytes = self.archives[image.archive].read(&image.member);
        bytes
            .map(Stored::Encoded)
            .map_err(|error| error.to_string())
    }
}
