//! NumPy's archives of arrays, `.npz`.

use std::io::BufReader;
use std::path::Path;

use flate2::bufread::DeflateDecoder;

use super::npy::{MOST_BYTES, Npy};
use super::table::{Array, Numbers, Table};
use crate::positioned::Positioned;
use crate::{DataError, spool};
use freeguide_readers::weights::WeightsError;
use freeguide_readers::weights::zip::{Archive, Member};

/// What is wrong with an archive, without what it was read for.
pub fn reason(error: WeightsError) -> String {
    match error {
        WeightsError::Torch(reason) => reason,
        WeightsError::Code(what) => {
            format!("it would run code: its pickle asks for {what}, which data have no need of")
        }
        WeightsError::Overfull(bytes) => {
            format!("it describes more than its {bytes} bytes can hold")
        }
        other => format!("it {other}"),
    }
}

/// Lists the arrays of an archive. What is no array is not listed.
///
/// An array that is stored as it is, as `numpy.savez` does, is read where it lies; a compressed one is unpacked once,
/// into a temporary file, if it is wanted.
pub fn open(path: &Path) -> Result<Table, DataError> {
    let torn = |reason: String| DataError::Torn {
        path: path.into(),
        reason,
    };
    let file = Positioned::open_data(path)?;
    let mut reader = BufReader::with_capacity(8192, file.reader(0));
    let archive = Archive::read(&mut reader, file.len()).map_err(|e| torn(reason(e)))?;
    let mut members: Vec<(&str, Member)> = archive.members().map(|(n, m)| (n, *m)).collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    let mut arrays = Vec::new();
    for (name, member) in members {
        let Some(name) = name.strip_suffix(".npy") else {
            continue;
        };
        let start = archive.start(&mut reader, member);
        let start = start.map_err(|e| torn(reason(e)))?;
        let begins = begins(&file, start, member).map_err(torn)?;
        // An array of objects or columns is named only where it is asked for.
        let Ok(npy) = Npy::read(&begins) else {
            continue;
        };
        arrays.push(Array {
            name: name.into(),
            descr: npy.descr,
            dims: npy.dims,
            numbers: numbers(path, &file, start, member, npy.start),
        });
    }
    Ok(Table {
        path: path.into(),
        arrays,
    })
}

/// The first bytes of a member, unpacked.
fn begins(file: &Positioned, start: u64, member: Member) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let from = file.reader(start).take(member.packed);
    let mut begins = Vec::new();
    let read = match member.method {
        0 => from.take(MOST_BYTES).read_to_end(&mut begins),
        8 => DeflateDecoder::new(BufReader::with_capacity(8192, from))
            .take(MOST_BYTES)
            .read_to_end(&mut begins),
        other => {
            return Err(format!(
                "it is compressed in a way that is not read (method {other})"
            ));
        }
    };
    read.map(|_| begins).map_err(|error| error.to_string())
}

fn numbers(path: &Path, file: &Positioned, start: u64, member: Member, header: u64) -> Numbers {
    use std::io::Read;
    if member.method == 0 {
        return Numbers::Stored(file.clone(), start + header);
    }
    let (path, file) = (path.to_path_buf(), file.clone());
    Numbers::Packed(Box::new(move || {
        let from = file.reader(start).take(member.packed);
        let from = DeflateDecoder::new(BufReader::new(from)).take(member.bytes);
        Ok((spool::unpack(&path, from)?, header))
    }))
}
