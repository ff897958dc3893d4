//! Suggestions for mistyped words.

use strsim::levenshtein;

/// The word of `known` that is closest to `typed`, if it is close enough to be meant.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |word: &&str| levenshtein(typed, word);
    let nearest = known.into_iter().min_by_key(distance)?;
    (distance(&nearest) <= typed.chars().count().max(2) / 2).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_meant() {
        let known = ["steps", "batch", "learning_rate"];
        assert_eq!(nearest("bach", known), Some("batch"));
        assert_eq!(nearest("setps", known), Some("steps"));
        assert_eq!(nearest("learningrate", known), Some("learning_rate"));
        assert_eq!(nearest("große", ["größe"]), Some("größe"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
