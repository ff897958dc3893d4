//! Draws images from a model.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use freeguide::bundle::Model;
use freeguide::condition::Condition;
use freeguide::denoiser::Denoiser;
use freeguide::pixels::to_interleaved;
use freeguide::sampler::{Plan, Run};
use freeguide::settings::{ClassName, ImageSettings, Request};

use crate::files::write_atomic;
use crate::grid::Grid;
use crate::png_text::{KEYWORD, encode_png};

/// Images in sequence, each `[height, width, channels]` as bytes.
pub struct Images {
    /// All pixels.
    pub pixels: Vec<u8>,
    /// Height and width.
    pub size: usize,
    /// 1 or 3.
    pub channels: usize,
}

impl Images {
    /// The first image as a PNG.
    pub fn png(&self) -> Result<Vec<u8>> {
        Ok(encode_png(
            self.image(0),
            self.size,
            self.size,
            self.channels,
            None,
        )?)
    }

    fn image(&self, index: usize) -> &[u8] {
        let len = self.size * self.size * self.channels;
        &self.pixels[index * len..(index + 1) * len]
    }
}

/// The images `range` of a plan.
pub fn part(plan: &Plan, range: Range<usize>) -> Plan {
    Plan {
        classes: plan.classes[range.clone()].to_vec(),
        guidance: plan.guidance[range.clone()].to_vec(),
        first_image: plan.first_image + range.start as u64,
        ..plan.clone()
    }
}

/// Draws the images of a plan, `batch` at a time. `progress` is called after every step with (steps done, total steps).
pub fn draw(
    model: &Model,
    plan: &Plan,
    batch: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Images> {
    let shape = model.config().image.dims();
    draw_by(shape, plan, batch, |part| model.run(part), progress)
}

/// Like [`draw`], for any denoiser. `run` starts the sampling of a part of the plan. `shape` is `[channels, height,
/// width]`.
pub fn draw_by<D: Denoiser>(
    shape: [usize; 3],
    plan: &Plan,
    batch: usize,
    run: impl Fn(Plan) -> Run<D>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Images> {
    let images = plan.classes.len();
    let batches = images.div_ceil(batch);
    let mut pixels = Vec::new();
    for at in (0..images).step_by(batch) {
        let end = (at + batch).min(images);
        let mut run = run(part(plan, at..end));
        let steps = plan.steps_taken();
        while run.advance() {
            if let Some(at_rest) = run.at_rest()
                && values(at_rest)?.iter().all(|&rests| rests == 1.0)
            {
                run.stop();
            }
            let done = if run.is_done() { steps } else { run.step() };
            progress(at / batch * steps + done, batches * steps);
        }
        pixels.extend(to_interleaved(&values(run.denoised())?, shape));
    }
    Ok(Images {
        pixels,
        size: shape[1],
        channels: shape[0],
    })
}

fn values(tensor: Tensor<4>) -> Result<Vec<f32>> {
    let data = tensor.try_into_data().context("the device failed")?;
    Ok(data.iter::<f32>().collect())
}

/// The settings of every image of a plan, as their PNGs carry them.
pub fn settings(model: &Model, plan: &Plan) -> Vec<ImageSettings> {
    let config = model.config();
    ImageSettings::of_plan(plan, &config.name, &config.classes)
}

/// An image and what made it.
pub struct Drawn {
    /// The class's id; none if the unconditional model or a mix of classes drew it.
    pub class: Option<u32>,
    /// What it was drawn with.
    pub settings: ImageSettings,
    /// The PNG, which holds the settings as well.
    pub png: Vec<u8>,
}

impl Drawn {
    /// The name of its file without an extension: the index of the image, 00000 and so on.
    pub fn name(&self) -> String {
        format!("{:05}", self.settings.image)
    }
}

/// The images of a plan as PNGs.
pub fn pngs(model: &Model, plan: &Plan, images: &Images) -> Result<Vec<Drawn>> {
    let classes = plan.classes.iter().map(Condition::class);
    let each = classes.zip(settings(model, plan)).enumerate();
    each.map(|(index, (class, settings))| {
        let text = serde_json::to_string(&settings)?;
        let (pixels, size) = (images.image(index), images.size);
        let png = encode_png(pixels, size, size, images.channels, Some((KEYWORD, &text)))?;
        Ok(Drawn {
            class,
            settings,
            png,
        })
    })
    .collect()
}

/// Writes images into the existing folder `out`, as 00000.png and so on by their index.
pub fn write_files(images: &[Drawn], out: &Path) -> Result<Vec<String>> {
    let mut written = Vec::new();
    for image in images {
        let path = out.join(image.name() + ".png");
        write_atomic(&path, &image.png)?;
        written.push(path.display().to_string());
    }
    Ok(written)
}

/// All images on one PNG, which stores the settings of each.
pub fn sheet(model: &Model, plan: &Plan, images: &Images, grid: &Grid) -> Result<Vec<u8>> {
    let text = serde_json::to_string(&settings(model, plan))?;
    let sheet = grid.lay_out(&images.pixels, images.size, images.channels);
    Ok(encode_png(
        &sheet.pixels,
        sheet.width,
        sheet.height,
        3,
        Some((KEYWORD, &text)),
    )?)
}

/// The largest number of columns of a grid with one column per class. Nobody looks at all of a thousand classes.
pub const MAX_COLUMNS: usize = 32;

/// The sample grid of a training: one column per class with `rows` images, drawn with the model's own settings. Only
/// the first [`MAX_COLUMNS`] classes are shown. With the same seed at every step, the grids show how the same images
/// develop.
pub fn class_grid(model: &Model, rows: usize, seed: u64) -> Result<Vec<u8>> {
    let columns = model.config().classes.len().min(MAX_COLUMNS);
    let (plan, images) = by_class(model, columns, rows, seed)?;
    sheet(model, &plan, &images, &Grid::new(columns, images.size))
}

/// The sample grid of a distillation: the teacher's grid at the left and the student's at the right, as
/// [`class_grid`]. Both begin with the same noise, so that equal places should look alike.
pub fn grid_beside(teacher: &Model, student: &Model, rows: usize, seed: u64) -> Result<Vec<u8>> {
    let columns = student.config().classes.len().min(MAX_COLUMNS / 2);
    let mut sides = Vec::new();
    for model in [teacher, student] {
        let (plan, images) = by_class(model, columns, rows, seed)?;
        sides.push((settings(model, &plan), images));
    }
    let (mut pixels, mut drawn) = (Vec::new(), Vec::new());
    for row in 0..rows {
        for (settings, images) in &sides {
            let images = (row * columns..(row + 1) * columns).map(|index| images.image(index));
            images.for_each(|image| pixels.extend_from_slice(image));
            drawn.extend_from_slice(&settings[row * columns..(row + 1) * columns]);
        }
    }
    let image = student.config().image;
    let sheet = Grid::new(2 * columns, image.size).lay_out(&pixels, image.size, image.channels);
    let text = serde_json::to_string(&drawn)?;
    Ok(encode_png(
        &sheet.pixels,
        sheet.width,
        sheet.height,
        3,
        Some((KEYWORD, &text)),
    )?)
}

/// `rows` images of each of the first `columns` classes, which take turns.
fn by_class(model: &Model, columns: usize, rows: usize, seed: u64) -> Result<(Plan, Images)> {
    let classes = (0..columns as u64).map(ClassName::Id).cycle();
    let mut request = Request::new(classes.take(columns * rows).collect());
    request.seed = seed;
    let plan = model.plan(&request)?;
    let images = draw(model, &plan, 24, &mut |_, _| {})?;
    Ok((plan, images))
}
