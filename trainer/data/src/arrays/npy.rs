//! The header of a NumPy array, `.npy`.

/// What the header of an array says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Npy {
    /// What its numbers are: `|u1` is a byte, `<i8` an integer of 64 bits.
    pub descr: String,
    /// Its sizes.
    pub dims: Vec<u64>,
    /// Where its numbers begin.
    pub start: u64,
}

/// The most bytes of a header that are read; those of plain arrays have 128.
pub const MOST_BYTES: u64 = 4096;

/// The most dimensions of an array.
const MOST_DIMS: usize = 8;

impl Npy {
    /// Reads the header at the beginning of a file; the error is for people.
    pub fn read(begins: &[u8]) -> Result<Self, String> {
        let rest = begins
            .strip_prefix(b"\x93NUMPY")
            .ok_or("it does not begin as an array of NumPy's")?;
        let (length, at) = match rest {
            [1, _, a, b, ..] => (u32::from(u16::from_le_bytes([*a, *b])), 10),
            [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]), 12),
            _ => return Err("its version is not known".into()),
        };
        let start = at + u64::from(length);
        let text = begins
            .get(at as usize..start as usize)
            .ok_or("its header is too long, or was cut off")?;
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        if value(text, "fortran_order") != Some("False") {
            return Err("it is stored column by column".into());
        }
        let descr = value(text, "descr").and_then(quoted);
        let descr = descr.ok_or("its numbers are of a kind that is not known")?;
        let dims = value(text, "shape").and_then(sizes);
        Ok(Self {
            descr: descr.into(),
            dims: dims.ok_or("its shape is not known")?,
            start,
        })
    }
}

/// The value of a key in a dictionary that Python wrote, up to what ends it.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("'{key}':"))?;
    let after = after.trim_start();
    let end = match after.starts_with('(') {
        true => after.find(')')? + 1,
        false => after.find([',', '}'])?,
    };
    Some(after[..end].trim())
}

fn quoted(value: &str) -> Option<&str> {
    value.strip_prefix('\'')?.strip_suffix('\'')
}

/// The numbers of a tuple.
fn sizes(value: &str) -> Option<Vec<u64>> {
    let inner = value.strip_prefix('(')?.strip_suffix(')')?;
    let parts = inner.split(',').map(str::trim).filter(|p| !p.is_empty());
    let sizes: Option<Vec<u64>> = parts.take(MOST_DIMS + 1).map(|p| p.parse().ok()).collect();
    sizes.filter(|sizes| sizes.len() <= MOST_DIMS)
}

/// How an integer of a kind is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    /// Bytes of one.
    pub bytes: usize,
    signed: bool,
    big_endian: bool,
}

impl Integer {
    /// The integers that `descr` says, if it says integers.
    pub fn of(descr: &str) -> Option<Self> {
        let &[order, letter @ (b'u' | b'i'), digit] = descr.as_bytes() else {
            return None;
        };
        let bytes = match digit {
            b'1' | b'2' | b'4' | b'8' => usize::from(digit - b'0'),
            _ => return None,
        };
        matches!(order, b'|' | b'<' | b'>').then_some(Self {
            bytes,
            signed: letter == b'i',
            big_endian: order == b'>',
        })
    }

    /// One number of these bytes.
    pub fn value(&self, bytes: &[u8]) -> Option<f64> {
        let fill = if self.is_negative(bytes) { 0xff } else { 0 };
        let number = i128::from_le_bytes(std::array::from_fn(|at| {
            let place = match self.big_endian {
                true => bytes.len().checked_sub(1 + at),
                false => Some(at),
            };
            place
                .and_then(|place| bytes.get(place))
                .copied()
                .unwrap_or(fill)
        }));
        Some(number as f64)
    }

    fn is_negative(&self, bytes: &[u8]) -> bool {
        let first = if self.big_endian {
            bytes.first()
        } else {
            bytes.last()
        };
        self.signed && first.is_some_and(|byte| byte & 0x80 != 0)
    }

    /// One number of these bytes; none where it is below 0 or no id.
    pub fn id(&self, bytes: &[u8]) -> Option<u32> {
        let mut wide = [0; 8];
        for (at, &byte) in bytes.iter().enumerate() {
            let place = match self.big_endian {
                true => bytes.len() - 1 - at,
                false => at,
            };
            wide[place] = byte;
        }
        let negative = self.signed && wide[bytes.len() - 1] & 0x80 != 0;
        let number = u64::from_le_bytes(wide);
        (!negative).then(|| u32::try_from(number).ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn headers_say_kind_shape_and_place() {
        let text = "{'descr': '|u1', 'fortran_order': False, 'shape': (12, 28, 28), }   \n";
        let npy = Npy::read(&header(text)).unwrap();
        assert_eq!(
            (npy.descr.as_str(), &npy.dims[..]),
            ("|u1", &[12, 28, 28][..])
        );
        assert_eq!(npy.start, 10 + text.len() as u64);
        let one = Npy::read(&header(
            "{'shape': (3,), 'descr': '<i8', 'fortran_order': False}",
        ));
        assert_eq!(one.unwrap().dims, [3]);
        for bad in [
            "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2)}",
            "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,)}",
            "{'descr': '|u1', 'fortran_order': False, 'shape': (-2,)}",
            "{'descr': '|u1', 'fortran_order': False}",
            "",
        ] {
            assert!(Npy::read(&header(bad)).is_err(), "{bad}");
        }
        assert!(Npy::read(b"PK").is_err());
        assert!(Npy::read(&header("{")[..9]).is_err());
    }

    #[test]
    fn integers_of_every_kind() {
        let id = |descr: &str, bytes: &[u8]| Integer::of(descr).unwrap().id(bytes);
        assert_eq!(id("|u1", &[200]), Some(200));
        assert_eq!(id("|i1", &[200]), None);
        assert_eq!(id("<i8", &[7, 1, 0, 0, 0, 0, 0, 0]), Some(263));
        assert_eq!(id(">i4", &[0, 0, 1, 7]), Some(263));
        assert_eq!(id("<i2", &[0xff, 0xff]), None);
        assert_eq!(id("<u8", &[0, 0, 0, 0, 1, 0, 0, 0]), None);
        let value = |descr: &str, bytes: &[u8]| Integer::of(descr).unwrap().value(bytes);
        assert_eq!(value("|i1", &[0xff]), Some(-1.0));
        assert_eq!(value("<i4", &[7, 1, 0, 0]), Some(263.0));
        assert_eq!(value(">i2", &[0xff, 0xfe]), Some(-2.0));
        assert_eq!(value("|u1", &[200]), Some(200.0));
        for no in ["<f4", "|b1", "<U5", "|O", "u1", ""] {
            assert_eq!(Integer::of(no), None, "{no}");
        }
    }
}
