//! The class of each image of a cell.

/// A sequence in which class k has a share of weights[k]/Σ in every prefix, to within one image: the class that is
/// furthest behind comes next. A longer sweep therefore starts with the images of the shorter one.
pub fn sequence(weights: &[usize], count: usize) -> Vec<u32> {
    let total: usize = weights.iter().sum();
    let mut drawn = vec![0usize; weights.len()];
    (1..=count)
        .map(|place| {
            let behind = |k: usize| (place * weights[k]) as i128 - (drawn[k] * total) as i128;
            // The first one, if several are equal.
            let next = (0..weights.len()).reduce(|a, b| if behind(b) > behind(a) { b } else { a });
            let next = next.unwrap_or(0);
            drawn[next] += 1;
            next as u32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_has_the_shares_of_the_whole() {
        assert_eq!(sequence(&[1, 1, 1], 7), [0, 1, 2, 0, 1, 2, 0]);
        let weights = [500, 20, 130];
        let long = sequence(&weights, 650);
        assert_eq!(sequence(&weights, 100), long[..100]);
        for end in 1..=650 {
            for (k, &weight) in weights.iter().enumerate() {
                let drawn = long[..end].iter().filter(|&&c| c == k as u32).count() as f64;
                let share = (end * weight) as f64 / 650.0;
                assert!((drawn - share).abs() < 1.0 + 1e-9, "{end} {k}");
            }
        }
    }
}
