//! What is trained at which step, and how fast.
//!
//! 1. The first eighth: the new row of the class embedding alone. Nothing else moves, so that no other class can be harmed
//!    by a gradient from a row that means nothing yet (textual inversion, Gal et al. 2022, stops here).
//! 2. To three eighths: all rows, the last stage of the way up and the output.
//! 3. The rest: all weights.

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The new row of the class embedding.
    NewClass,
    /// The class embedding and the last layers.
    LastLayers,
    /// All weights.
    All,
}

impl Phase {
    /// The phase of a step, counted from 0.
    pub fn of(step: u32, steps: u32) -> Self {
        let eighths = 8 * u64::from(step);
        match u64::from(steps) {
            steps if eighths < steps => Self::NewClass,
            steps if eighths < 3 * steps => Self::LastLayers,
            _ => Self::All,
        }
    }
}

/// The rate at which the new row is learnt alone.
const ROW_RATE: f64 = 1e-2;
/// The highest rate of other weights, half of that at which the shipped models were trained.
const RATE: f64 = 5e-4;
/// The part of it that is left at the end.
const FINAL: f64 = 0.02;

/// The learning rate of a step: constant for the row, then half a cosine (Loshchilov & Hutter 2017).
pub fn learning_rate(step: u32, steps: u32) -> f64 {
    if Phase::of(step, steps) == Phase::NewClass {
        return ROW_RATE;
    }
    let first = steps.div_ceil(8);
    let progress = f64::from(step - first) / f64::from((steps - first).max(1));
    let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * progress));
    RATE * (FINAL + (1.0 - FINAL) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_each_other() {
        let phases: Vec<Phase> = (0..16).map(|step| Phase::of(step, 16)).collect();
        let expected = [[Phase::NewClass; 2].as_slice(), &[Phase::LastLayers; 4], &[Phase::All; 10]];
        assert_eq!(phases, expected.concat());
    }

    #[test]
    fn the_rate_falls_after_the_first_phase() {
        for steps in [1, 2, 7, 8, 300] {
            let rates: Vec<f64> = (0..steps).map(|step| learning_rate(step, steps)).collect();
            assert!(rates.windows(2).all(|pair| pair[1] <= pair[0]), "{rates:?}");
            assert!(rates.iter().all(|&rate| rate > 0.0));
        }
    }
}
