//! Reduces a series to what can be seen.

use super::Point;

/// The training loss is drawn with at most this many points. More would share pixels.
pub(super) const RESOLUTION: usize = 900;

pub(super) fn finite(points: &[(u64, f32)]) -> Vec<Point> {
    points
        .iter()
        .filter(|p| p.1.is_finite())
        .map(|p| (p.0 as f64, f64::from(p.1)))
        .collect()
}

/// A running average, with no more points than can be seen. Its window covers a fiftieth of the points on either side,
/// and less at the start, where the loss falls fast.
pub(super) fn smoothed(points: &[Point]) -> Vec<Point> {
    let losses: Vec<f64> = points.iter().map(|p| p.1).collect();
    // Twice, because a single pass with a box window shows single batches as steps.
    let smooth = box_average(&box_average(&losses));
    let stride = points.len().div_ceil(RESOLUTION).max(1);
    (0..points.len())
        .filter(|i| i % stride == 0 || i + 1 == points.len())
        .map(|i| (points[i].0, smooth[i]))
        .collect()
}

/// The mean of each value and its neighbours on both sides.
fn box_average(values: &[f64]) -> Vec<f64> {
    let reach = values.len() / 50;
    let mut sums = vec![0.0];
    sums.extend(values.iter().scan(0.0, |sum, value| {
        *sum += value;
        Some(*sum)
    }));
    (0..values.len())
        .map(|i| {
            let reach = reach.min(i / 4);
            let (first, end) = (i - reach, (i + reach + 1).min(values.len()));
            (sums[end] - sums[first]) / (end - first) as f64
        })
        .collect()
}

/// The same points or, if there are more than can be distinguished, the minimum and maximum of each section.
pub(super) fn envelope(points: &[Point]) -> Vec<Point> {
    if points.len() <= 2 * RESOLUTION {
        return points.to_vec();
    }
    let by_loss = |a: &&Point, b: &&Point| a.1.total_cmp(&b.1);
    points
        .chunks(points.len().div_ceil(RESOLUTION))
        .flat_map(|chunk| [chunk.iter().min_by(by_loss), chunk.iter().max_by(by_loss)])
        .flatten()
        .copied()
        .collect()
}
