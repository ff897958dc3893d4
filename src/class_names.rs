//! The names of a model's classes.

use std::fmt;
use std::ops::{Index, Range};

use serde::de::{DeserializeSeed, Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most classes of a model.
pub const MAX_CLASSES: usize = 100_000;
/// The most bytes of a class's name.
pub const MAX_CLASS_NAME: usize = 1024;

/// The class names of a model. The id of a class is the index of its name.
///
/// All names are stored in one string, with four more bytes for each, so that a list of a hundred thousand short names
/// takes no more memory than its JSON.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ClassNames {
    text: String,
    /// The end of each name in the text.
    ends: Vec<u32>,
}

impl ClassNames {
    /// The number of classes.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no classes.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The name of class `id`.
    pub fn get(&self, id: usize) -> Option<&str> {
        self.text.get(self.span(id)?)
    }

    /// The id of the class of that name.
    pub fn id(&self, name: &str) -> Option<usize> {
        self.iter().position(|known| known == name)
    }

    /// The names, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.len()).map(|id| &self[id])
    }

    /// A name that occurs twice.
    pub fn duplicate(&self) -> Option<&str> {
        let mut ids: Vec<u32> = (0..self.ends.len() as u32).collect();
        ids.sort_unstable_by_key(|&id| &self[id as usize]);
        let mut pairs = ids.windows(2).map(|pair| [pair[0], pair[1]]);
        let found = pairs.find(|pair| self[pair[0] as usize] == self[pair[1] as usize]);
        found.map(|[first, _]| &self[first as usize])
    }

    fn span(&self, id: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(id)? as usize;
        let start = id.checked_sub(1).map_or(0, |last| self.ends[last] as usize);
        Some(start..end)
    }

    /// Adds a name.
    fn push(&mut self, name: &str) {
        // Grows by an eighth: doubling would briefly need three times the memory.
        if self.text.capacity() - self.text.len() < name.len() {
            self.text
                .reserve_exact(name.len() + self.text.len() / 8 + 64);
        }
        if self.ends.capacity() == self.ends.len() {
            self.ends.reserve_exact(self.ends.len() / 8 + 16);
        }
        self.text.push_str(name);
        self.ends.push(self.text.len() as u32);
    }
}

impl Index<usize> for ClassNames {
    type Output = str;

    /// The name of class `id`.
    ///
    /// # Panics
    ///
    /// If there is no such class.
    fn index(&self, id: usize) -> &str {
        let span = self.span(id);
        &self.text[span.unwrap_or_else(|| panic!("class {id} of {}", self.len()))]
    }
}

impl fmt::Debug for ClassNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<S: AsRef<str>> FromIterator<S> for ClassNames {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut all = Self::default();
        names.into_iter().for_each(|name| all.push(name.as_ref()));
        all
    }
}

impl Serialize for ClassNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ClassNames {
    /// Checks the number of names and their lengths while reading.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = ClassNames;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of class names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ClassNames, A::Error> {
                let mut names = ClassNames::default();
                while names.len() < MAX_CLASSES {
                    if seq.next_element_seed(Name(&mut names))?.is_none() {
                        return Ok(names);
                    }
                }
                let mut count = MAX_CLASSES;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                match count {
                    MAX_CLASSES => Ok(names),
                    _ => Err(A::Error::custom(format_args!(
                        "there are {count} classes; at most {MAX_CLASSES} are allowed"
                    ))),
                }
            }
        }
        deserializer.deserialize_seq(Names)
    }
}

/// The next name of a list.
struct Name<'a>(&'a mut ClassNames);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a class")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<(), E> {
        let id = self.0.len();
        match name.len() {
            0 => Err(E::custom(format_args!("the name of class {id} is empty"))),
            1..=MAX_CLASS_NAME => {
                self.0.push(name);
                Ok(())
            }
            bytes => Err(E::custom(format_args!(
                "the name of class {id} has {bytes} bytes; at most {MAX_CLASS_NAME} are allowed"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ClassNames, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn names_are_read_and_written_as_a_list() {
        let names = read(r#"["sun", "κύμα", "\u0000", "sun "]"#).unwrap();
        assert_eq!(
            names.iter().collect::<Vec<_>>(),
            ["sun", "κύμα", "\0", "sun "]
        );
        assert_eq!(names.iter().len(), 4);
        assert_eq!((&names[1], names.get(4)), ("κύμα", None));
        assert_eq!((names.id("sun "), names.id("moon")), (Some(3), None));
        assert_eq!(names.duplicate(), None);
        assert_eq!(read(&serde_json::to_string(&names).unwrap()), Ok(names));
        assert!(read("[]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_list_of_names_is_refused() {
        let refused = |json: &str, why: &str| {
            let error = read(json).unwrap_err();
            assert!(error.contains(why), "{json:.40}: {error}");
        };
        refused(r#"["a", ""]"#, "the name of class 1 is empty");
        refused(r#"["a", 1]"#, "expected the name of a class");
        refused(r#""a""#, "expected a list of class names");
        let long = "n".repeat(MAX_CLASS_NAME);
        assert_eq!(read(&format!("[{long:?}]")).unwrap().len(), 1);
        refused(&format!("[\"{long}n\"]"), "class 0 has 1025 bytes");
    }

    #[test]
    fn a_name_that_stands_twice_is_found_wherever_it_is() {
        let names = |names: &[&str]| names.iter().collect::<ClassNames>();
        assert_eq!(names(&["b", "a", "ab", "b"]).duplicate(), Some("b"));
        assert_eq!(names(&["ab", "a", "b"]).duplicate(), None);
    }

    #[test]
    fn as_many_are_read_as_a_model_may_have() {
        let list = |count: usize| {
            let names: Vec<String> = (0..count).map(|id| format!("{id}")).collect();
            serde_json::to_string(&names).unwrap()
        };
        let most = read(&list(MAX_CLASSES)).unwrap();
        assert_eq!((most.len(), &most[99_999]), (MAX_CLASSES, "99999"));
        let more = read(&list(MAX_CLASSES + 3)).unwrap_err();
        assert!(more.contains("100003 classes; at most 100000"), "{more}");
    }
}
