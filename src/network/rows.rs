//! The network on a CPU: every thread answers some rows of an evaluation after others from the first layer to the last,
//! with the channels of a pixel beside each other in memory.
//!
//! It computes what the modules compute for whole batches, which is what trains and what runs everywhere else.

use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};

use super::stages::{Block, DownStage, Middle, UpStage};
use super::{GroupNorm, Modulation, Resample, ResidualBlock, SelfAttention, UNet, border_before};
use crate::kernels::channels_last::{
    self, Arena, Image, Norm, Parameter, attend, from_planes, joined, resampled, to_planes,
};
use crate::kernels::{Panels, WeightCache, for_each_chunk, thread_count};

/// What the layers of some rows share.
struct Pass<'a> {
    arena: &'a mut Arena,
    /// Of one pixel.
    embedding: Image,
}

impl UNet {
    /// The network's answer to what its first layer sees, where (λ, class) have this embedding; `None` where the tensors are not of 32-bit floats on
    /// burn's CPU backend or belong to a graph of gradients.
    pub(super) fn answer_rows(&self, z: &Tensor<4>, embedding: &Tensor<2>) -> Option<Tensor<4>> {
        if !self.input.has_rows() {
            return None;
        }
        let shape = z.dims();
        let device = z.device();
        let [count, inputs, height, width] = shape;
        let colors = self.colors();
        let shape = [count, colors, height, width];
        let z = Parameter::of(z.clone())?;
        let [_, features] = embedding.dims();
        let embedding = Parameter::of(embedding.clone())?;
        let (of_z, size) = (inputs * height * width, colors * height * width);
        let mut answer = vec![0.0; count * size];
        if answer.is_empty() {
            return Some(Tensor::from_data(TensorData::new(answer, shape), &device));
        }
        let together = together(shape[0], height * width / (self.patch * self.patch));
        for_each_chunk(&mut answer, together * size, |(): &mut (), i, answer| {
            let (first, rows) = (i * together, answer.len() / size);
            let z = &z.get()[first * of_z..][..rows * of_z];
            let embedding = &embedding.get()[first * features..][..rows * features];
            self.arenas.with(|arena| {
                let embedding = from_planes(arena, embedding, [rows, features, 1, 1], 1, 0);
                let mut pass = Pass { arena, embedding };
                self.answer_some(&mut pass, z, [rows, inputs, height, width], answer);
                pass.embedding.free(pass.arena);
            });
        });
        Some(Tensor::from_data(TensorData::new(answer, shape), &device))
    }

    fn answer_some(&self, pass: &mut Pass<'_>, z: &[f32], shape: [usize; 4], answer: &mut [f32]) {
        let input = from_planes(pass.arena, z, shape, self.patch, 1);
        let mut skips = vec![self.input.rows(pass.arena, &input, None)];
        input.free(pass.arena);
        for stage in &self.down {
            stage.rows(pass, &mut skips);
        }
        let last = skips.last().expect("the first layer's result");
        let mut x = match &self.middle {
            Some(middle) => middle.rows(pass, last),
            None => resampled(pass.arena, last, Resample::None),
        };
        for stage in &self.up {
            x = stage.rows(pass, x, &mut skips);
        }
        let normalized = self
            .output_norm
            .rows(pass.arena, &x, None, true, (Resample::None, 1));
        x.free(pass.arena);
        let output = self.output.rows(pass.arena, &normalized, None);
        normalized.free(pass.arena);
        to_planes(&output, self.patch, answer);
        output.free(pass.arena);
        if let Some(skip) = &self.input_skip {
            let scales = linear(pass, skip, &self.input_skip_cache);
            let pixels = shape[2] * shape[3];
            let (inputs, colors) = (shape[1], self.colors());
            for (plane, answer) in answer.chunks_exact_mut(pixels).enumerate() {
                let (row, color) = (plane / colors, plane % colors);
                let z = &z[(row * inputs + color) * pixels..][..pixels];
                let scale = scales.values[scales.at(row, 0, 0) + color];
                for (answer, z) in answer.iter_mut().zip(z) {
                    *answer += z * scale;
                }
            }
            scales.free(pass.arena);
        }
    }
}

/// Pixels of the rows that a thread answers together, at most: their activations stay in the cache.
const PIXELS: usize = 1024;

/// How many rows, of so many pixels, a thread answers together, so that it reads weights from memory once for all of them.
/// The threads have equal parts.
fn together(rows: usize, pixels: usize) -> usize {
    let most = (PIXELS / pixels.max(1)).max(1);
    let parts = rows.div_ceil(most).next_multiple_of(thread_count());
    rows.div_ceil(parts)
}

/// A linear layer of the embedding.
fn linear(pass: &mut Pass<'_>, module: &Linear, cache: &WeightCache<Panels>) -> Image {
    channels_last::linear(pass.arena, &pass.embedding, module, cache, None)
}

impl DownStage {
    /// Adds its results to `skips`, whose last is what it begins with.
    fn rows(&self, pass: &mut Pass<'_>, skips: &mut Vec<Image>) {
        for block in self.blocks.iter() {
            let x = skips.last().expect("a first layer");
            let x = block.rows(pass, x);
            skips.push(x);
        }
        let x = skips.last().expect("a first layer");
        let halved = match (&self.downsample, &self.downsample_conv) {
            (Some(block), _) => block.rows(pass, x),
            (None, Some(convolution)) => {
                let x = channels_last::bordered(pass.arena, x, Resample::None, 1);
                let cache = &self.downsample_cache;
                let before = border_before(convolution);
                let y = channels_last::halve(pass.arena, &x, convolution, cache, before);
                x.free(pass.arena);
                y
            }
            (None, None) => return,
        };
        skips.push(halved);
    }
}

impl Middle {
    fn rows(&self, pass: &mut Pass<'_>, x: &Image) -> Image {
        let mut x = self.first.rows(pass, x);
        if let Some(attention) = &self.attention {
            let attended = attention.rows(pass.arena, &x);
            std::mem::replace(&mut x, attended).free(pass.arena);
        }
        let y = self.second.rows(pass, &x);
        x.free(pass.arena);
        y
    }
}

impl UpStage {
    /// Takes its skips from the end of `skips`.
    fn rows(&self, pass: &mut Pass<'_>, mut x: Image, skips: &mut Vec<Image>) -> Image {
        for block in &self.blocks {
            if let Some(skip) = skips.pop() {
                let both = joined(pass.arena, &x, &skip);
                skip.free(pass.arena);
                std::mem::replace(&mut x, both).free(pass.arena);
            }
            let y = block.rows(pass, &x);
            std::mem::replace(&mut x, y).free(pass.arena);
        }
        let y = match (&self.upsample, &self.upsample_conv) {
            (Some(block), _) => block.rows(pass, &x),
            (None, Some(convolution)) => {
                let doubled = channels_last::bordered(pass.arena, &x, Resample::Up, 1);
                let y = convolution.rows(pass.arena, &doubled, None);
                doubled.free(pass.arena);
                y
            }
            (None, None) => return x,
        };
        x.free(pass.arena);
        y
    }
}

impl Block {
    fn rows(&self, pass: &mut Pass<'_>, x: &Image) -> Image {
        let x = self.residual.rows(pass, x);
        match &self.attention {
            Some(attention) => {
                let y = attention.rows(pass.arena, &x);
                x.free(pass.arena);
                y
            }
            None => x,
        }
    }
}

impl ResidualBlock {
    fn rows(&self, pass: &mut Pass<'_>, x: &Image) -> Image {
        let resample = self.resample;
        let hidden = self.norm_in.rows(pass.arena, x, None, true, (resample, 1));
        let mut convolved = self.conv_in.rows(pass.arena, &hidden, None);
        hidden.free(pass.arena);
        let modulation = linear(pass, &self.modulation, &self.modulation_cache);
        let scales = match self.how {
            Modulation::ScaleShift => Some(&modulation),
            Modulation::Add => {
                convolved.add_to_pixels(&modulation);
                None
            }
        };
        let how = (Resample::None, 1);
        let hidden = self
            .norm_out
            .rows(pass.arena, &convolved, scales, true, how);
        convolved.free(pass.arena);
        modulation.free(pass.arena);
        self.finish(pass, x, hidden)
    }

    /// The second convolution and the sum with the input.
    fn finish(&self, pass: &mut Pass<'_>, x: &Image, hidden: Image) -> Image {
        let sized =
            (self.resample != Resample::None).then(|| resampled(pass.arena, x, self.resample));
        let x = sized.as_ref().unwrap_or(x);
        let skipped = self
            .skip
            .as_ref()
            .map(|skip| skip.rows(pass.arena, x, None));
        let x = skipped.as_ref().unwrap_or(x);
        let y = self.conv_out.rows(pass.arena, &hidden, Some(x));
        for done in [sized, skipped, Some(hidden)].into_iter().flatten() {
            done.free(pass.arena);
        }
        y
    }
}

impl GroupNorm {
    /// The normalised `x`, modulated by scales and then shifts where there are any, with SiLU of it, resampled and with a
    /// border.
    fn rows(
        &self,
        arena: &mut Arena,
        x: &Image,
        modulation: Option<&Image>,
        silu: bool,
        (resample, border): (Resample, usize),
    ) -> Image {
        let options = self.options(silu);
        let (weight, bias) = (Parameter::known(&self.weight), Parameter::known(&self.bias));
        let mut scale = arena.take(x.images * x.channels);
        let mut shift = arena.take(x.images * x.channels);
        let rows = scale
            .chunks_exact_mut(x.channels)
            .zip(shift.chunks_exact_mut(x.channels));
        for (row, (scale, shift)) in rows.enumerate() {
            scale.copy_from_slice(weight.get());
            shift.copy_from_slice(bias.get());
            if let Some(modulation) = modulation {
                let modulation = &modulation.values[modulation.at(row, 0, 0)..];
                let (factors, shifts) = modulation[..2 * x.channels].split_at(x.channels);
                let learned = scale.iter_mut().zip(shift);
                for ((scale, shift), (factor, more)) in learned.zip(factors.iter().zip(shifts)) {
                    *scale *= factor + 1.0;
                    *shift = *shift * (factor + 1.0) + more;
                }
            }
        }
        let norm = Norm {
            groups: options.groups,
            epsilon: options.epsilon as f32,
            silu: options.silu,
            scale: &scale,
            shift: &shift,
        };
        let y = norm.run(arena, x, resample, border);
        arena.give(scale);
        arena.give(shift);
        y
    }
}

impl SelfAttention {
    fn rows(&self, arena: &mut Arena, x: &Image) -> Image {
        let how = (Resample::None, 0);
        let normalized = self
            .norm
            .as_ref()
            .map(|norm| norm.rows(arena, x, None, false, how));
        let [qkv_cache, output_cache] = &self.caches;
        let tokens = normalized.as_ref().unwrap_or(x);
        let qkv = channels_last::linear(arena, tokens, &self.qkv, qkv_cache, None);
        if let Some(normalized) = normalized {
            normalized.free(arena);
        }
        let mixed = attend(arena, &qkv, self.heads);
        qkv.free(arena);
        let y = channels_last::linear(arena, &mixed, &self.output, output_cache, Some(x));
        mixed.free(arena);
        y
    }
}

mod cpu_unet;
#[cfg(test)]
mod tests;
#[cfg(feature = "autodiff")]
mod training;

pub use cpu_unet::CpuUNet;
#[cfg(feature = "autodiff")]
pub(super) use training::TrainingMemory;
