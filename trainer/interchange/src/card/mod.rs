//! Model cards: `README.md` of a bundle, with a header in YAML that the Hugging Face hub reads.
//!
//! The keys are those of <https://huggingface.co/docs/hub/model-cards>. The text of a card that exists is never changed,
//! and its header keeps what somebody wrote there.

mod header;
mod licence;
mod text;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use freeguide::bundle::Config;

use header::Header;

/// The name of a card's file.
pub const CARD_FILE: &str = "README.md";
/// The folder of its pictures.
pub const PICTURES: &str = "images";

/// What an evaluation measured of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The path of the data set.
    pub data: String,
    /// The number of images drawn for each row.
    pub samples: usize,
    /// One row for each setting.
    pub rows: Vec<Row>,
}

/// The figures of one setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// w.
    pub guidance: f64,
    /// T.
    pub steps: usize,
    /// The name of the solver.
    pub sampler: String,
    /// Metrics, by their names with the feature network: `FD-resnet56`.
    pub metrics: Vec<(String, f64)>,
}

/// A card for a model without one. `pictures` are paths relative to its folder.
pub fn new(config: &Config, pictures: &[String], evaluation: Option<&Evaluation>) -> String {
    let header = Header::of(config, pictures, evaluation);
    format!(
        "{}\n{}",
        header.render(),
        text::text(config, pictures, evaluation)
    )
}

/// An existing card whose header has all keys. Those that it had stay as they are, but for the evaluation.
pub fn completed(
    card: &str,
    config: &Config,
    pictures: &[String],
    evaluation: Option<&Evaluation>,
) -> String {
    let (before, text) = Header::split(card);
    let header = before.completed(Header::of(config, pictures, evaluation));
    format!("{}{text}", header.render())
}

/// The pictures of a bundle, as paths relative to its folder, in the order of their names. `real.png` shows what it
/// learned from, not what it draws.
///
/// # Errors
/// If the folder cannot be read.
pub fn pictures(folder: &Path) -> Result<Vec<String>> {
    let place = folder.join(PICTURES);
    let entries = match fs::read_dir(&place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| place.display().to_string())?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry
            .with_context(|| place.display().to_string())?
            .file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(".png") && name != "real.png" {
            found.push(format!("{PICTURES}/{name}"));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let model = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/tiny-model/config.json"
        );
        Config::parse(&fs::read_to_string(model).unwrap()).unwrap()
    }

    fn evaluation() -> Evaluation {
        Evaluation {
            data: "data/shapes/".into(),
            samples: 500,
            rows: vec![Row {
                guidance: 0.5,
                steps: 16,
                sampler: "ddim".into(),
                metrics: vec![("FD-resnet56".into(), 1.25)],
            }],
        }
    }

    #[test]
    fn a_new_card_says_what_the_hub_asks_for() {
        let card = new(&config(), &["images/w2.png".into()], Some(&evaluation()));
        for line in [
            "---\nlibrary_name: freeguide\n",
            "\npipeline_tag: unconditional-image-generation\n",
            "\nlicense:\n  - mit\n  - apache-2.0\n",
            "\nwidget:\n  - text: \"w = 2\"\n    output:\n      url: \"images/w2.png\"\n",
            "\nmodel-index:\n  - name: \"tiny\"\n",
            "          type: \"shapes\"\n",
            "{ type: \"fd-resnet56\", name: \"FD-resnet56, w = 0.5\", value: 1.25, args: { guidance: 0.5, steps: 16, \
             sampler: \"ddim\" } }\n",
            "\n---\n\n# tiny\n",
            "disc, square, triangle",
            "| 0.5 | 1.25 |",
        ] {
            assert!(card.contains(line), "{line:?} is not in:\n{card}");
        }
        let plain = new(&config(), &[], None);
        assert!(!plain.contains("widget") && !plain.contains("model-index"));
    }

    #[test]
    fn what_somebody_wrote_stays() {
        let old = "---\nlicense: other\nlicense_name: mine\ntags:\n  - cats\n# a note\nmodel-index:\n  - name: old\n---\n\n# Cats\n---\nText\n";
        let card = completed(old, &config(), &[], Some(&evaluation()));
        let kept = "---\nlicense: other\nlicense_name: mine\ntags:\n  - cats\n# a note\nlibrary_name: freeguide\n";
        assert!(card.starts_with(kept), "{card}");
        assert!(card.ends_with("\n---\n\n# Cats\n---\nText\n"), "{card}");
        assert!(!card.contains("name: old") && card.contains("FD-resnet56"));
        assert_eq!(card, completed(&card, &config(), &[], Some(&evaluation())));
        // Without an evaluation, the old one stays.
        assert!(completed(old, &config(), &[], None).contains("name: old"));
    }

    #[test]
    fn a_text_without_a_header_gets_one() {
        for text in ["# Cats\n", "", "--- no header\n", "---\nnever closed\n"] {
            let card = completed(text, &config(), &[], None);
            assert!(card.starts_with("---\nlibrary_name: freeguide\n"), "{card}");
            assert!(card.ends_with(&format!("---\n{text}")), "{card}");
        }
        let windows = completed("---\r\nlicense: mit\r\n---\r\ntext", &config(), &[], None);
        assert!(
            windows.starts_with("---\nlicense: mit\nlibrary_name"),
            "{windows}"
        );
        assert!(windows.ends_with("\n---\ntext"), "{windows}");
    }

    #[test]
    fn a_line_in_a_name_cannot_end_the_header() {
        let mut config = config();
        config.name = "a\n---\nb: \"c\"".into();
        let card = new(&config, &[], Some(&evaluation()));
        assert!(card.contains(r#"  - name: "a\n---\nb: \"c\"""#), "{card}");
    }
}
