//! Layers of one vector for each row: the embedding of (λ, class), and what the blocks make of it.

use burn_cubecl::cubecl::{self, prelude::*};

use super::super::grid::cube_index;

/// Threads of a cube, one for each output of a row.
pub(super) const THREADS: usize = 64;

/// The sizes of a layer, and where its vectors are.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct VectorSizes {
    pub rows: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// Numbers of a row in the scratch memory.
    pub row: usize,
    /// Whether the input is given, or in the scratch memory.
    pub is_given: usize,
    /// From a row to the next of what is given, 0 where all rows have the same.
    pub given_row: usize,
    /// Where that begins in a row.
    pub input: usize,
    /// Where the result does.
    pub output: usize,
    /// Whether a row of the table is added, chosen by the row's class.
    pub has_class: usize,
    /// How many attributes there are, of which the rows of all that a row has are added instead; 0 where it has a class.
    pub attributes: usize,
    /// Whether SiLU is applied to the result.
    pub is_activated: usize,
}

/// `weights`: `[inputs, outputs]` and the bias; `classes`: of each row; `attributes`: of each row, `[rows, attributes]`, 1 or
/// 0; `table`: `[classes, outputs]`, or `[attributes + 1, outputs]`, of which the last row is that of no attribute.
#[cube(launch_unchecked)]
pub(super) fn vector_layer<E: Float>(
    given: &[f32],
    weights: &[E],
    classes: &[u32],
    attributes: &[f32],
    table: &[E],
    scratch: &mut [f32],
    sizes: VectorSizes,
) {
    let blocks = sizes.outputs.div_ceil(THREADS);
    let index = cube_index();
    let row = index / blocks;
    let at = index % blocks * THREADS + UNIT_POS as usize;
    if row < sizes.rows && at < sizes.outputs {
        let begin = row * sizes.row;
        let mut sum = f32::cast_from(weights[sizes.inputs * sizes.outputs + at]);
        if sizes.is_given == 1 {
            for i in 0..sizes.inputs {
                sum += given[row * sizes.given_row + i]
                    * f32::cast_from(weights[i * sizes.outputs + at]);
            }
        } else {
            for i in 0..sizes.inputs {
                let value = scratch[begin + sizes.input + i];
                sum += value * f32::cast_from(weights[i * sizes.outputs + at]);
            }
        }
        if sizes.has_class == 1 {
            if sizes.attributes == 0 {
                let class = classes[row] as usize;
                sum += f32::cast_from(table[class * sizes.outputs + at]);
            } else {
                let mut none = 1.0f32;
                for i in 0..sizes.attributes {
                    let has = attributes[row * sizes.attributes + i];
                    sum += has * f32::cast_from(table[i * sizes.outputs + at]);
                    none -= has;
                }
                if none > 0.0 {
                    sum += none * f32::cast_from(table[sizes.attributes * sizes.outputs + at]);
                }
            }
        }
        if sizes.is_activated == 1 {
            sum /= 1.0 + (-sum).exp();
        }
        scratch[begin + sizes.output + at] = sum;
    }
}
