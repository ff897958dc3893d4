//! Draws images in shares.

use anyhow::Result;
use freeguide::bundle::Model;
use freeguide::settings::Plan;
use freeguide_native::sample::{Images, draw, part};

use super::Ranks;

/// Like [`sample::draw`](freeguide_native::sample::draw), but each process draws a share. All processes get all images.
pub fn draw_in_shares(
    ranks: &Ranks,
    model: &Model,
    plan: &Plan,
    batch: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Images> {
    let share = part(plan, ranks.share(plan.classes.len()));
    let images = draw(model, &share, batch, progress)?;
    Ok(Images {
        pixels: ranks.gather(images.pixels)?,
        ..images
    })
}
