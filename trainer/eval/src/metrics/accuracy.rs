//! Class accuracy: does a classifier see the class that was asked for?

use crate::features::Rows;

/// The share of images whose most probable class is `classes[i]`.
///
/// `probabilities` has one row per image, as many as `classes`.
pub fn accuracy(probabilities: &Rows, classes: &[u32]) -> f64 {
    let right = classes
        .iter()
        .enumerate()
        .filter(|&(i, &class)| most_probable(probabilities.row(i)) == Some(class as usize))
        .count();
    right as f64 / classes.len().max(1) as f64
}

/// The index of the largest value; the first one if several are equal.
fn most_probable(row: &[f32]) -> Option<usize> {
    (0..row.len()).reduce(|best, i| if row[i] > row[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_answers_are_counted() {
        let rows = Rows::new(2, vec![0.9, 0.1, 0.2, 0.8, 0.5, 0.5]);
        assert!((accuracy(&rows, &[0, 0, 0]) - 2.0 / 3.0).abs() < 1e-12);
    }
}
