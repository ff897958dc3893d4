//! Changes of a file such as damage and malice make.

/// Numbers from a seed (xorshift64*, Vigna 2016).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`, which is above 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Numbers at which readers trip.
const ODD: [u64; 12] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_fffe,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX,
];

/// Texts at which readers of JSON trip.
const WORDS: [&str; 14] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "0.5",
    "\\u0000",
    "[[[[[[[[",
    "\"F32\"",
];

/// Changes `bytes` in one to six places, with pieces of `other`.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(6) {
        if bytes.is_empty() {
            bytes.push(0);
        }
        let at = random.below(bytes.len());
        match random.below(10) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next() as u8,
            3 => {
                let width = [1, 2, 4, 8][random.below(4)];
                let number = ODD[random.below(ODD.len())].to_le_bytes();
                let end = bytes.len().min(at + width);
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            4 => {
                let end = (at + 1 + random.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let end = (at + 1 + random.below(256)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let times = 1 + random.below(64);
                bytes.splice(at..at, piece.repeat(times));
            }
            6 if !other.is_empty() => {
                let start = random.below(other.len());
                let end = (start + 1 + random.below(512)).min(other.len());
                bytes.splice(at..at, other[start..end].iter().copied());
            }
            7 => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
            8 => {
                // A number that is written out becomes another.
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    let start = at + digit;
                    let digits = bytes[start..]
                        .iter()
                        .take_while(|b| b.is_ascii_digit())
                        .count();
                    let number = ODD[random.below(ODD.len())].to_string();
                    bytes.splice(start..start + digits, number.bytes());
                }
            }
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
}
