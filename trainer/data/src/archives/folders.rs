//! Class folders in an archive.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Arranged, Listed};
use crate::decode::is_image_extension;
use crate::labels::Label;
use crate::{DataError, DataRecipe, Warning, parts};

/// An image's path, and the archive and the place of its member.
type Named<'a> = (&'a str, (usize, usize));

/// Images by the folder in which they lie, below a folder around everything: `cats/1.png`, `set/train/cats/1.png`. None
/// where no image lies in a folder.
///
/// Where the folders are called like the parts of a data set, that of `data.split` is taken.
pub fn arrange(
    path: &Path,
    all: &Listed,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Option<Arranged>, DataError> {
    let (mut images, mut others) = (Vec::new(), Vec::new());
    for (archive, members) in all.members.iter().enumerate() {
        for (place, member) in members.iter().enumerate() {
            if is_hidden(&member.name) {
                continue;
            }
            let extension = member.name.rsplit_once('.').map(|(_, e)| e);
            match extension.is_some_and(is_image_extension) {
                true => images.push(((archive, place), &*member.name)),
                false => others.push((archive, place)),
            }
        }
    }
    let mut depth = common_folders(images.iter().map(|(_, name)| *name));
    let mut description = String::new();
    if let Some(part) = part(&images, depth, &recipe.split)? {
        images.retain(|(_, name)| folder(name, depth).is_some_and(|f| parts::is_of(f, &part)));
        description = format!(" of the part \"{part}\"");
        depth += 1;
    }
    let outside = images.len();
    images.retain(|(_, name)| folder(name, depth).is_some());
    if images.is_empty() {
        return Ok(None);
    }
    let outside = outside - images.len();
    if outside > 0 {
        report(Warning::OutsideClasses {
            path: path.into(),
            count: outside,
        });
    }
    if let Some(&first) = others.first() {
        report(Warning::OtherFiles {
            count: others.len(),
            example: all.name(first).into(),
        });
    }
    // As class folders on a disk are: classes by the bytes of their names, and images by those of their paths.
    let mut by_class: BTreeMap<&str, Vec<Named>> = BTreeMap::new();
    for (place, name) in images {
        let class = folder(name, depth).unwrap_or_default();
        by_class.entry(class).or_default().push((name, place));
    }
    let mut arranged = Arranged {
        description: format!("class folders in {}{description}", all.count()),
        images: Vec::new(),
        labels: Vec::new(),
        numbers: None,
        names: Some(by_class.keys().map(|&class| class.to_owned()).collect()),
    };
    for (id, (_, mut images)) in by_class.into_iter().enumerate() {
        images.sort_unstable_by(|(one, _), (other, _)| one.split('/').cmp(other.split('/')));
        for (_, place) in images {
            arranged.images.push(place);
            arranged.labels.push(Label::Id(id as u64));
        }
    }
    Ok(Some(arranged))
}

/// The part to take, where all folders are called like parts.
fn part(
    images: &[((usize, usize), &str)],
    depth: usize,
    split: &str,
) -> Result<Option<String>, DataError> {
    let folders = || images.iter().filter_map(|(_, name)| folder(name, depth));
    let parts = folders().next().is_some() && folders().all(is_part);
    if !parts && split != "train" {
        return Err(DataError::Setting(format!(
            "split is \"{split}\", and the folders in the archive are not called like parts of a data set"
        )));
    }
    // Images that lie in such a folder itself have no class.
    let deeper = images
        .iter()
        .any(|(_, name)| folder(name, depth + 1).is_some());
    Ok((parts && deeper).then(|| split.to_owned()))
}

fn is_part(folder: &str) -> bool {
    parts::part_of(folder).is_some_and(|part| parts::is_of(folder, part))
        && !folder.contains(['-', '_', ' ', '.'])
}

/// How many folders all images share and lie at least one folder deeper than.
fn common_folders<'a>(names: impl Iterator<Item = &'a str> + Clone) -> usize {
    let mut depth = 0;
    loop {
        let mut folders = names.clone().map(|name| folder(name, depth));
        let Some(Some(first)) = folders.next() else {
            return depth;
        };
        let shared = folders.all(|folder| folder == Some(first));
        let deeper = names.clone().all(|name| folder(name, depth + 1).is_some());
        match shared && deeper {
            true => depth += 1,
            false => return depth,
        }
    }
}

/// The folder number `depth` of a path, from outside.
fn folder(name: &str, depth: usize) -> Option<&str> {
    let (folders, _) = name.rsplit_once('/')?;
    folders.split('/').nth(depth)
}

fn is_hidden(name: &str) -> bool {
    name.split('/')
        .any(|part| part.starts_with('.') || part == "__MACOSX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_around_everything_do_not_count() {
        let depth = |names: &[&str]| common_folders(names.iter().copied());
        assert_eq!(depth(&["set/cats/1.png", "set/dogs/more/1.png"]), 1);
        assert_eq!(depth(&["a/b/cats/1.png", "a/b/dogs/1.png"]), 2);
        assert_eq!(depth(&["cats/1.png", "dogs/1.png"]), 0);
        assert_eq!(depth(&["set/cats/1.png", "set/1.png"]), 0);
        // One class, in its folder.
        assert_eq!(depth(&["cats/1.png", "cats/2.png"]), 0);
        assert_eq!(folder("a/b/1.png", 1), Some("b"));
        assert_eq!(folder("a/1.png", 1), None);
    }
}
