//! The gradient of self-attention.

use pulp::{Simd, WithSimd};

use super::super::simd::dispatch;
use super::attention::Softmax;
use super::image::Image;
use super::memory::{Arena, LINE, Values};
use super::outer::{OuterProduct, padded as padded_rows};
use super::product::{Panels, Product};

/// Values of a row of scores: whole cache lines, and rows enough for [`OuterProduct`].
fn padded(pixels: usize) -> usize {
    pixels.next_multiple_of(LINE)
}

/// The gradient of `qkv`, for that of what [`attend`](super::attend) makes of it. Neither has a border.
///
/// With S = Q Kᵀ / √d, P = softmax(S) and O = P V, of every head: ∂V = Pᵀ ∂O, ∂P = ∂O Vᵀ,
/// ∂S = P ⊙ (∂P − rows(Σ P ⊙ ∂P)), ∂Q = ∂S K / √d and ∂K = ∂Sᵀ Q / √d.
pub(crate) fn attend_backward(arena: &mut Arena, qkv: &Image, grad: &Image, heads: usize) -> Image {
    let mut out = qkv.like(arena, qkv.channels, 0);
    out.values.fill(0.0);
    let depth = qkv.channels / 3 / heads;
    let pixels = qkv.pixels();
    let (width, columns) = (depth.next_multiple_of(LINE), padded(pixels));
    let mut head = Head {
        depth,
        pixels,
        width,
        columns,
        query: arena.take(pixels * width),
        grad: arena.take(pixels * width),
        scores: arena.take(pixels * columns),
        of_scores: arena.take(pixels * columns),
        of_query: arena.take(pixels * width),
        sums: arena.take(padded_rows(columns) * width),
    };
    for image in 0..qkv.images {
        for i in 0..heads {
            head.run(image, i, heads, qkv, grad, &mut out);
        }
    }
    let Head {
        query,
        grad,
        scores,
        of_scores,
        of_query,
        sums,
        ..
    } = head;
    for values in [query, grad, scores, of_scores, of_query, sums] {
        arena.give(values);
    }
    out
}

/// Memory for one head of one image.
struct Head {
    depth: usize,
    pixels: usize,
    /// `depth` and `pixels`, filled up.
    width: usize,
    columns: usize,
    /// `[pixels, width]`
    query: Values,
    grad: Values,
    of_query: Values,
    /// `[pixels, columns]`
    scores: Values,
    of_scores: Values,
    /// `[columns, width]`
    sums: Values,
}

impl Head {
    fn run(
        &mut self,
        image: usize,
        head: usize,
        heads: usize,
        qkv: &Image,
        grad: &Image,
        out: &mut Image,
    ) {
        let (depth, pixels, width, columns) = (self.depth, self.pixels, self.width, self.columns);
        let scale = 1.0 / libm::sqrtf(depth as f32);
        let step = qkv.step();
        let part = |part: usize| image * qkv.plane() + (part * heads + head) * depth;
        let of_qkv = |part: usize, pixel: usize, d: usize| {
            qkv.values[image * qkv.plane() + (part * heads + head) * depth + pixel * step + d]
        };
        let gather = |to: &mut Values, from: &[f32], first: usize, step: usize| {
            for (pixel, to) in to.chunks_exact_mut(width).enumerate() {
                to[..depth].copy_from_slice(&from[first + pixel * step..][..depth]);
                to[depth..].fill(0.0);
            }
        };
        gather(&mut self.query, &qkv.values, part(0), step);
        let first = image * grad.plane() + head * depth;
        gather(&mut self.grad, &grad.values, first, grad.step());
        let keys = Panels::new([1, depth, pixels], |_, d, pixel| {
            of_qkv(1, pixel, d) * scale
        });
        let values = Panels::new([1, depth, pixels], |_, d, pixel| of_qkv(2, pixel, d));
        let rows: Vec<usize> = (0..pixels).map(|i| i * width).collect();
        let lines: Vec<usize> = (0..pixels).map(|i| i * columns).collect();
        product(&self.query, &rows, &keys, &mut self.scores, &lines, columns);
        dispatch(Softmax {
            scores: &mut self.scores,
            padded: columns,
            length: pixels,
        });
        product(
            &self.grad,
            &rows,
            &values,
            &mut self.of_scores,
            &lines,
            columns,
        );
        for scores in [&mut self.scores, &mut self.of_scores] {
            for row in scores.chunks_exact_mut(columns) {
                row[pixels..].fill(0.0);
            }
        }
        // ∂V
        self.sums.fill(0.0);
        self.outer(Factor::Probabilities);
        self.write(out, part(2), step);
        dispatch(ThroughSoftmax {
            probabilities: &self.scores,
            grad: &mut self.of_scores,
            columns,
            scale,
        });
        // ∂Q
        let keys = Panels::new([1, pixels, depth], |_, pixel, d| of_qkv(1, pixel, d));
        product(
            &self.of_scores,
            &lines,
            &keys,
            &mut self.of_query,
            &rows,
            width,
        );
        for (pixel, row) in self.of_query.chunks_exact(width).enumerate() {
            out.values[part(0) + pixel * step..][..depth].copy_from_slice(&row[..depth]);
        }
        // ∂K
        self.sums.fill(0.0);
        self.outer(Factor::Scores);
        self.write(out, part(1), step);
    }

    /// Sums over the queries of a row of scores with one of values: Pᵀ ∂O or ∂Sᵀ Q.
    fn outer(&mut self, factor: Factor) {
        let (a, b) = match factor {
            Factor::Probabilities => (&self.scores, &self.grad),
            Factor::Scores => (&self.of_scores, &self.query),
        };
        OuterProduct {
            a,
            a_step: self.columns,
            b,
            b_step: self.width,
            count: self.pixels,
            inputs: self.pixels,
            sums: &mut self.sums,
        }
        .run();
    }

    fn write(&self, out: &mut Image, first: usize, step: usize) {
        for (pixel, row) in self
            .sums
            .chunks_exact(self.width)
            .take(self.pixels)
            .enumerate()
        {
            out.values[first + pixel * step..][..self.depth].copy_from_slice(&row[..self.depth]);
        }
    }
}

/// Rows, at these places of `x`, with a matrix.
fn product(
    x: &[f32],
    places: &[usize],
    weights: &Panels,
    out: &mut [f32],
    targets: &[usize],
    width: usize,
) {
    Product {
        x,
        places,
        taps: &[0],
        weights,
        first_tap: 0,
        bias: None,
        add: None,
        out,
        targets,
        width,
    }
    .run();
}

/// The rows of scores in a product over queries.
#[derive(Clone, Copy)]
enum Factor {
    Probabilities,
    Scores,
}

/// ∂S / √d of ∂P, in place. What rows are filled up with becomes 0.
struct ThroughSoftmax<'a> {
    probabilities: &'a [f32],
    grad: &'a mut [f32],
    columns: usize,
    scale: f32,
}

impl WithSimd for ThroughSoftmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let scale = simd.splat_f32s(self.scale);
        let rows = self.grad.chunks_exact_mut(self.columns);
        for (grad, p) in rows.zip(self.probabilities.chunks_exact(self.columns)) {
            let (grad, p) = (S::as_mut_simd_f32s(grad).0, S::as_simd_f32s(p).0);
            let mut sums = simd.splat_f32s(0.0);
            for (grad, &p) in grad.iter().zip(p) {
                sums = simd.mul_add_e_f32s(*grad, p, sums);
            }
            let sum = simd.splat_f32s(simd.reduce_sum_f32s(sums));
            for (grad, &p) in grad.iter_mut().zip(p) {
                let centred = simd.mul_f32s(simd.sub_f32s(*grad, sum), scale);
                *grad = simd.mul_f32s(p, centred);
            }
        }
    }
}
