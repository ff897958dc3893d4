//! The members of a tar archive, from header to header.

use std::collections::HashMap;
use std::path::Path;

use tar::{Archive, EntryType};

use super::members::{Member, Packing};
use crate::decode::is_image_extension;
use crate::positioned::Positioned;
use crate::{DataError, Warning};

/// Blocks that a tar archive is made of.
const BLOCK: u64 = 512;

/// A member that is a link to another.
struct Link {
    name: Box<str>,
    /// Where it stands among the members.
    place: usize,
    target: String,
}

/// Lists the files of an archive in their order. Links to files of the same archive are the files that they mean; of
/// other images that are links there is a warning.
pub fn list(path: &Path, file: &Positioned) -> Result<(Vec<Member>, Vec<Warning>), DataError> {
    let io = |source| DataError::Io {
        path: path.into(),
        source,
    };
    let torn = |reason: String| DataError::Torn {
        path: path.into(),
        reason,
    };
    let mut archive = Archive::new(file.reader(0));
    let (mut members, mut links) = (Vec::new(), Vec::new());
    let mut end = 0;
    for entry in archive.entries_with_seek().map_err(io)? {
        let entry = entry.map_err(|error| torn(format!("at byte {end}: {error}")))?;
        let name = plain(&String::from_utf8_lossy(&entry.path_bytes()));
        let (offset, len) = (entry.raw_file_position(), entry.size());
        let whole = offset.checked_add(len).filter(|&end| end <= file.len());
        let Some(after) = whole else {
            return Err(torn(format!("it ends within {name}")));
        };
        end = after.div_ceil(BLOCK) * BLOCK;
        let kind = entry.header().entry_type();
        if kind.is_file() {
            members.push(Member {
                name,
                offset,
                len,
                packing: Packing::Plain,
            });
        } else if kind.is_hard_link() || kind.is_symlink() {
            let target = entry.link_name_bytes().unwrap_or_default();
            links.push(Link {
                target: target_of(kind, &name, &String::from_utf8_lossy(&target)),
                place: members.len(),
                name,
            });
        }
    }
    // Two blocks of zeros end an archive; one says already that nothing was lost.
    match file.read_at(end, BLOCK as usize) {
        Ok(block) if block.iter().all(|&byte| byte == 0) => {}
        _ => return Err(torn("the end of the archive is missing".into())),
    }
    let (members, lost) = follow(members, links);
    let lost = lost.into_iter().map(|link| Warning::Unreadable {
        name: format!("{}/{}", path.display(), link.name),
        reason: format!(
            "it is a link to {}, which is no file of the archive",
            link.target
        ),
    });
    Ok((members, lost.collect()))
}

/// A path without `./` in front.
fn plain(name: &str) -> Box<str> {
    name.trim_start_matches("./").into()
}

/// The path in the archive that a link means: a hard link's from the archive's root, a symbolic link's from its folder.
fn target_of(kind: EntryType, name: &str, target: &str) -> String {
    if kind.is_hard_link() || target.starts_with('/') {
        return plain(target).into();
    }
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Puts what links mean into their places. The links that mean nothing here, as far as they are images.
fn follow(members: Vec<Member>, links: Vec<Link>) -> (Vec<Member>, Vec<Link>) {
    if links.is_empty() {
        return (members, Vec::new());
    }
    let by_name: HashMap<&str, &Member> = members.iter().map(|m| (&*m.name, m)).collect();
    let targets: HashMap<&str, &str> = links.iter().map(|l| (&*l.name, &*l.target)).collect();
    let meant = |link: &Link| -> Option<Member> {
        let mut target: &str = &link.target;
        // A link may mean a link; a circle of them means nothing.
        for _ in 0..8 {
            if let Some(member) = by_name.get(target) {
                return Some(Member {
                    name: link.name.clone(),
                    ..(*member).clone()
                });
            }
            target = targets.get(target)?;
        }
        None
    };
    let (mut all, mut lost) = (Vec::with_capacity(members.len() + links.len()), Vec::new());
    let found: Vec<(usize, Option<Member>)> = links.iter().map(|l| (l.place, meant(l))).collect();
    let mut found = found.into_iter().zip(links).peekable();
    for (place, member) in members.into_iter().map(Some).chain([None]).enumerate() {
        while let Some(((_, meant), link)) = found.next_if(|((at, _), _)| *at <= place) {
            match meant {
                Some(member) => all.push(member),
                None if is_image(&link.name) => lost.push(link),
                None => {}
            }
        }
        all.extend(member);
    }
    (all, lost)
}

fn is_image(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(is_image_extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, offset: u64) -> Member {
        let name = name.into();
        Member {
            name,
            offset,
            len: 1,
            packing: Packing::Plain,
        }
    }

    fn link(name: &str, place: usize, target: &str) -> Link {
        Link {
            name: name.into(),
            place,
            target: target.into(),
        }
    }

    #[test]
    fn links_stand_where_they_stood_and_mean_files() {
        let members = vec![member("a.png", 1), member("b.cls", 2)];
        let links = vec![
            link("first.png", 0, "second.png"),
            link("second.png", 1, "a.png"),
            link("gone.png", 2, "nowhere.png"),
            link("circle.png", 2, "circle.png"),
            link("c.png", 2, "a.png"),
        ];
        let (all, lost) = follow(members, links);
        let names: Vec<(&str, u64)> = all.iter().map(|m| (&*m.name, m.offset)).collect();
        let expected = [
            ("first.png", 1),
            ("a.png", 1),
            ("second.png", 1),
            ("b.cls", 2),
            ("c.png", 1),
        ];
        assert_eq!(names, expected);
        let lost: Vec<&str> = lost.iter().map(|link| &*link.name).collect();
        assert_eq!(lost, ["gone.png", "circle.png"]);
    }

    #[test]
    fn symbolic_links_are_read_from_their_folder() {
        let target = |kind, target| target_of(kind, "a/b/c.png", target);
        assert_eq!(target(EntryType::Symlink, "../d.png"), "a/d.png");
        assert_eq!(target(EntryType::Symlink, "./d.png"), "a/b/d.png");
        assert_eq!(target(EntryType::Link, "./x/d.png"), "x/d.png");
    }
}
