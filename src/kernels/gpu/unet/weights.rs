//! Weights as the kernels read them.

use burn_cubecl::cubecl::{self, prelude::*};

use super::super::grid::cube_index;

/// Threads of a cube, one for each value of the result.
pub(super) const THREADS: usize = 64;

/// How a matrix is copied into a part of another.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct CopySizes {
    pub rows: usize,
    /// Columns that there are.
    pub columns: usize,
    /// Columns that are written, the others as zeros.
    pub padded: usize,
    /// From a row and from a column of what is read to the next.
    pub from_row: usize,
    pub from_column: usize,
    /// From a row of what is written to the next.
    pub to_row: usize,
    /// Where it begins.
    pub to: usize,
    /// What remains of the number that is there: 0 or 1.
    pub keep: f32,
}

/// Copies a matrix.
#[cube(launch_unchecked)]
pub(super) fn copy_matrix<E: Float>(from: &[E], to: &mut [E], sizes: CopySizes) {
    let at = cube_index() * THREADS + UNIT_POS as usize;
    let (row, column) = (at / sizes.padded, at % sizes.padded);
    if row < sizes.rows {
        let place = row * sizes.from_row + column.min(sizes.columns - 1) * sizes.from_column;
        let value = select(column < sizes.columns, from[place], E::new(0.0));
        let at = sizes.to + row * sizes.to_row + column;
        let mut sum = f32::cast_from(value);
        if sizes.keep != 0.0 {
            sum += f32::cast_from(to[at]);
        }
        to[at] = E::cast_from(sum);
    }
}
