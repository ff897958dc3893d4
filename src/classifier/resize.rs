//! Bilinear resizing of images.

/// Bilinear interpolation with half-pixel centres between two sizes.
///
/// With `antialias` the filter widens when an image shrinks, so that every pixel counts, as in PyTorch's
/// `interpolate(…, antialias=True)`. Without, only two pixels per dimension are read, as FID does.
#[derive(Debug, Clone)]
pub struct Resize {
    from: usize,
    /// For every output pixel the first input pixel that it reads, and the weights from that pixel on.
    taps: Vec<(usize, Vec<f32>)>,
}

impl Resize {
    /// Resizing from `from` by `from` pixels to `to` by `to`.
    pub fn new(from: usize, to: usize, antialias: bool) -> Self {
        Self {
            from,
            taps: taps(from, to, antialias),
        }
    }

    /// Resizes one plane, row-major, from `[from, from]` to `[to, to]`.
    pub fn plane(&self, plane: &[f32], out: &mut [f32]) {
        let to = self.taps.len();
        if self.from == to {
            out.copy_from_slice(plane);
            return;
        }
        let mut row = vec![0.0f32; self.from];
        for (out, (first, weights)) in out.chunks_exact_mut(to).zip(&self.taps) {
            row.fill(0.0);
            for (k, weight) in weights.iter().enumerate() {
                let source = &plane[(first + k) * self.from..][..self.from];
                let pairs = row.iter_mut().zip(source);
                pairs.for_each(|(r, s)| *r += weight * s);
            }
            for (value, (first, weights)) in out.iter_mut().zip(&self.taps) {
                *value = weights.iter().zip(&row[*first..]).map(|(w, s)| w * s).sum();
            }
        }
    }
}

fn taps(from: usize, to: usize, antialias: bool) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    let support = if antialias { scale.max(1.0) } else { 1.0 };
    (0..to)
        .map(|i| {
            let mut centre = (i as f64 + 0.5) * scale - 0.5;
            if !antialias {
                centre = centre.clamp(0.0, (from - 1) as f64);
            }
            let first = (centre - support).ceil().max(0.0) as usize;
            let last = ((centre + support).floor() as usize).min(from - 1);
            let weights: Vec<f64> = (first..=last)
                .map(|j| (1.0 - (j as f64 - centre).abs() / support).max(0.0))
                .collect();
            let sum: f64 = weights.iter().sum();
            (first, weights.iter().map(|w| (w / sum) as f32).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(image: &[f32], from: usize, to: usize, antialias: bool) -> Vec<f32> {
        let mut out = vec![0.0; to * to];
        Resize::new(from, to, antialias).plane(image, &mut out);
        out
    }

    #[test]
    fn enlarging_interpolates_and_keeps_the_edges() {
        // PyTorch: F.interpolate(torch.tensor([[[[0., 1.], [2., 3.]]]]), size=4, mode="bilinear").
        let image = [0.0, 1.0, 2.0, 3.0];
        let out = resized(&image, 2, 4, false);
        let expected = [
            0.0, 0.25, 0.75, 1.0, 0.5, 0.75, 1.25, 1.5, 1.5, 1.75, 2.25, 2.5, 2.0, 2.25, 2.75, 3.0,
        ];
        assert!(out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_eq!(out, resized(&image, 2, 4, true));
        assert_eq!(resized(&image, 2, 2, true), image);
    }

    #[test]
    fn shrinking_is_pytorchs_with_and_without_antialias() {
        // x = torch.arange(25.).reshape(1, 1, 5, 5) ** 1.5; F.interpolate(x, size=3, mode="bilinear", antialias=…)
        let image: Vec<f32> = (0..25u16).map(|i| f32::from(i).powf(1.5)).collect();
        let filtered = [
            5.682_378, 9.649_012, 14.653_072, 35.017_16, 42.835_54, 51.162_995, 78.755_7,
            89.042_63, 99.714_16,
        ];
        let sampled = [
            4.339_735, 8.059_037, 13.224_412, 33.242_81, 41.569_218, 50.546_19, 81.158_72,
            92.157_03, 103.657_33,
        ];
        for (antialias, expected) in [(true, filtered), (false, sampled)] {
            let out = resized(&image, 5, 3, antialias);
            let near = out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4);
            assert!(near, "{antialias}: {out:?}");
        }
    }
}
