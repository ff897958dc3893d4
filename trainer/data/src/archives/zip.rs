//! The members of a ZIP archive, by its directory.

use std::io::BufReader;
use std::path::Path;

use super::members::{Member, Packing};
use crate::DataError;
use crate::arrays::npz::reason;
use crate::positioned::Positioned;
use freeguide_readers::weights::zip::Archive;

/// Lists the files of an archive by their names.
pub fn list(path: &Path, file: &Positioned) -> Result<Vec<Member>, DataError> {
    let torn = |error| DataError::Torn {
        path: path.into(),
        reason: reason(error),
    };
    let mut reader = BufReader::with_capacity(8192, file.reader(0));
    let archive = Archive::read(&mut reader, file.len()).map_err(torn)?;
    let mut members = Vec::new();
    for (name, member) in archive.members().filter(|(name, _)| !name.ends_with('/')) {
        let offset = archive.start(&mut reader, *member).map_err(torn)?;
        members.push(Member {
            name: name.trim_start_matches("./").into(),
            offset,
            len: member.packed,
            packing: match member.method {
                0 => Packing::Plain,
                8 => Packing::Deflate,
                other => Packing::Unknown(other),
            },
        });
    }
    members.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(members)
}
