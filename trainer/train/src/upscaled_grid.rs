//! The sample grid of a super-resolution model in training.

use anyhow::Result;
use freeguide::bundle::Model;
use freeguide::low_resolution::{enlarge, shrink};
use freeguide::pixels::{from_interleaved, to_interleaved};
use freeguide::settings::{ClassName, Request};
use freeguide_data::TrainingSet;
use freeguide_native::grid::Grid;
use freeguide_native::png_text::encode_png;
use freeguide_native::sample::draw_by;

/// The columns, which are images of the data set, spread evenly over it.
const COLUMNS: usize = 8;

/// In three rows, small pictures of the data set, what the model makes of them and what they were. `side`: of the small
/// pictures.
pub fn upscaled_grid(model: &Model, data: &TrainingSet, side: usize, seed: u64) -> Result<Vec<u8>> {
    let shape = model.config().image.dims();
    let size = shape[1];
    let columns = COLUMNS.min(data.len());
    let mut rows = [Vec::new(), Vec::new(), Vec::new()];
    for column in 0..columns {
        let index = column * data.len() / columns;
        let image = data.image(index)?;
        let small = shrink(&from_interleaved(&image, shape), size, side);
        let class = match data.labels_of(index).first() {
            Some(&label) => ClassName::Id(label.into()),
            None => ClassName::Unconditional,
        };
        let mut request = Request::new(vec![class]);
        request.seed = seed;
        let enlarging = model.clone().enlarging(&small, (seed, 0.0))?;
        let plan = enlarging.plan(&request)?;
        let drawn = draw_by(shape, &plan, 1, |part| enlarging.run(part), &mut |_, _| ())?;
        rows[0].extend(to_interleaved(&enlarge(&small, side, size), shape));
        rows[1].extend(drawn.pixels);
        rows[2].extend_from_slice(&image);
    }
    let sheet = Grid::new(columns, size).lay_out(&rows.concat(), size, shape[0]);
    let png = encode_png(&sheet.pixels, sheet.width, sheet.height, 3, None)?;
    Ok(png)
}
