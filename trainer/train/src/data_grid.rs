//! An overview of the data set as a picture.

use anyhow::Result;
use freeguide_data::TrainingSet;
use freeguide_native::grid::Grid;
use freeguide_native::png_text::encode_png;
use freeguide_native::sample::MAX_COLUMNS;

/// Images of the data set as the network sees them, laid out as [`class_grid`](freeguide_native::sample::class_grid):
/// `rows` of each class or attribute, spread evenly over its files.
pub fn data_grid(data: &TrainingSet, rows: usize) -> Result<Vec<u8>> {
    let columns = data.classes.len().min(MAX_COLUMNS);
    let blank = vec![255; data.image_len()];
    let of_class: Vec<Vec<usize>> = (0..columns as u32)
        .map(|class| {
            (0..data.len())
                .filter(|&i| data.labels_of(i).contains(&class))
                .collect()
        })
        .collect();
    let mut pixels = Vec::new();
    for row in 0..rows {
        for images in &of_class {
            let place = row * (images.len() / rows).max(1);
            match images.get(place) {
                Some(&image) => pixels.extend_from_slice(&data.image(image)?),
                None => pixels.extend_from_slice(&blank),
            }
        }
    }
    let sheet = Grid::new(columns, data.size).lay_out(&pixels, data.size, data.channels);
    Ok(encode_png(
        &sheet.pixels,
        sheet.width,
        sheet.height,
        3,
        None,
    )?)
}
