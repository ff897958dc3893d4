//! The transforms before and after the products of [`super::winograd`].

use std::array;

use pulp::Simd;

use super::patches::{Block, Images};
use super::tile::VECTORS;

/// G g Gᵀ of `[9][plane]`: `[16][plane]`.
#[inline(always)]
pub(super) fn transform_kernels(kernels: &[f32], plane: usize, values: &mut [f32]) {
    for i in 0..plane {
        let g = |row: usize, column: usize| kernels[(row * 3 + column) * plane + i];
        // G g, column by column.
        let columns: [[f32; 4]; 3] = array::from_fn(|column| {
            let (top, middle, bottom) = (g(0, column), g(1, column), g(2, column));
            [
                top,
                0.5 * (top + middle + bottom),
                0.5 * (top - middle + bottom),
                bottom,
            ]
        });
        for row in 0..4 {
            let [left, middle, right] = columns.map(|column| column[row]);
            let mut put = |column: usize, value: f32| {
                values[(row * 4 + column) * plane + i] = value;
            };
            put(0, left);
            put(1, 0.5 * (left + middle + right));
            put(2, 0.5 * (left - middle + right));
            put(3, right);
        }
    }
}

/// Where the pixels of a block are after their columns were split into even and odd ones.
#[derive(Clone, Copy)]
pub(super) struct Split {
    /// Columns of either kind.
    pub columns: usize,
    /// From a row to the next, from a channel to the next.
    pub row: usize,
    pub plane: usize,
}

/// Copies a block with a border of one pixel, every row as its even columns and then its odd ones: a tile and the next
/// ones then lie beside each other.
#[inline(always)]
pub(super) fn split_columns(
    x: &[f32],
    shape: Images,
    inputs: usize,
    block: &Block,
    split: &mut Vec<f32>,
) -> Split {
    let columns = shape.width / 2 + 1;
    let row = 2 * columns;
    let plane = (block.rows.len() + 2) * row;
    split.resize(block.images.len() * inputs * plane, 0.0);
    let first = block.images.start * inputs;
    for (i, target) in split.chunks_exact_mut(plane).enumerate() {
        let source = &x[(first + i) * shape.pixels()..][..shape.pixels()];
        for (y, target) in target.chunks_exact_mut(row).enumerate() {
            // The row of the image, one too many.
            let y = block.rows.start + y;
            if y == 0 || y > shape.height {
                target.fill(0.0);
                continue;
            }
            let (pairs, _) = source[(y - 1) * shape.width..][..shape.width].as_chunks::<2>();
            // With the border, the image's even columns are odd ones.
            let (even, odd) = target.split_at_mut(columns);
            even[0] = 0.0;
            odd[columns - 1] = 0.0;
            for ((even, odd), &[a, b]) in even[1..].iter_mut().zip(odd).zip(pairs) {
                *odd = a;
                *even = b;
            }
        }
    }
    Split {
        columns,
        row,
        plane,
    }
}

/// Bᵀ d B of a panel of tiles: `[products][inputs][VECTORS]` vectors.
#[inline(always)]
pub(super) fn transform_tiles<S: Simd>(
    simd: S,
    split: &[f32],
    layout: Split,
    tiles: &[usize],
    run: usize,
    inputs: usize,
    transformed: &mut [f32],
) {
    let lanes = S::F32_LANES;
    let (transformed, _) = S::as_mut_simd_f32s(transformed);
    let runs = lanes / run;
    for vector in 0..VECTORS {
        let first = (vector * runs).min(tiles.len());
        let tiles = &tiles[first..(first + runs).min(tiles.len())];
        for input in 0..inputs {
            let source = &split[input * layout.plane..];
            let mut d = [[simd.splat_f32s(0.0); 4]; 4];
            for (y, d) in d.iter_mut().enumerate() {
                for (x, d) in d.iter_mut().enumerate() {
                    let at = y * layout.row + x % 2 * layout.columns + x / 2;
                    *d = load_runs(simd, &source[at..], tiles, run);
                }
            }
            // Bᵀ d, then its rows by B.
            let mut half = d;
            for x in 0..4 {
                half[0][x] = simd.sub_f32s(d[0][x], d[2][x]);
                half[1][x] = simd.add_f32s(d[1][x], d[2][x]);
                half[2][x] = simd.sub_f32s(d[2][x], d[1][x]);
                half[3][x] = simd.sub_f32s(d[1][x], d[3][x]);
            }
            for (y, row) in half.iter().enumerate() {
                let at = |x: usize| ((y * 4 + x) * inputs + input) * VECTORS + vector;
                transformed[at(0)] = simd.sub_f32s(row[0], row[2]);
                transformed[at(1)] = simd.add_f32s(row[1], row[2]);
                transformed[at(2)] = simd.sub_f32s(row[2], row[1]);
                transformed[at(3)] = simd.sub_f32s(row[1], row[3]);
            }
        }
    }
}

/// A vector of runs from several places; lanes after the last are 0.
#[inline(always)]
fn load_runs<S: Simd>(simd: S, source: &[f32], places: &[usize], run: usize) -> S::f32s {
    if run == S::F32_LANES {
        return match places {
            [place, ..] => S::as_simd_f32s(&source[*place..][..run]).0[0],
            [] => simd.splat_f32s(0.0),
        };
    }
    let mut values = [0.0; 16];
    match run {
        8 => gather::<8>(source, places, &mut values),
        4 => gather::<4>(source, places, &mut values),
        2 => gather::<2>(source, places, &mut values),
        _ => gather::<1>(source, places, &mut values),
    }
    S::as_simd_f32s(&values).0[0]
}

#[inline(always)]
fn gather<const RUN: usize>(source: &[f32], places: &[usize], values: &mut [f32; 16]) {
    for (&place, value) in places.iter().zip(values.as_chunks_mut::<RUN>().0) {
        value.copy_from_slice(&source[place..][..RUN]);
    }
}

/// Where the pixels of a channel go.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub bias: f32,
    pub at: usize,
    pub row: usize,
    pub run: usize,
}

/// Aᵀ m A of one channel of a panel, to its places in the result. The products of a tile are `stride` apart.
#[inline(always)]
pub(super) fn store<S: Simd>(
    simd: S,
    products: &[f32],
    stride: usize,
    target: Target,
    places: &[usize],
    out: &mut [f32],
) {
    let lanes = S::F32_LANES;
    let bias = simd.splat_f32s(target.bias);
    let runs = lanes / target.run;
    for (vector, places) in places.chunks(runs).enumerate() {
        let mut m = [[simd.splat_f32s(0.0); 4]; 4];
        for (i, m) in m.as_flattened_mut().iter_mut().enumerate() {
            *m = S::as_simd_f32s(&products[i * stride + vector * lanes..][..lanes]).0[0];
        }
        let mut half = [[simd.splat_f32s(0.0); 4]; 2];
        for x in 0..4 {
            let sum = simd.add_f32s(m[1][x], m[2][x]);
            let difference = simd.sub_f32s(m[1][x], m[2][x]);
            half[0][x] = simd.add_f32s(m[0][x], sum);
            half[1][x] = simd.sub_f32s(difference, m[3][x]);
        }
        for (y, row) in half.iter().enumerate() {
            let sum = simd.add_f32s(row[1], row[2]);
            let difference = simd.sub_f32s(row[1], row[2]);
            let left = simd.add_f32s(simd.add_f32s(row[0], sum), bias);
            let right = simd.add_f32s(simd.sub_f32s(difference, row[3]), bias);
            let (mut lefts, mut rights) = ([0.0; 16], [0.0; 16]);
            S::as_mut_simd_f32s(&mut lefts).0[0] = left;
            S::as_mut_simd_f32s(&mut rights).0[0] = right;
            let at = target.at + y * target.row;
            match target.run {
                16 => interleave::<16>(&lefts, &rights, at, places, out),
                8 => interleave::<8>(&lefts, &rights, at, places, out),
                4 => interleave::<4>(&lefts, &rights, at, places, out),
                2 => interleave::<2>(&lefts, &rights, at, places, out),
                _ => interleave::<1>(&lefts, &rights, at, places, out),
            }
        }
    }
}

#[inline(always)]
fn interleave<const RUN: usize>(
    lefts: &[f32; 16],
    rights: &[f32; 16],
    at: usize,
    places: &[usize],
    out: &mut [f32],
) {
    let (lefts, _) = lefts.as_chunks::<RUN>();
    let (rights, _) = rights.as_chunks::<RUN>();
    for ((&place, lefts), rights) in places.iter().zip(lefts).zip(rights) {
        let (pairs, _) = out[at + place..][..2 * RUN].as_chunks_mut::<2>();
        for ((pair, &left), &right) in pairs.iter_mut().zip(lefts).zip(rights) {
            *pair = [left, right];
        }
    }
}
