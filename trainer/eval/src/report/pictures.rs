//! The pictures of a report: the same seeds over w, and generated images beside their nearest training images.

use anyhow::Result;

use super::layout::{Group, model_label, sampling, spread};
use crate::figures::Figures;
use crate::measure::Measured;
use crate::work::Work;
use freeguide_native::grid::Grid;
use freeguide_native::png_text::encode_png;

/// A picture with its file name and its caption.
pub struct Picture {
    /// The file name, without a folder.
    pub file: String,
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// The labels of the columns; may be empty.
    pub columns: Vec<String>,
    /// The PNG.
    pub png: Vec<u8>,
}

/// The largest number of columns of a grid.
const COLUMNS: usize = 9;
/// The number of rows.
const ROWS: usize = 8;

/// A grid for each model and sampler, with the largest number of steps: one column per w, one row per seed.
///
/// # Errors
///
/// If a chunk of images is missing.
pub fn guidance_grids(work: &Work, figures: &Figures) -> Result<Vec<Picture>> {
    let Some(network) = figures.networks.first() else {
        return Ok(Vec::new());
    };
    let groups = Group::all(network);
    let mut grids = Vec::new();
    for (index, &group) in groups.iter().enumerate() {
        let same = |g: &&Group| (g.model, g.sampler) == (group.model, group.sampler);
        let most = groups.iter().filter(same).map(|g| g.steps).max();
        if most != Some(group.steps) {
            continue;
        }
        let cells = spread(&group.cells(network), COLUMNS);
        let rows = ROWS.min(figures.samples);
        let columns = cells
            .iter()
            .map(|(cell, _)| work.images(*cell, rows))
            .collect::<Result<Vec<_>>>()?;
        let values = work.inputs.data.image_len();
        let pixels: Vec<u8> = (0..rows)
            .flat_map(|row| {
                columns
                    .iter()
                    .map(move |c| &c[row * values..(row + 1) * values])
            })
            .flatten()
            .copied()
            .collect();
        let way = sampling(group.sampler, group.steps);
        grids.push(Picture {
            file: format!("guidance-{index}.png"),
            title: format!("{}, {way}", model_label(figures, group.model)),
            caption: "Each row has one seed and one class, each column one w.".to_owned(),
            columns: cells
                .iter()
                .map(|(_, c)| format!("{}", c.guidance))
                .collect(),
            png: sheet(work, columns.len(), &pixels)?,
        });
    }
    Ok(grids)
}

/// For each network, the images of the cell with the lowest authenticity that are nearest to training images.
///
/// # Errors
///
/// If a chunk of images is missing.
pub fn nearest_pairs(work: &Work, measured: &Measured) -> Result<Vec<Picture>> {
    let figures = &measured.figures;
    let mut pictures = Vec::new();
    for (network, nearest) in figures.networks.iter().zip(&measured.nearest) {
        let order = |a: &usize, b: &usize| {
            let of = |k: usize| network.cells[k].metrics.authenticity;
            of(*a).total_cmp(&of(*b))
        };
        let Some(cell) = (0..network.cells.len()).min_by(order) else {
            continue;
        };
        let (figure, pairs) = (&network.cells[cell], &nearest[cell]);
        let mut pixels = Vec::new();
        for pair in pairs {
            pixels.extend(work.image(cell, pair.generated)?);
        }
        for pair in pairs {
            pixels.extend_from_slice(work.inputs.data.image(pair.real));
        }
        pictures.push(Picture {
            file: format!("nearest-{}.png", pictures.len()),
            title: format!("Nearest training images, by {}", network.name),
            caption: format!(
                "The {} images of {} at w = {} that are nearest to the data set, nearest first. Below each is the training image. This cell has the lowest authenticity, {:.2}; real images among each other have {:.2}.",
                pairs.len(),
                model_label(figures, figure.model),
                figure.guidance,
                figure.metrics.authenticity,
                network.floor.metrics.authenticity,
            ),
            columns: Vec::new(),
            png: sheet(work, pairs.len(), &pixels)?,
        });
    }
    Ok(pictures)
}

fn sheet(work: &Work, columns: usize, pixels: &[u8]) -> Result<Vec<u8>> {
    let data = &work.inputs.data;
    let sheet = Grid::new(columns, data.size).lay_out(pixels, data.size, data.channels);
    Ok(encode_png(
        &sheet.pixels,
        sheet.width,
        sheet.height,
        3,
        None,
    )?)
}
