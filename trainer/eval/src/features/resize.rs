//! Images in the size that a feature network takes.

use freeguide::classifier::Resize;
use rayon::prelude::*;

/// Resizes images on all cores; see [`Resize`].
///
/// # Shapes
///
/// `images`: `[count, channels, from, from]`; the result `[count, channels, to, to]`.
pub fn bilinear(
    images: &[f32],
    channels: usize,
    from: usize,
    to: usize,
    antialias: bool,
) -> Vec<f32> {
    if from == to {
        return images.to_vec();
    }
    let resize = Resize::new(from, to, antialias);
    let planes = images.len() / (from * from).max(1);
    let mut out = vec![0.0; planes * to * to];
    out.par_chunks_mut((channels * to * to).max(1))
        .zip(images.par_chunks((channels * from * from).max(1)))
        .for_each(|(out, image)| {
            let planes = image.chunks_exact(from * from);
            for (plane, out) in planes.zip(out.chunks_exact_mut(to * to)) {
                resize.plane(plane, out);
            }
        });
    out
}
