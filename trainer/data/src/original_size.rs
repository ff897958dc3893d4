//! How large pictures are before they are resized.

use std::path::Path;

use super::decode::read_range;
use super::recognise::recognise;
use super::{DataError, DataRecipe, Warning};

/// The most pictures that are looked at.
const MOST: usize = 64;

/// The median width and height, in pixels, of up to 64 pictures that are spread evenly over the data set in `path`, before
/// they are cropped and resized. None if none of them can be read.
///
/// # Errors
/// As [`load`](super::load).
pub fn original_size(
    path: &Path,
    recipe: &DataRecipe,
    report: &mut dyn FnMut(Warning),
) -> Result<Option<(u32, u32)>, DataError> {
    let records = recognise(path, recipe, report)?.records;
    let total = records.labels().len();
    let looked_at = total.min(MOST);
    let (mut widths, mut heights) = (Vec::new(), Vec::new());
    for k in 0..looked_at {
        let index = k * total / looked_at;
        read_range(&*records, index..index + 1, &mut |_, image| {
            if let Ok(image) = image {
                widths.push(image.width());
                heights.push(image.height());
            }
        });
    }
    Ok(median(widths).zip(median(heights)))
}

/// The upper median.
fn median(mut values: Vec<u32>) -> Option<u32> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn the_median_of_what_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let class = folder.path().join("dots");
        std::fs::create_dir(&class).unwrap();
        for (k, side) in [20, 30, 500].into_iter().enumerate() {
            let picture = RgbImage::from_pixel(side, 2 * side, Rgb([k as u8; 3]));
            picture.save(class.join(format!("{k}.png"))).unwrap();
        }
        let size = || {
            original_size(folder.path(), &DataRecipe::new(16), &mut |_| ())
                .unwrap()
                .unwrap()
        };
        assert_eq!(size(), (30, 60));
        std::fs::write(class.join("broken.png"), "not a picture").unwrap();
        assert_eq!(size(), (30, 60));
    }
}
