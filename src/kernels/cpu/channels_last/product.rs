//! The matrix product that everything else is made of: rows of activations, wherever they lie, with a matrix of weights.
//!
//! A tile of the result is some rows by some vectors of outputs and stays in registers while its sums run. Every sum
//! runs over the taps and the inputs in order, whatever tile, batch and thread it is computed in.

use pulp::{Simd, WithSimd};

use super::super::simd::dispatch;
use super::memory::Values;

/// The vectors of outputs that a tile may have; it has more rows than vectors, so that one load serves many products.
const fn widest<S: Simd>() -> usize {
    if cfg!(target_family = "wasm") {
        2
    } else if S::REGISTER_COUNT >= 32 {
        3
    } else {
        2
    }
}

/// A matrix of weights, `[taps, inputs, outputs]`, in the order in which tiles read it: `[panels][taps][inputs][outputs of
/// a panel]`, the last panel filled up with zeros.
#[derive(Debug)]
pub struct Panels {
    values: Values,
    pub(crate) taps: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Vectors of a panel, and the values of one panel's row.
    vectors: usize,
    width: usize,
}

struct PanelVectors(usize);

impl WithSimd for PanelVectors {
    /// Vectors of a panel, and lanes of a vector.
    type Output = (usize, usize);

    fn with_simd<S: Simd>(self, _: S) -> (usize, usize) {
        let vectors = self.0.div_ceil(S::F32_LANES);
        let best = (1..=widest::<S>())
            .rev()
            .min_by_key(|&panel| vectors.next_multiple_of(panel))
            .unwrap_or(1);
        (best, S::F32_LANES)
    }
}

impl Panels {
    /// Zeros.
    pub(crate) fn zeros(taps: usize, inputs: usize, outputs: usize) -> Self {
        let (vectors, lanes) = dispatch(PanelVectors(outputs));
        let width = vectors * lanes;
        let values = Values::zeros(outputs.div_ceil(width) * taps * inputs * width);
        Self {
            values,
            taps,
            inputs,
            outputs,
            vectors,
            width,
        }
    }

    /// The matrix of these values, given tap, input and output.
    pub(crate) fn new(
        [taps, inputs, outputs]: [usize; 3],
        value: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let mut panels = Self::zeros(taps, inputs, outputs);
        panels.fill(value);
        panels
    }

    /// Takes these values.
    pub(crate) fn fill(&mut self, value: impl Fn(usize, usize, usize) -> f32) {
        let size = self.size();
        for (panel, values) in self.values.chunks_exact_mut(size.max(1)).enumerate() {
            let first = panel * self.width;
            let kept = self.width.min(self.outputs - first);
            for (row, values) in values.chunks_exact_mut(self.width).enumerate() {
                let (tap, input) = (row / self.inputs, row % self.inputs);
                for (i, target) in values[..kept].iter_mut().enumerate() {
                    *target = value(tap, input, first + i);
                }
            }
        }
    }

    /// Outputs of a panel.
    #[cfg(feature = "autodiff")]
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// `[panels][taps][inputs][width]`
    #[cfg(feature = "autodiff")]
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Values of a panel.
    pub(super) fn size(&self) -> usize {
        self.taps * self.inputs * self.width
    }
}

/// `out[targets[i]..] = bias + Σ x[places[i] + taps[t]..][..inputs] · weights[t] + add[targets[i]..]` for every i.
pub(crate) struct Product<'a> {
    pub x: &'a [f32],
    pub places: &'a [usize],
    pub taps: &'a [usize],
    pub weights: &'a Panels,
    /// The tap of the weights that belongs to the first of `taps`.
    pub first_tap: usize,
    pub bias: Option<&'a [f32]>,
    pub add: Option<&'a [f32]>,
    pub out: &'a mut [f32],
    pub targets: &'a [usize],
    /// Values that are written of a row; those beyond the outputs are 0.
    pub width: usize,
}

impl Product<'_> {
    pub(crate) fn run(self) {
        dispatch(self);
    }
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.run_with(simd);
    }
}

impl Product<'_> {
    #[inline(always)]
    pub(crate) fn run_with<S: Simd>(self, simd: S) {
        if cfg!(target_family = "wasm") {
            match self.weights.vectors {
                2 => self.tiles::<S, 4, 2>(simd),
                _ => self.tiles::<S, 4, 1>(simd),
            }
        } else if self.places.len() == 1 {
            // The embedding of an image.
            match self.weights.vectors {
                3 => self.tiles::<S, 1, 3>(simd),
                2 => self.tiles::<S, 1, 2>(simd),
                _ => self.tiles::<S, 1, 1>(simd),
            }
        } else if S::REGISTER_COUNT >= 32 {
            match self.weights.vectors {
                3 => self.tiles::<S, 8, 3>(simd),
                2 => self.tiles::<S, 8, 2>(simd),
                _ => self.tiles::<S, 8, 1>(simd),
            }
        } else {
            match self.weights.vectors {
                2 => self.tiles::<S, 6, 2>(simd),
                _ => self.tiles::<S, 6, 1>(simd),
            }
        }
    }

    /// Tiles of `ROWS` rows by `VECTORS` vectors.
    #[inline(always)]
    fn tiles<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
        let Self {
            x,
            places,
            taps,
            weights,
            first_tap,
            bias,
            add,
            out,
            targets,
            width,
        } = self;
        let inputs = weights.inputs;
        let panel_width = VECTORS * S::F32_LANES;
        let tap_size = inputs * panel_width;
        let panels = weights.values.chunks_exact(weights.size().max(1));
        for (panel, values) in panels.enumerate() {
            let first = panel * panel_width;
            let kept = panel_width.min(width.saturating_sub(first));
            let mut start = [simd.splat_f32s(0.0); VECTORS];
            if let Some(bias) = bias {
                for (v, start) in start.iter_mut().enumerate() {
                    let from = (first + v * S::F32_LANES).min(bias.len());
                    let bias = &bias[from..(from + S::F32_LANES).min(bias.len())];
                    *start = simd.partial_load_f32s(bias);
                }
            }
            for (places, targets) in places.chunks(ROWS).zip(targets.chunks(ROWS)) {
                let mut at = [places[0]; ROWS];
                at[..places.len()].copy_from_slice(places);
                let mut sums = [start; ROWS];
                for (i, &tap) in taps.iter().enumerate() {
                    let mut rows = [&x[at[0] + tap..][..inputs]; ROWS];
                    for (row, &at) in rows.iter_mut().zip(&at) {
                        *row = &x[at + tap..][..inputs];
                    }
                    let values = &values[(first_tap + i) * tap_size..][..tap_size];
                    multiply(simd, rows, values, &mut sums);
                }
                for (&target, sums) in targets.iter().zip(&sums) {
                    let at = target + first;
                    let add = add.map(|add| &add[at..at + kept]);
                    store::<S, VECTORS>(simd, sums, add, &mut out[at..at + kept]);
                }
            }
        }
    }
}

/// `sums[r] += Σ rows[r][i] · weights[i]`: weights are `[inputs][VECTORS]` vectors.
#[inline(always)]
fn multiply<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    rows: [&[f32]; ROWS],
    weights: &[f32],
    sums: &mut [[S::f32s; VECTORS]; ROWS],
) {
    let length = rows[0].len();
    // Slices of the same length, which the compiler can see, so that the loop checks no bounds.
    let rows = rows.map(|row| &row[..length]);
    let (weights, _) = S::as_simd_f32s(weights);
    let (weights, _) = weights.as_chunks::<VECTORS>();
    let weights = &weights[..length];
    let mut kept = *sums;
    for i in 0..length {
        for (row, sums) in rows.iter().zip(&mut kept) {
            let x = simd.splat_f32s(row[i]);
            for (sum, &weight) in sums.iter_mut().zip(&weights[i]) {
                *sum = simd.mul_add_e_f32s(x, weight, *sum);
            }
        }
    }
    *sums = kept;
}

/// Writes the first values of a row of a tile, with what is added.
#[inline(always)]
fn store<S: Simd, const VECTORS: usize>(
    simd: S,
    sums: &[S::f32s; VECTORS],
    add: Option<&[f32]>,
    out: &mut [f32],
) {
    let (whole, rest) = S::as_mut_simd_f32s(out);
    for (i, out) in whole.iter_mut().enumerate() {
        let mut sum = sums[i.min(VECTORS - 1)];
        if let Some(add) = add {
            sum = simd.add_f32s(sum, S::as_simd_f32s(add).0[i]);
        }
        *out = sum;
    }
    if !rest.is_empty() {
        let mut sum = sums[whole.len().min(VECTORS - 1)];
        if let Some(add) = add {
            sum = simd.add_f32s(sum, simd.partial_load_f32s(S::as_simd_f32s(add).1));
        }
        simd.partial_store_f32s(rest, sum);
    }
}
