//! Precision and recall of generative models.

use super::manifold::Manifold;

/// k of the neighbourhoods, as in the paper.
const K: usize = 3;

/// A set's manifold is the union of balls around its points that reach to their 3rd nearest neighbours. Precision is
/// the share of generated images in the manifold of the real ones, recall that of real images in the manifold of the
/// generated ones (Kynkäänniemi et al. 2019, equations 1 and 2).
pub struct PrecisionRecall {
    real_radius: Vec<f64>,
    generated_radius: Vec<f64>,
    generated_inside: Vec<bool>,
    real_inside: Vec<bool>,
}

impl PrecisionRecall {
    pub fn new(real: &Manifold, generated: &Manifold) -> Self {
        let radii = |m: &Manifold| (0..m.rows().len()).map(|i| m.radius(i, K)).collect();
        Self {
            real_radius: radii(real),
            generated_radius: radii(generated),
            generated_inside: vec![false; generated.rows().len()],
            real_inside: vec![false; real.rows().len()],
        }
    }

    /// Records a pair and its squared distance.
    pub fn see(&mut self, generated: usize, real: usize, square: f64) {
        self.generated_inside[generated] |= square <= self.real_radius[real];
        self.real_inside[real] |= square <= self.generated_radius[generated];
    }

    /// (precision, recall).
    pub fn finish(self) -> (f64, f64) {
        (share(&self.generated_inside), share(&self.real_inside))
    }
}

/// The share that is true.
pub fn share(flags: &[bool]) -> f64 {
    flags.iter().filter(|&&flag| flag).count() as f64 / flags.len() as f64
}
