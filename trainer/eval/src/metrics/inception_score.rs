//! The Inception Score, of whatever classifier.

use super::MetricError;
use crate::features::Rows;

/// An Inception Score over splits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InceptionScore {
    /// The mean over the splits.
    pub mean: f64,
    /// The standard deviation over the splits (with their number in the denominator).
    pub deviation: f64,
}

/// exp E KL(p(y | x) ‖ p(y)) (Salimans et al. 2016), over `splits` contiguous parts of the images of nearly equal size.
/// Returns the mean and the standard deviation.
///
/// `probabilities` is p(y | x), one row per image.
///
/// # Errors
///
/// [`MetricError::TooFew`], if a split would be empty.
pub fn inception_score(probabilities: &Rows, splits: usize) -> Result<InceptionScore, MetricError> {
    let count = probabilities.len();
    if count < splits || splits == 0 {
        return Err(MetricError::TooFew {
            samples: count,
            needed: splits.max(1),
        });
    }
    let scores: Vec<f64> = (0..splits)
        .map(|k| score(probabilities, k * count / splits..(k + 1) * count / splits))
        .collect();
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / splits as f64;
    Ok(InceptionScore {
        mean,
        deviation: variance.sqrt(),
    })
}

/// E KL(p ‖ p̄) = E Σ p log p − Σ p̄ log p̄, so one pass is enough.
fn score(probabilities: &Rows, range: std::ops::Range<usize>) -> f64 {
    let count = range.len() as f64;
    let mut marginal = vec![0.0f64; probabilities.width()];
    let mut negative_entropy = 0.0;
    for index in range {
        for (sum, &p) in marginal.iter_mut().zip(probabilities.row(index)) {
            let p = f64::from(p);
            *sum += p;
            negative_entropy += p_log_p(p);
        }
    }
    let mixed: f64 = marginal.iter().map(|sum| p_log_p(sum / count)).sum();
    (negative_entropy / count - mixed).exp()
}

/// p log p, which is 0 at 0.
fn p_log_p(p: f64) -> f64 {
    if p > 0.0 { p * p.ln() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certain_answers_score_the_number_of_classes_and_guesses_1() {
        let one_hot = |k: usize| {
            (0..4)
                .map(|c| f32::from(u8::from(c == k)))
                .collect::<Vec<_>>()
        };
        let certain = Rows::new(4, (0..40).flat_map(|i| one_hot(i % 4)).collect());
        let score = inception_score(&certain, 5).unwrap();
        assert!((score.mean - 4.0).abs() < 1e-12 && score.deviation < 1e-12);
        let guesses = Rows::new(4, vec![0.25; 40]);
        assert!((inception_score(&guesses, 2).unwrap().mean - 1.0).abs() < 1e-12);
        assert!(inception_score(&guesses, 11).is_err());
    }
}
