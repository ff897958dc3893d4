//! The wire format of protocol buffers, read in place. Nothing is allocated, however many messages a file claims to
//! contain. (A message of a few bytes takes hundreds of bytes as a struct.)

use thiserror::Error;

/// The bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is cut off or not a protocol buffer")]
pub struct NoMessage;

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// An integer.
    Number(u64),
    /// A string, a message or packed numbers.
    Bytes(&'a [u8]),
    /// Four or eight bytes, which no field that is read here has.
    Fixed,
}

/// The fields of a message with their numbers, in order.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a>(pub &'a [u8]);

impl<'a> Message<'a> {
    /// All occurrences of field `number`.
    pub fn every(self, number: u64) -> impl Iterator<Item = Field<'a>> {
        self.filter_map(move |field| match field {
            Ok((found, field)) if found == number => Some(field),
            _ => None,
        })
    }

    /// The messages or strings in field `number`.
    pub fn bytes(self, number: u64) -> impl Iterator<Item = &'a [u8]> {
        self.every(number).filter_map(|field| match field {
            Field::Bytes(bytes) => Some(bytes),
            _ => None,
        })
    }

    /// The messages in field `number`.
    pub fn messages(self, number: u64) -> impl Iterator<Item = Message<'a>> {
        self.bytes(number).map(Message)
    }

    /// The last string in field `number`; empty if there is none.
    pub fn text(self, number: u64) -> &'a str {
        let bytes = self.bytes(number).last().unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The last integer in field `number`.
    pub fn number(self, number: u64) -> Option<u64> {
        let numbers = self.every(number).filter_map(|field| match field {
            Field::Number(number) => Some(number),
            _ => None,
        });
        numbers.last()
    }

    /// Checks that its fields fill it exactly.
    ///
    /// # Errors
    ///
    /// [`NoMessage`], if they do not.
    pub fn check(mut self) -> Result<(), NoMessage> {
        self.try_for_each(|field| field.map(|_| ()))
    }

    /// Its bytes as integers, as in a packed field. The last one is [`NoMessage`] if it is cut off.
    pub fn varints(mut self) -> impl Iterator<Item = Result<u64, NoMessage>> {
        std::iter::from_fn(move || {
            if self.0.is_empty() {
                return None;
            }
            let number = self.varint();
            if number.is_err() {
                self.0 = &[];
            }
            Some(number)
        })
    }

    fn field(&mut self) -> Result<(u64, Field<'a>), NoMessage> {
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Number(self.varint()?),
            1 => self.take(8).map(|_| Field::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| NoMessage)?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Fixed)?,
            _ => return Err(NoMessage),
        };
        match key >> 3 {
            0 => Err(NoMessage),
            number => Ok((number, field)),
        }
    }

    fn varint(&mut self) -> Result<u64, NoMessage> {
        let mut value = 0;
        for place in 0..10 {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(NoMessage)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], NoMessage> {
        let (taken, left) = self.0.split_at_checked(length).ok_or(NoMessage)?;
        self.0 = left;
        Ok(taken)
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<(u64, Field<'a>), NoMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_type_are_read_and_the_last_counts() {
        // 1: 300; 2: "ab"; 3: four bytes; 4: eight bytes; 1: 7.
        let bytes = [
            0x08, 0xac, 0x02, 0x12, 2, b'a', b'b', 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8,
            0x08, 7,
        ];
        let message = Message(&bytes);
        assert_eq!(message.check(), Ok(()));
        assert_eq!((message.number(1), message.number(2)), (Some(7), None));
        assert_eq!((message.text(2), message.text(3)), ("ab", ""));
        assert_eq!(message.every(1).count(), 2);
    }

    #[test]
    fn what_is_cut_off_or_out_of_range_is_no_message() {
        let endless = [0xff; 11];
        let hostile: [&[u8]; 6] = [
            &[0x08],
            &[0x12, 3, 1, 2],
            &[0x0b],
            &[0x00, 1],
            &[
                0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            &endless,
        ];
        for bytes in hostile {
            assert_eq!(Message(bytes).check(), Err(NoMessage), "{bytes:?}");
        }
        assert_eq!(Message(&[]).check(), Ok(()));
    }
}
