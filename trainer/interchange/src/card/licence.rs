//! The hub's keys for a licence, from the words of a recipe.

use super::header::quoted;

/// Identifiers that the hub knows, which are SPDX's in lower case.
const KNOWN: [&str; 21] = [
    "0bsd",
    "agpl-3.0",
    "apache-2.0",
    "artistic-2.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsl-1.0",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "epl-2.0",
    "gpl-2.0",
    "gpl-3.0",
    "isc",
    "lgpl-3.0",
    "mit",
    "mpl-2.0",
    "unlicense",
];

/// The keys with their lines. Terms that the hub does not know are `other`, and the card's text states them.
pub fn keys(licence: &str) -> Vec<(&'static str, String)> {
    if licence.trim().is_empty() {
        return Vec::new();
    }
    let lower = licence.to_lowercase();
    let parts: Vec<&str> = lower.split(" or ").flat_map(|p| p.split(" and ")).collect();
    let ids: Vec<&str> = parts.iter().map(|part| part.trim()).collect();
    match ids.as_slice() {
        ids if !ids.iter().all(|id| KNOWN.contains(id)) => vec![
            ("license", "license: other\n".to_owned()),
            (
                "license_name",
                format!("license_name: {}\n", quoted("terms-of-the-data")),
            ),
            (
                "license_link",
                format!("license_link: {}\n", quoted("README.md")),
            ),
        ],
        [id] => vec![("license", format!("license: {id}\n"))],
        ids => {
            let list: String = ids.iter().map(|id| format!("  - {id}\n")).collect();
            vec![("license", format!("license:\n{list}"))]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_identifiers_where_the_hub_has_them() {
        let first = |text: &str| keys(text).first().map(|(_, lines)| lines.clone());
        assert_eq!(first("CC-BY-4.0").unwrap(), "license: cc-by-4.0\n");
        let two = "license:\n  - mit\n  - apache-2.0\n";
        assert_eq!(first("MIT OR Apache-2.0").unwrap(), two);
        assert_eq!(first("For research only").unwrap(), "license: other\n");
        assert_eq!(first(" "), None);
    }
}
