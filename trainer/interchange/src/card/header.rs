//! The header of a card, as keys with their lines. It is YAML, of which only the keys at its left edge are read.

use std::path::Path;

use freeguide::bundle::Config;

use super::{Evaluation, guidance_of, is_drawn, licence};

/// The line above and below a header.
const FENCE: &str = "---";
/// The key that a new evaluation replaces.
const EVALUATION: &str = "model-index";
/// The key of the pictures that the hub shows.
const WIDGET: &str = "widget";
/// What the hub files models under.
const TASK: &str = "unconditional-image-generation";

/// The keys of a header in their order, each with all its lines.
#[derive(Debug, Default)]
pub struct Header(Vec<(String, String)>);

impl Header {
    /// The header of a model.
    pub fn of(config: &Config, pictures: &[String], evaluation: Option<&Evaluation>) -> Self {
        let mut header = Self::default();
        header.put("library_name", "library_name: freeguide\n".to_owned());
        header.put("pipeline_tag", format!("pipeline_tag: {TASK}\n"));
        for (key, lines) in licence::keys(&config.provenance.license) {
            header.put(key, lines);
        }
        let tags = [
            "diffusion",
            "classifier-free-guidance",
            "webgpu",
            "freeguide",
        ];
        let tags: String = tags.iter().map(|tag| format!("  - {tag}\n")).collect();
        header.put("tags", format!("tags:\n{tags}"));
        if !pictures.is_empty() {
            let widget: String = pictures.iter().map(|path| picture(path)).collect();
            header.put(WIDGET, format!("{WIDGET}:\n{widget}"));
        }
        if let Some(evaluation) = evaluation {
            header.put(EVALUATION, model_index(config, evaluation));
        }
        header
    }

    fn put(&mut self, key: &str, lines: String) {
        self.0.push((key.to_owned(), lines));
    }

    /// The header of a card and the text below it. A text without a header has an empty one.
    pub fn split(card: &str) -> (Self, &str) {
        let mut header = Self::default();
        let mut lines = card.split_inclusive('\n');
        let Some(mut read) = lines
            .next()
            .filter(|first| first.trim_end() == FENCE)
            .map(str::len)
        else {
            return (header, card);
        };
        for line in lines {
            read += line.len();
            let line = line.trim_end();
            if line == FENCE {
                return (header, &card[read..]);
            }
            let indented = line.is_empty() || line.starts_with([' ', '\t', '#', '-']);
            let key = line.split_once(':').filter(|_| !indented);
            if key.is_some() || header.0.is_empty() {
                header.put(key.map_or("", |(key, _)| key), format!("{line}\n"));
            } else if let Some((_, lines)) = header.0.last_mut() {
                *lines += &format!("{line}\n");
            }
        }
        (Self::default(), card)
    }

    /// These keys, and those of `other` that are not among them. An evaluation in `other` replaces this one's. A licence is
    /// taken as a whole or not at all.
    pub fn completed(mut self, other: Self) -> Self {
        let has = |header: &Self, key: &str| header.0.iter().any(|(known, _)| known == key);
        let licensed = has(&self, "license");
        if has(&other, EVALUATION) {
            self.0.retain(|(key, _)| key != EVALUATION);
        }
        for (key, lines) in other.0 {
            let part = licensed && key.starts_with("license");
            if !part && !has(&self, &key) {
                self.0.push((key, lines));
            }
        }
        self
    }

    /// The header without the entries of its widget whose pictures were removed: `pictures` are those that are there.
    pub fn without_removed(mut self, pictures: &[String]) -> Self {
        for (key, lines) in &mut self.0 {
            if key == WIDGET {
                *lines = kept_entries(lines, pictures);
            }
        }
        self.0
            .retain(|(key, lines)| key != WIDGET || !lines.is_empty());
        self
    }

    /// The header with its fences.
    pub fn render(&self) -> String {
        let lines: String = self.0.iter().map(|(_, lines)| lines.as_str()).collect();
        format!("{FENCE}\n{lines}{FENCE}\n")
    }
}

/// The lines of a widget without the entries of removed pictures; nothing where no entry is left.
fn kept_entries(lines: &str, pictures: &[String]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for line in lines.split_inclusive('\n') {
        match parts.last_mut() {
            Some(part) if !line.trim_start().starts_with("- ") => *part += line,
            _ => parts.push(line.to_owned()),
        }
    }
    let removed = |entry: &str| {
        let urls = entry.lines().filter_map(|line| {
            let line = line.trim_start().trim_start_matches("- ");
            Some(line.strip_prefix("url:")?.trim().trim_matches(['"', '\'']))
        });
        let mut urls = urls.filter(|url| is_drawn(url));
        urls.any(|url| !pictures.iter().any(|picture| picture == url))
    };
    let all = parts.len();
    parts.retain(|part| !removed(part));
    if parts.len() == 1 && all > 1 {
        return String::new();
    }
    parts.concat()
}

/// An entry of the widget: `images/w2.png` shows w = 2.
fn picture(path: &str) -> String {
    let name = Path::new(path).file_stem().and_then(|name| name.to_str());
    let name = name.unwrap_or(path);
    let text = guidance_of(path).map_or_else(|| name.to_owned(), |w| format!("w = {w}"));
    format!(
        "  - text: {}\n    output:\n      url: {}\n",
        quoted(&text),
        quoted(path)
    )
}

/// The results in the form of papers with code: one, with a metric for each figure.
fn model_index(config: &Config, evaluation: &Evaluation) -> String {
    let data = evaluation.data.trim_end_matches(['/', '\\']);
    let name = match config.provenance.dataset.as_str() {
        "" => data,
        name => name,
    };
    // The folder of a split is called after the set that it is in.
    let mut folders = data.rsplit(['/', '\\']);
    let kind = folders.find(|name| !["train", "test", "val", "validation"].contains(name));
    let kind = kind.unwrap_or(data);
    let mut lines = format!(
        "{EVALUATION}:\n  - name: {}\n    results:\n      - task:\n          type: {TASK}\n        dataset:\n          \
         name: {}\n          type: {}\n        metrics:\n",
        quoted(&config.name),
        quoted(name),
        quoted(kind)
    );
    for row in &evaluation.rows {
        for (metric, value) in &row.metrics {
            let title = format!("{metric}, w = {}", row.guidance);
            lines += &format!(
                "          - {{ type: {}, name: {}, value: {value}, args: {{ guidance: {}, steps: {}, sampler: {} }} }}\n",
                quoted(&metric.to_lowercase().replace(' ', "-")),
                quoted(&title),
                row.guidance,
                row.steps,
                quoted(&row.sampler)
            );
        }
    }
    lines
}

/// A text in double quotes, which YAML reads as JSON does.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
