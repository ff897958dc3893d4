//! The text of a new card, in Markdown.

use freeguide::bundle::Config;

use super::Evaluation;

/// Everything below the header.
pub fn text(config: &Config, pictures: &[String], evaluation: Option<&Evaluation>) -> String {
    let mut parts = vec![format!("# {}", plain(&config.name)), introduction(config)];
    parts.extend((pictures.iter()).map(|path| format!("![pictures that the model drew]({path})")));
    parts.push(format!("## Use\n\n{}", usage(config)));
    parts.push(format!("## Training\n\n{}", training(config)));
    parts.extend(evaluation.map(|evaluation| format!("## Evaluation\n\n{}", table(evaluation))));
    parts.extend(licence(config));
    parts.join("\n\n") + "\n"
}

fn introduction(config: &Config) -> String {
    let (size, kind) = (
        config.image.size,
        if config.image.channels == 1 {
            "grey"
        } else {
            "colour"
        },
    );
    let classes: Vec<_> = config.classes.iter().map(plain).collect();
    if classes.is_empty() {
        return format!(
            "An unconditional diffusion model of {size}×{size} pixels in {kind}, for freeguide: it draws natively and in browsers."
        );
    }
    let guidance = match config.null_class {
        true => {
            " One network serves as the conditional and the unconditional model (classifier-free guidance, Ho & Salimans 2022)."
        }
        false => " It has no unconditional model, and so no guidance.",
    };
    format!(
        "A class-conditional diffusion model of {size}×{size} pixels in {kind}, for freeguide: it draws natively and in browsers.{guidance}\n\nClasses ({}): {}.",
        classes.len(),
        classes.join(", ")
    )
}

fn usage(config: &Config) -> String {
    let guidance = match config.null_class && !config.classes.is_empty() {
        true => format!(" --guidance {}", config.sampling.guidance),
        false => String::new(),
    };
    format!(
        "This folder is a bundle.\n\n```sh\nfreeguide sample --model .{guidance} --seed 1 --count 16 --out grid.png\n```\n\n```html\n<script type=\"module\" src=\"./freeguide/dist/element.js\"></script>\n<freeguide-sampler model=\"./\"></freeguide-sampler>\n```"
    )
}

fn training(config: &Config) -> String {
    let origin = &config.provenance;
    let mut lines = vec![
        "| | |".to_owned(),
        "|---|---|".to_owned(),
        format!("| parameters | {} |", origin.parameters),
    ];
    let mut row = |what: &str, value: String| {
        if !matches!(value.as_str(), "" | "0") {
            lines.push(format!("| {what} | {} |", plain(&value)));
        }
    };
    row("data", origin.dataset.clone());
    row("recipe", origin.recipe.clone());
    row("steps", origin.steps.to_string());
    row(
        "images seen, with repetition",
        origin.images_seen.to_string(),
    );
    row("p_uncond", origin.p_uncond.to_string());
    row(
        "decay of the averaged weights",
        origin.ema_decay.to_string(),
    );
    lines.join("\n")
}

/// One row for each setting, one column for each metric.
fn table(evaluation: &Evaluation) -> String {
    let Some(first) = evaluation.rows.first() else {
        return String::new();
    };
    let names: Vec<_> = first.metrics.iter().map(|(name, _)| plain(name)).collect();
    let mut lines = vec![
        format!("| w | {} |", names.join(" | ")),
        format!("|---|{}", "---|".repeat(names.len())),
    ];
    for row in &evaluation.rows {
        let values: Vec<_> = row.metrics.iter().map(|(_, v)| format!("{v}")).collect();
        lines.push(format!("| {} | {} |", row.guidance, values.join(" | ")));
    }
    lines.push(format!(
        "\n{} images a row, {}, {} steps.",
        evaluation.samples, first.sampler, first.steps
    ));
    lines.join("\n")
}

fn licence(config: &Config) -> Option<String> {
    let origin = &config.provenance;
    let words = [&origin.license, &origin.attribution];
    let words: Vec<_> = words.into_iter().filter(|text| !text.is_empty()).collect();
    let paragraphs: Vec<_> = words.into_iter().map(|text| plain(text)).collect();
    (!paragraphs.is_empty()).then(|| format!("## Licence\n\n{}", paragraphs.join("\n\n")))
}

/// A text on one line, in which no character means something to Markdown.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' | '<' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
