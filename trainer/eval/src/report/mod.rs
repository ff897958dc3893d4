//! The report: one HTML page, Markdown, CSV and JSON of the same figures.

mod html;
mod layout;
mod markdown;
mod pictures;
pub mod plot;
mod plots;
mod table_csv;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use super::measure::Measured;
use super::work::Work;
use freeguide_native::files::{create_folder, write_atomic};

pub use layout::{distance, figure, worse_floors};

/// Writes the report into the folder `out`: `index.html`, which is self-contained, `report.md` with its plots and
/// pictures in `plots/`, `table.csv` and `figures.json`.
///
/// # Errors
///
/// If something cannot be drawn or written.
pub fn write(work: &Work, measured: &Measured, out: &Path) -> Result<()> {
    let figures = &measured.figures;
    let plots = figures
        .networks
        .iter()
        .map(|network| plots::plots(figures, network))
        .collect::<Result<Vec<_>, String>>()
        .map_err(|e| anyhow!("cannot draw a plot: {e}"))?;
    let mut pictures = pictures::guidance_grids(work, figures)?;
    pictures.extend(pictures::nearest_pairs(work, measured)?);

    let folder = out.join("plots");
    create_folder(&folder)?;
    for plot in plots.iter().flatten() {
        write_atomic(&folder.join(&plot.file), standalone(&plot.svg).as_bytes())?;
    }
    for picture in &pictures {
        write_atomic(&folder.join(&picture.file), &picture.png)?;
    }
    let plotted = plots.iter().flatten().map(|plot| plot.file.as_str());
    let written: Vec<&str> = plotted
        .chain(pictures.iter().map(|p| p.file.as_str()))
        .collect();
    forget_others(&folder, &written)?;
    let page = html::html(figures, &plots, &pictures);
    write_atomic(&out.join("index.html"), page.as_bytes())?;
    let text = markdown::markdown(figures, &plots, &pictures);
    write_atomic(&out.join("report.md"), text.as_bytes())?;
    write_atomic(&out.join("table.csv"), &table_csv::csv(figures)?)?;
    let json = serde_json::to_string_pretty(figures)? + "\n";
    write_atomic(&out.join("figures.json"), json.as_bytes())
}

/// Deletes plots and pictures of an earlier report in the same folder that this report does not have.
fn forget_others(folder: &Path, written: &[&str]) -> Result<()> {
    const OURS: [&str; 5] = [
        "trade-off-",
        "guidance-",
        "precision-recall-",
        "evaluations-",
        "nearest-",
    ];
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let entry = entry.with_context(|| folder.display().to_string())?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let picture = name.ends_with(".svg") || name.ends_with(".png");
        if picture && OURS.iter().any(|kind| name.starts_with(kind)) && !written.contains(&name) {
            let path = entry.path();
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// A drawing on white, for a page whose colour is not known.
fn standalone(svg: &str) -> String {
    match svg.find('>') {
        Some(end) => {
            let (head, rest) = svg.split_at(end + 1);
            format!("{head}\n<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>{rest}")
        }
        None => svg.to_owned(),
    }
}
