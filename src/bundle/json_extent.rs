//! The longest string and the deepest nesting of JSON, measured before it is parsed. serde_json copies a string with
//! escapes into a buffer that doubles as it grows, and keeps a byte for every open list. Either could take three times the
//! file's size.

/// The deepest nesting of lists and objects.
const MAX_DEPTH: usize = 64;

/// The extent of a JSON text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Extent {
    /// The bytes of the longest string, between its quotation marks.
    text: usize,
    /// The depth of nested lists and objects.
    depth: usize,
}

/// Checks that no string of a text, which may be JSON, has more than `longest` bytes, and that it is not nested deeper than
/// `MAX_DEPTH`.
///
/// # Errors
///
/// A message about the limit that is exceeded.
pub fn check_extent(json: &[u8], longest: usize) -> Result<(), String> {
    let Extent { text, depth } = extent(json);
    if text > longest {
        return Err(format!(
            "a string in it has {text} bytes; at most {longest} are allowed"
        ));
    }
    if depth > MAX_DEPTH {
        return Err(format!(
            "it is nested {depth} deep; at most {MAX_DEPTH} is allowed"
        ));
    }
    Ok(())
}

fn extent(json: &[u8]) -> Extent {
    let mut most = Extent::default();
    let mut now = Extent::default();
    let (mut inside, mut escaped) = (false, false);
    for &byte in json {
        if inside && (escaped || byte != b'"') {
            escaped = !escaped && byte == b'\\';
            now.text += 1;
            most.text = most.text.max(now.text);
            continue;
        }
        match byte {
            b'"' => (inside, now.text) = (!inside, 0),
            b'[' | b'{' => now.depth += 1,
            b']' | b'}' => now.depth = now.depth.saturating_sub(1),
            _ => {}
        }
        most.depth = most.depth.max(now.depth);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_measured_between_their_marks_and_lists_outside_of_texts() {
        let found = [
            r#"{"a": "bcd", "e": 123456}"#,
            r#"["\"\\", "a"]"#,
            r#"["ab\"#,
            r#"[[{}], "[[[[", []]"#,
            "",
        ]
        .map(|json| extent(json.as_bytes()));
        let expected = [(3, 1), (4, 1), (3, 1), (4, 3), (0, 0)];
        assert_eq!(found, expected.map(|(text, depth)| Extent { text, depth }));
    }
}
