//! Squared distances between all pairs of two sets of features, tile by tile.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use crate::features::Rows;

/// Rows of a tile.
const ROWS: usize = 512;
/// Columns of a tile.
const COLUMNS: usize = 2048;

/// Calls `visit(i, j, tile)` for tiles that cover all pairs, where `tile[(r, c)]` is |a[i + r] − b[j + c]|², in f64.
///
/// |a − b|² = |a|² + |b|² − 2 a·b, by one matrix product a tile, on all cores. Nothing but one tile and the f64 copies
/// of its rows is held.
pub fn for_each_tile(a: &Rows, b: &Rows, mut visit: impl FnMut(usize, usize, MatRef<'_, f64>)) {
    // Distances are the same about any origin, and lose least about one in the middle.
    let origin = mean(b);
    let mut tile = Mat::zeros(0, 0);
    for j in (0..b.len()).step_by(COLUMNS) {
        let right = centred(b, j, COLUMNS, &origin);
        let right_squares = squares(&right);
        for i in (0..a.len()).step_by(ROWS) {
            let left = centred(a, i, ROWS, &origin);
            let left_squares = squares(&left);
            tile.resize_with(left.nrows(), right.nrows(), |_, _| 0.0);
            let (dst, par) = (tile.as_mut(), Par::rayon(0));
            matmul(dst, Accum::Replace, &left, right.transpose(), -2.0, par);
            for (c, right_square) in right_squares.iter().enumerate() {
                let column = tile.col_as_slice_mut(c);
                for (value, square) in column.iter_mut().zip(&left_squares) {
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

fn centred(rows: &Rows, from: usize, count: usize, origin: &[f64]) -> Mat<f64> {
    let count = count.min(rows.len() - from);
    Mat::from_fn(count, rows.width(), |i, j| {
        f64::from(rows.row(from + i)[j]) - origin[j]
    })
}

fn squares(rows: &Mat<f64>) -> Vec<f64> {
    let mut sums = vec![0.0; rows.nrows()];
    for j in 0..rows.ncols() {
        for (sum, value) in sums.iter_mut().zip(rows.col_as_slice(j)) {
            *sum += value * value;
        }
    }
    sums
}
