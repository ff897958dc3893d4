//! The directory of ZIP archives, also of more than four gigabytes (ZIP64): where each member is. What is compressed is
//! not unpacked here; of `torch.save`'s archives nothing is.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};

use super::{WeightsError, budget};

/// One file of an archive.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Where its local header is.
    header: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Its bytes as they are stored.
    pub packed: u64,
    /// How they are compressed: 0 is not at all, 8 deflate.
    pub method: u16,
}

/// The directory of an archive.
#[derive(Debug)]
pub struct Archive {
    members: HashMap<Box<str>, Member>,
    length: u64,
}

fn bad<T>(reason: impl Into<String>) -> Result<T, WeightsError> {
    Err(WeightsError::Torch(reason.into()))
}

fn u16_at(bytes: &[u8], at: usize) -> u64 {
    let part = bytes.get(at..at + 2).and_then(|b| b.try_into().ok());
    u64::from(part.map_or(0, u16::from_le_bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> u64 {
    let part = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    u64::from(part.map_or(0, u32::from_le_bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let part = bytes.get(at..at + 8).and_then(|b| b.try_into().ok());
    part.map_or(0, u64::from_le_bytes)
}

/// The sizes of the end-of-archive record and of its ZIP64 counterparts.
const END: u64 = 22;
const LOCATOR: u64 = 20;
const END64: u64 = 56;
/// A value of 16 or 32 bits that means that the real value is in the ZIP64 fields.
const ELSEWHERE: u64 = 0xffff_ffff;

impl Archive {
    /// Reads the directory at the end of the archive.
    ///
    /// # Errors
    ///
    /// [`WeightsError`], where there is none, or it lists more than the file can hold.
    pub fn read<R: Read + Seek>(reader: &mut R, length: u64) -> Result<Self, WeightsError> {
        let (mut count, mut size, mut start) = Self::end(reader, length)?;
        if count == 0xffff || size == ELSEWHERE || start == ELSEWHERE {
            (count, size, start) = Self::end64(reader, length)?;
        }
        if start.checked_add(size).is_none_or(|end| end > length) {
            return bad("its directory is outside the file");
        }
        if count > budget(length) as u64 / 2 {
            return Err(WeightsError::Overfull(length));
        }
        reader.seek(SeekFrom::Start(start))?;
        let mut directory = reader.by_ref().take(size);
        let mut members = HashMap::new();
        for _ in 0..count {
            let (name, member) = Self::member(&mut directory)?;
            members.insert(name, member);
        }
        Ok(Self { members, length })
    }

    /// The number of members, and the size and position of the directory.
    fn end<R: Read + Seek>(reader: &mut R, length: u64) -> Result<(u64, u64, u64), WeightsError> {
        // A comment of up to 64 KiB may follow; torch.save writes none.
        let back = length.min(END + 0xffff);
        let mut tail = vec![0; back as usize];
        reader.seek(SeekFrom::Start(length - back))?;
        reader.read_exact(&mut tail)?;
        let Some(at) = tail.windows(4).rposition(|four| four == b"PK\x05\x06") else {
            return bad("it has no end: it was cut off");
        };
        let record = &tail[at..];
        if (record.len() as u64) < END {
            return bad("it has no end: it was cut off");
        }
        Ok((u16_at(record, 10), u32_at(record, 12), u32_at(record, 16)))
    }

    fn end64<R: Read + Seek>(reader: &mut R, length: u64) -> Result<(u64, u64, u64), WeightsError> {
        // The locator comes before the record that `end` found. Without a comment, it is here:
        let mut locator = [0; LOCATOR as usize];
        reader.seek(SeekFrom::Start(length.saturating_sub(END + LOCATOR)))?;
        reader.read_exact(&mut locator)?;
        let at = u64_at(&locator, 8);
        if !locator.starts_with(b"PK\x06\x07") || at > length.saturating_sub(END64) {
            return bad("its ZIP64 directory is not where it should be");
        }
        let mut record = [0; END64 as usize];
        reader.seek(SeekFrom::Start(at))?;
        reader.read_exact(&mut record)?;
        if !record.starts_with(b"PK\x06\x06") {
            return bad("its ZIP64 directory is not where it should be");
        }
        Ok((
            u64_at(&record, 32),
            u64_at(&record, 40),
            u64_at(&record, 48),
        ))
    }

    fn member<R: Read>(directory: &mut R) -> Result<(Box<str>, Member), WeightsError> {
        let mut fixed = [0; 46];
        directory.read_exact(&mut fixed)?;
        if !fixed.starts_with(b"PK\x01\x02") {
            return bad("its directory is damaged");
        }
        let mut text = |bytes: u64| {
            let mut text = vec![0; bytes as usize];
            directory.read_exact(&mut text).map(|()| text)
        };
        // Each of these is 16 bits long.
        let name = text(u16_at(&fixed, 28))?;
        let extra = text(u16_at(&fixed, 30))?;
        text(u16_at(&fixed, 32))?;
        let Ok(name) = String::from_utf8(name) else {
            return bad("a name in it is not UTF-8");
        };
        let (mut packed, mut bytes) = (u32_at(&fixed, 20), u32_at(&fixed, 24));
        let mut header = u32_at(&fixed, 42);
        // The ZIP64 field contains, in this order, those of the three values that are missing above.
        let mut wide = zip64(&extra);
        for value in [&mut bytes, &mut packed, &mut header] {
            if *value == ELSEWHERE {
                *value = u64_at(wide, 0);
                wide = wide.get(8..).unwrap_or_default();
            }
        }
        let member = Member {
            header,
            bytes,
            packed,
            method: u16_at(&fixed, 10) as u16,
        };
        Ok((name.into(), member))
    }

    /// The names of all members and where they are, in no order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().map(|(name, member)| (&**name, member))
    }

    /// The member with this path below the archive's single folder.
    pub(super) fn find(&self, folder: &str, path: &str) -> Option<Member> {
        self.members.get(&*format!("{folder}{path}")).copied()
    }

    /// The single folder of the archive, with its slash, derived from the position of the pickle.
    pub(super) fn folder(&self) -> Option<&str> {
        let mut names = self.members.keys();
        names.find_map(|name| name.strip_suffix("data.pkl"))
    }

    /// Where the bytes of a member begin that is not compressed; all of them lie within the file.
    pub(super) fn stored<R: Read + Seek>(
        &self,
        reader: &mut R,
        member: Member,
    ) -> Result<u64, WeightsError> {
        match member.method == 0 && member.packed == member.bytes {
            true => self.start(reader, member),
            false => bad("a member of it is compressed"),
        }
    }

    /// Where the bytes of a member begin, as they are stored; all of them lie within the file.
    ///
    /// # Errors
    ///
    /// [`WeightsError`], where the member is not where the directory says.
    pub fn start<R: Read + Seek>(
        &self,
        reader: &mut R,
        member: Member,
    ) -> Result<u64, WeightsError> {
        let mut local = [0; 30];
        reader.seek(SeekFrom::Start(member.header))?;
        reader.read_exact(&mut local)?;
        if !local.starts_with(b"PK\x03\x04") {
            return bad("a member is not where its directory says");
        }
        let header = 30 + u16_at(&local, 26) + u16_at(&local, 28);
        let start = member.header.saturating_add(header);
        if start
            .checked_add(member.packed)
            .is_none_or(|end| end > self.length)
        {
            return bad("a member is longer than the file: it was cut off");
        }
        Ok(start)
    }
}

/// The ZIP64 part of a member's extra fields.
fn zip64(mut extra: &[u8]) -> &[u8] {
    while extra.len() >= 4 {
        let (id, bytes) = (u16_at(extra, 0), u16_at(extra, 2) as usize);
        let end = extra.len().min(4 + bytes);
        if id == 1 {
            return &extra[4..end];
        }
        extra = &extra[end..];
    }
    &[]
}
