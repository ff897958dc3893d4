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

/// An existing card whose header has all keys. Those that it had stay as they are, but for the evaluation, and for pictures that
/// were removed.
pub fn completed(
    card: &str,
    config: &Config,
    pictures: &[String],
    evaluation: Option<&Evaluation>,
) -> String {
    let (before, text) = Header::split(card);
    let header = before
        .without_removed(pictures)
        .completed(Header::of(config, pictures, evaluation));
    format!("{}{text}", header.render())
}

/// The pictures of a bundle, as paths relative to its folder: by name, then those of a guidance strength by its value.
/// `real.png` shows what it learned from, not what it draws.
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
        let path = format!("{PICTURES}/{name}");
        if is_drawn(&path) {
            found.push(path);
        }
    }
    found.sort_by(|a, b| {
        let [of_a, of_b] = [a, b].map(|path| guidance_of(path));
        let by_value = of_a.unwrap_or(0.0).total_cmp(&of_b.unwrap_or(0.0));
        (of_a.is_some().cmp(&of_b.is_some()))
            .then(by_value)
            .then(a.cmp(b))
    });
    Ok(found)
}

/// Whether a path is that of a picture that the model drew.
fn is_drawn(path: &str) -> bool {
    let name = path
        .strip_prefix(PICTURES)
        .and_then(|rest| rest.strip_prefix('/'));
    name.is_some_and(|name| name.ends_with(".png") && name != "real.png")
}

/// w of the picture at `images/w2.png`.
fn guidance_of(path: &str) -> Option<f64> {
    let name = path.strip_prefix(PICTURES)?.strip_prefix("/w")?;
    let w: f64 = name.strip_suffix(".png")?.parse().ok()?;
    w.is_finite().then_some(w)
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
    fn pictures_are_in_the_order_of_their_strengths() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(PICTURES);
        assert!(pictures(folder.path()).unwrap().is_empty());
        fs::create_dir(&place).unwrap();
        for name in [
            "w10.png",
            "w0.5.png",
            "w0.png",
            "w-1.png",
            "w2.png",
            "samples.png",
            "winf.png",
            "real.png",
            "notes.txt",
        ] {
            fs::write(place.join(name), "").unwrap();
        }
        let found = pictures(folder.path()).unwrap().join(" ");
        assert_eq!(
            found.replace("images/", ""),
            "samples.png winf.png w-1.png w0.png w0.5.png w2.png w10.png"
        );
    }

    #[test]
    fn a_removed_picture_leaves_its_card() {
        let all = ["images/w0.png".to_owned(), "images/w2.png".to_owned()];
        let card = new(&config(), &all, None);
        let left = completed(&card, &config(), &all[1..], None);
        let entry = "  - text: \"w = 0\"\n    output:\n      url: \"images/w0.png\"\n";
        assert!(card.contains(entry) && !left.contains(entry), "{left}");
        assert!(left.contains("\"w = 2\""), "{left}");
        assert!(!completed(&card, &config(), &[], None).contains("widget"));
        // Words, other places and other formats are somebody's own.
        let own = "---\nwidget:\n- text: mine\n  output: { url: a.png }\n- output:\n    url: 'images/real.png'\n- output:\n    url: images/gone.png\n---\n";
        let kept = completed(own, &config(), &all, None);
        let expected = "---\nwidget:\n- text: mine\n  output: { url: a.png }\n- output:\n    url: 'images/real.png'\nlibrary_name";
        assert!(kept.starts_with(expected), "{kept}");
        let inline = "---\nwidget: []\n---\n";
        assert!(completed(inline, &config(), &all, None).starts_with("---\nwidget: []\n"));
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
