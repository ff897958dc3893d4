//! Nearest training neighbours: has the model copied?

use super::manifold::Manifold;

/// The nearest real image of every generated one.
pub struct Neighbours {
    /// Index and squared distance.
    nearest: Vec<(usize, f64)>,
}

impl Neighbours {
    pub fn new(generated: usize) -> Self {
        Self {
            nearest: vec![(0, f64::INFINITY); generated],
        }
    }

    /// Records a pair and its squared distance.
    pub fn see(&mut self, generated: usize, real: usize, square: f64) {
        if square < self.nearest[generated].1 {
            self.nearest[generated] = (real, square);
        }
    }

    /// The share of generated images that are farther from their nearest training image than that one is from its own
    /// nearest other (Alaa et al. 2022, section 4: what is nearer counts as copied). A model that copies is near 0;
    /// what other real images score is the value to compare with.
    pub fn authenticity(&self, real: &Manifold) -> f64 {
        let authentic = |&&(index, square): &&(usize, f64)| square > real.radius(index, 1);
        self.nearest.iter().filter(authentic).count() as f64 / self.nearest.len() as f64
    }

    /// Index and distance.
    pub fn finish(self) -> Vec<(usize, f64)> {
        let root = |(index, square): (usize, f64)| (index, square.sqrt());
        self.nearest.into_iter().map(root).collect()
    }
}
