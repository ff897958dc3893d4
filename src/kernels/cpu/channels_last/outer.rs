//! The product that gradients of weights are made of: the sum over pixels of the outer products of their inputs and outputs.

use pulp::{Simd, WithSimd};

use super::super::simd::dispatch;
use super::memory::LINE;

/// Rows of a tile on processors with 32 registers and with fewer; [`padded`] inputs are a multiple of both.
const ROWS: usize = 8;
const FEW_ROWS: usize = 4;

/// The inputs for which [`OuterProduct::sums`] has rows.
pub(super) fn padded(inputs: usize) -> usize {
    inputs.next_multiple_of(ROWS)
}

/// `sums[i][o] += Σ a[k · a_step + i] · b[k · b_step + o]` over `count` values of k, in order.
pub(super) struct OuterProduct<'a> {
    pub a: &'a [f32],
    pub a_step: usize,
    pub b: &'a [f32],
    /// Also the outputs, which are whole cache lines.
    pub b_step: usize,
    pub count: usize,
    /// Before [`padded`], which reads beyond them within `a_step`.
    pub inputs: usize,
    /// `[padded inputs, outputs]`
    pub sums: &'a mut [f32],
}

impl OuterProduct<'_> {
    pub(super) fn run(self) {
        debug_assert!(padded(self.inputs) <= self.a_step && self.b_step.is_multiple_of(LINE));
        dispatch(self);
    }

    #[inline(always)]
    fn panels<S: Simd, const ROWS: usize>(&mut self, simd: S) {
        let vectors = self.b_step / S::F32_LANES;
        let widest = [3, 2, 1]
            .into_iter()
            .find(|widest| vectors.is_multiple_of(*widest))
            .unwrap_or(1);
        for first in (0..vectors).step_by(widest) {
            let first = first * S::F32_LANES;
            match widest {
                3 => self.tiles::<S, ROWS, 3>(simd, first),
                2 => self.tiles::<S, ROWS, 2>(simd, first),
                _ => self.tiles::<S, ROWS, 1>(simd, first),
            }
        }
    }

    #[inline(always)]
    fn tiles<S: Simd, const ROWS: usize, const VECTORS: usize>(&mut self, simd: S, output: usize) {
        let width = VECTORS * S::F32_LANES;
        let b = &self.b[output..];
        for input in (0..self.inputs).step_by(ROWS) {
            let at = |row: usize| (input + row) * self.b_step + output;
            let mut kept = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
            for (row, kept) in kept.iter_mut().enumerate() {
                let (sums, _) = S::as_simd_f32s(&self.sums[at(row)..][..width]);
                kept.copy_from_slice(sums);
            }
            let a = self.a[input..].chunks(self.a_step);
            for (a, b) in a.zip(b.chunks(self.b_step)).take(self.count) {
                let a = &a[..ROWS];
                let (b, _) = S::as_simd_f32s(&b[..width]);
                let mut row = [simd.splat_f32s(0.0); VECTORS];
                row.copy_from_slice(b);
                for (kept, &a) in kept.iter_mut().zip(a) {
                    let a = simd.splat_f32s(a);
                    for (sum, &b) in kept.iter_mut().zip(&row) {
                        *sum = simd.mul_add_e_f32s(a, b, *sum);
                    }
                }
            }
            for (row, kept) in kept.iter().enumerate() {
                let (sums, _) = S::as_mut_simd_f32s(&mut self.sums[at(row)..][..width]);
                sums.copy_from_slice(kept);
            }
        }
    }
}

impl WithSimd for OuterProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.panels::<S, ROWS>(simd);
        } else {
            self.panels::<S, FEW_ROWS>(simd);
        }
    }
}
