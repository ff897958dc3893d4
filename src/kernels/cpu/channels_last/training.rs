//! Convolutions of whole batches whose weights change at every step, as training has them.
//!
//! Some images at a time are turned to channels beside each other and back within the cache.

use pulp::{Simd, WithSimd};

use super::super::patches::Images;
use super::super::simd::dispatch;
use super::super::threads;
use super::super::weights::Weights;
use super::convolution::{ConvolutionWeights, convolve};
use super::image::Image;
use super::memory::{LINE, with_arena};
use super::minimal_filtering::{G, INPUTS, OUTPUTS, PRODUCTS, UNDER, covers};
use super::planes;
use super::product::Panels;
use super::weight_gradient::WeightShape;

/// Pixels of the images that a thread computes at a time, at most.
const PIXELS: usize = 1024;

/// Whether the products are those of the transposed convolution, whose inputs are the outputs of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// `x` ∗ weights
    Forward,
    /// The gradient of x: outputs and inputs swapped, the kernel turned by half a turn.
    Backward,
}

impl Direction {
    /// The inputs and the outputs of the products.
    fn of(self, weights: Weights<'_>) -> [usize; 2] {
        match self {
            Self::Forward => [weights.inputs, weights.outputs],
            Self::Backward => [weights.outputs, weights.inputs],
        }
    }
}

/// The convolution of `x` (`[batch, inputs, height, width]`): `[batch, outputs, height, width]`. Backward, `x` is the
/// gradient of the result and has the outputs of the weights, the result their inputs.
pub(in super::super) fn convolve_planes(
    x: &[f32],
    shape: Images,
    weights: Weights<'_>,
    direction: Direction,
) -> Vec<f32> {
    let outputs = match direction {
        Direction::Forward => weights.outputs,
        Direction::Backward => weights.inputs,
    };
    let pixels = shape.pixels();
    let length = shape.batch * outputs * pixels;
    if length == 0 {
        return Vec::new();
    }
    let zeros = vec![0.0; outputs];
    let bias = weights.bias.unwrap_or(&zeros);
    let [from, to] = direction.of(weights);
    // Many images at a time use the larger weights, so that no image is too small.
    let filtered =
        covers(weights.kernel, [shape.height, shape.width]) && from >= INPUTS && to >= OUTPUTS;
    let packed = pack(weights, filtered, direction);
    let fair = shape.batch.div_ceil(threads::count());
    let images = (PIXELS / pixels).clamp(1, fair);
    let inputs = shape.channels * pixels;
    let size = images * outputs * pixels;
    threads::new_by_chunks(length, size, |places: &mut Vec<usize>, unit, out| {
        let images = out.len() / (outputs * pixels);
        let x = &x[unit * (size / (outputs * pixels)) * inputs..][..images * inputs];
        with_arena(|arena| {
            let of = [images, shape.height, shape.width, shape.channels];
            let mut image = Image::new(arena, of, weights.kernel / 2);
            planes::fill(&mut image, x, places);
            let y = convolve(arena, &image, &packed, bias, None);
            image.free(arena);
            planes::write(&y, out, places);
            y.free(arena);
        });
    })
}

/// The weights of a layer as [`convolve`] reads them; `values`: `[outputs, inputs, kernel, kernel]`.
pub(crate) fn packed_convolution(
    values: &[f32],
    shape: WeightShape,
    direction: Direction,
) -> ConvolutionWeights {
    let weights = Weights {
        values,
        bias: None,
        outputs: shape.outputs,
        inputs: shape.inputs,
        kernel: shape.kernel,
    };
    pack(weights, shape.filtered, direction)
}

/// The weights of a linear layer, `[inputs, outputs]`, as a convolution of one pixel reads them.
pub(crate) fn packed_linear(
    values: &[f32],
    shape: WeightShape,
    direction: Direction,
) -> ConvolutionWeights {
    let WeightShape {
        outputs, inputs, ..
    } = shape;
    ConvolutionWeights::Direct(match direction {
        Direction::Forward => Panels::new([1, inputs, outputs], |_, input, output| {
            values[input * outputs + output]
        }),
        Direction::Backward => Panels::new([1, outputs, inputs], |_, output, input| {
            values[input * outputs + output]
        }),
    })
}

fn pack(weights: Weights<'_>, filtered: bool, direction: Direction) -> ConvolutionWeights {
    let Weights {
        values,
        inputs,
        kernel,
        ..
    } = weights;
    let area = kernel * kernel;
    let [from, to] = direction.of(weights);
    if filtered {
        return ConvolutionWeights::Filtered(transform(weights, direction));
    }
    let value = |tap: usize, from: usize, to: usize| match direction {
        Direction::Forward => values[(to * inputs + from) * area + tap],
        Direction::Backward => values[(from * inputs + to) * area + area - 1 - tap],
    };
    ConvolutionWeights::Direct(Panels::new([area, from, to], value))
}

/// G g Gᵀ of the kernels.
fn transform(weights: Weights<'_>, direction: Direction) -> Panels {
    let [from, to] = direction.of(weights);
    let mut panels = Panels::zeros(PRODUCTS, from, to);
    let (width, size) = (panels.width(), panels.size());
    threads::for_each_chunk(panels.values_mut(), size, |(): &mut (), panel, values| {
        dispatch(Transform {
            weights,
            direction,
            width,
            first: panel * width,
            values,
        });
    });
    panels
}

/// One panel.
struct Transform<'a> {
    weights: Weights<'a>,
    direction: Direction,
    width: usize,
    /// The first output of the panel.
    first: usize,
    /// `[products, inputs, width]`
    values: &'a mut [f32],
}

/// G of three vectors.
#[inline(always)]
fn kernel_transform<S: Simd>(simd: S, g: [S::f32s; 3]) -> [S::f32s; UNDER] {
    let mut out = [simd.splat_f32s(0.0); UNDER];
    for (out, row) in out.iter_mut().zip(&G) {
        for (&factor, &g) in row.iter().zip(&g) {
            if factor != 0.0 {
                *out = simd.mul_add_e_f32s(simd.splat_f32s(factor as f32), g, *out);
            }
        }
    }
    out
}

impl WithSimd for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            weights,
            direction,
            width,
            first,
            values,
        } = self;
        let lanes = S::F32_LANES;
        let (kernels, _) = weights.values.as_chunks::<9>();
        let [from, to] = direction.of(weights);
        for input in 0..from {
            for lane in (0..width).step_by(lanes) {
                let kept = lanes.min(to.saturating_sub(first + lane));
                let mut taps = [[0.0f32; LINE]; 9];
                for i in 0..kept {
                    let output = first + lane + i;
                    let kernel = match direction {
                        Direction::Forward => kernels[output * from + input],
                        Direction::Backward => {
                            let mut kernel = kernels[input * to + output];
                            kernel.reverse();
                            kernel
                        }
                    };
                    for (taps, &value) in taps.iter_mut().zip(&kernel) {
                        taps[i] = value;
                    }
                }
                let mut rows = [[simd.splat_f32s(0.0); 3]; UNDER];
                for x in 0..3 {
                    let mut g = [simd.splat_f32s(0.0); 3];
                    for (y, g) in g.iter_mut().enumerate() {
                        *g = S::as_simd_f32s(&taps[3 * y + x]).0[0];
                    }
                    for (row, &value) in rows.iter_mut().zip(&kernel_transform(simd, g)) {
                        row[x] = value;
                    }
                }
                for (y, &row) in rows.iter().enumerate() {
                    for (x, &value) in kernel_transform(simd, row).iter().enumerate() {
                        let at = ((y * UNDER + x) * from + input) * width + lane;
                        S::as_mut_simd_f32s(&mut values[at..][..lanes]).0[0] = value;
                    }
                }
            }
        }
    }
}
