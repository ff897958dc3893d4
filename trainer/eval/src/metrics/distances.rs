//! Squared distances between all pairs of two sets of features, tile by tile.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use crate::features::Rows;

/// The number of rows of a tile.
const ROWS: usize = 512;
/// The number of columns of a tile.
const COLUMNS: usize = 2048;

/// Calls `visit(i, j, tile)` for tiles that cover all pairs, where `tile[(r, c)]` is |a[i + r] − b[j + c]|², in f64.
///
/// |a − b|² = |a|² + |b|² − 2 a·b, with one matrix product per tile, on all cores. Only one tile and the f64 copies of its
/// rows are in memory.
pub fn for_each_tile(a: &Rows, b: &Rows, visit: impl FnMut(usize, usize, MatRef<'_, f64>)) {
    tiles(a, b, |_| 0, visit);
}

/// Like [`for_each_tile`] for `rows` with themselves, but only the tiles with a pair i + r > j + c. Distances are
/// symmetric, so half of them are enough.
pub fn for_each_tile_below_the_diagonal(
    rows: &Rows,
    visit: impl FnMut(usize, usize, MatRef<'_, f64>),
) {
    tiles(rows, rows, |j| j, visit);
}

/// The tiles of the columns from j on, whose rows start at `first(j)`.
fn tiles(
    a: &Rows,
    b: &Rows,
    first: impl Fn(usize) -> usize,
    mut visit: impl FnMut(usize, usize, MatRef<'_, f64>),
) {
    // Distances do not depend on the origin. An origin in the middle loses the least precision.
    let origin = mean(b);
    let mut tile = Mat::zeros(0, 0);
    for j in (0..b.len()).step_by(COLUMNS) {
        let right = Block::new(b, j, COLUMNS, &origin);
        for i in (first(j)..a.len()).step_by(ROWS) {
            let left = Block::new(a, i, ROWS, &origin);
            tile.resize_with(left.vectors.ncols(), right.vectors.ncols(), |_, _| 0.0);
            let (dst, par) = (tile.as_mut(), Par::rayon(0));
            let (lhs, rhs) = (left.vectors.transpose(), &right.vectors);
            matmul(dst, Accum::Replace, lhs, rhs, -2.0, par);
            for (c, right_square) in right.squares.iter().enumerate() {
                let column = tile.col_as_slice_mut(c);
                for (value, square) in column.iter_mut().zip(&left.squares) {
                    *value = (*value + square + right_square).max(0.0);
                }
            }
            visit(i, j, tile.as_ref());
        }
    }
}

fn mean(rows: &Rows) -> Vec<f64> {
    let mut sum = vec![0.0; rows.width()];
    for row in 0..rows.len() {
        for (sum, &value) in sum.iter_mut().zip(rows.row(row)) {
            *sum += f64::from(value);
        }
    }
    sum.iter().map(|s| s / rows.len() as f64).collect()
}

/// Rows relative to an origin.
struct Block {
    /// One column per row, so that both are read in memory order.
    vectors: Mat<f64>,
    /// |row|².
    squares: Vec<f64>,
}

impl Block {
    fn new(rows: &Rows, from: usize, count: usize, origin: &[f64]) -> Self {
        let count = count.min(rows.len() - from);
        let vectors = Mat::from_fn(rows.width(), count, |j, i| {
            f64::from(rows.row(from + i)[j]) - origin[j]
        });
        let square = |i| vectors.col_as_slice(i).iter().map(|v| v * v).sum();
        let squares = (0..count).map(square).collect();
        Self { vectors, squares }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_pairs_of_a_set_with_itself_are_all_of_them() {
        let count = COLUMNS + ROWS + 3;
        let values = (0..count).map(|i| ((i * 7919) % 10_007) as f32).collect();
        let rows = Rows::new(1, values);
        let mut seen = vec![0u32; count];
        for_each_tile_below_the_diagonal(&rows, |i, j, tile| {
            for c in 0..tile.ncols() {
                for r in (0..tile.nrows()).filter(|r| i + r > j + c) {
                    let expected = f64::from(rows.row(i + r)[0] - rows.row(j + c)[0]).powi(2);
                    // The squares go up to 3 · 10⁷, of which 10⁻⁶ is what f64 can tell with room.
                    assert!((tile[(r, c)] - expected).abs() <= 1e-6);
                    seen[i + r] += 1;
                    seen[j + c] += 1;
                }
            }
        });
        assert!(seen.iter().all(|&n| n as usize == count - 1));
    }
}
