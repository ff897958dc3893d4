//! Distillation of guidance (Meng et al. 2023, "On Distillation of Guided Diffusion Models", section 3.1): in one pass, a
//! student learns the guided prediction of its teacher, for which the teacher needs two.

use burn::tensor::{Tensor, TensorData};

use super::{Draw, Noisy, Objective, Part, stream};
use crate::denoiser::Denoiser;

impl Objective {
    /// w of each image of a part of a batch.
    pub(super) fn strengths(&self, part: &Part) -> Vec<f64> {
        let Some(range) = self.guidance else {
            return Vec::new();
        };
        let mut stream = part.stream(stream::GUIDANCE);
        stream.skip(2 * part.images.start as u64);
        let mut draw = || range.min + (range.max - range.min) * stream.uniform();
        part.images.clone().map(|_| draw()).collect()
    }

    /// What the student is to predict for images `x`, `[images, channels, height, width]` in [−1, 1]: the teacher's guided
    /// prediction with the drawn w, after clipping its x̃ as samplers do, which loses nothing that is seen. `x` and the
    /// teacher are on a device without gradients.
    pub fn lesson<D: Denoiser + ?Sized>(
        &self,
        teacher: &D,
        x: Tensor<4>,
        draw: &Draw,
    ) -> Tensor<4> {
        let noisy = Noisy::new(x, draw);
        let z = noisy.z.clone();
        let w = strengths(draw, &z);
        let guided = teacher.predict_guided(z.clone(), noisy.log_snr, noisy.classes, w);
        let guided = guided.cast(z.dtype());
        let (alpha, sigma) = (noisy.alpha, noisy.sigma);
        let x = self
            .target
            .clean(guided, z.clone(), alpha.clone(), sigma.clone())
            .clamp(-1.0, 1.0);
        let epsilon = (z - x.clone() * alpha.clone()) / sigma.clone();
        self.target.of(x, epsilon, alpha, sigma)
    }

    /// The weighted mean squared error of the student against a [`lesson`](Self::lesson) for the same images and draw; a
    /// scalar, `[1]`.
    pub fn distillation_loss<D: Denoiser + ?Sized>(
        &self,
        student: &D,
        x: Tensor<4>,
        draw: &Draw,
        lesson: Tensor<4>,
    ) -> Tensor<1> {
        let noisy = Noisy::new(x, draw);
        let w = strengths(draw, &noisy.z);
        let prediction = student.predict_guided(noisy.z, noisy.log_snr, noisy.classes, w);
        self.error(prediction, lesson, draw)
    }
}

/// w of each image, on the device of `like`.
pub(super) fn strengths(draw: &Draw, like: &Tensor<4>) -> Tensor<1> {
    let w: Vec<f32> = draw.guidance.iter().map(|&w| w as f32).collect();
    let count = w.len();
    Tensor::from_data(TensorData::new(w, [count]), &like.device())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::gaussian_mixture::GaussianMixture;
    use crate::network::GuidanceInput;
    use crate::noise_level::LogSnrRange;
    use crate::prediction::Target;
    use crate::training::{Levels, LogNormal, Weighting};

    fn objective(target: Target) -> Objective {
        Objective {
            target,
            log_snr: LogSnrRange {
                min: -6.0,
                max: 6.0,
            },
            p_uncond: 0.1,
            p_drop: None,
            levels: Levels::Stratified,
            log_normal: LogNormal::default(),
            weighting: Weighting::Uniform,
            guidance: Some(GuidanceInput::new(-1.0, 8.0)),
            jumps: None,
        }
    }

    #[test]
    fn strengths_are_uniform_and_do_not_depend_on_the_part() {
        let objective = objective(Target::V);
        let whole = objective.strengths(&Part::whole(1, 5, 4_000));
        assert!(whole.iter().all(|w| (-1.0..8.0).contains(w)));
        let mean = whole.iter().sum::<f64>() / 4_000.0;
        assert!((mean - 3.5).abs() < 5.0 * 2.6 / 4_000f64.sqrt(), "{mean}");
        let part = Part {
            images: 17..40,
            ..Part::whole(1, 5, 4_000)
        };
        assert_eq!(objective.strengths(&part), whole[17..40]);
    }

    #[test]
    fn a_lesson_is_the_clipped_guided_prediction_and_other_strengths_lose_more() {
        let device = Device::flex();
        let count = 48;
        let x = Tensor::<4>::full([count, 2, 1, 1], 0.1, &device);
        let labels: Vec<u32> = (0..count as u32).map(|i| i % 3).collect();
        for target in [Target::V, Target::Epsilon] {
            let mixture = GaussianMixture::three(target);
            let objective = objective(target);
            let draw = objective.draw(&Part::whole(3, 1, count), &labels, 3, 2);
            let lesson = objective.lesson(&mixture, x.clone(), &draw);
            let values: Vec<f64> = lesson.clone().into_data().iter::<f64>().collect();
            let mut clipped = 0;
            for image in 0..count {
                let (level, w) = (draw.log_snr[image], draw.guidance[image]);
                let (alpha, sigma) = (level.alpha(), level.sigma());
                let noise = [0, 1].map(|i| f64::from(draw.noise[2 * image + i]));
                let z = noise.map(|e| alpha * 0.1 + sigma * e);
                let exact = match draw.classes[image] {
                    3 => mixture.unconditional(z, level),
                    class => mixture.guided(z, level, class as usize, w),
                };
                for i in 0..2 {
                    clipped += usize::from(exact[i].abs() > 1.0);
                    let x = exact[i].clamp(-1.0, 1.0);
                    let epsilon = (z[i] - alpha * x) / sigma;
                    let wanted = match target {
                        Target::Epsilon => epsilon,
                        Target::V => alpha * epsilon - sigma * x,
                        other => panic!("{other:?} is not among the cases"),
                    };
                    let found = values[2 * image + i];
                    // In 32 bits, divided by α or σ, which go down to 0.05.
                    assert!((found - wanted).abs() < 2e-3, "{target:?} {found} {wanted}");
                }
            }
            assert!(clipped > 0, "no case is clipped");
            let loss = |strength: f64| {
                let draw = Draw {
                    guidance: draw.guidance.iter().map(|w| w + strength).collect(),
                    ..draw.clone()
                };
                let loss = objective.distillation_loss(&mixture, x.clone(), &draw, lesson.clone());
                f64::from(loss.into_scalar::<f32>())
            };
            assert!(loss(0.5) > loss(0.0), "{target:?}");
        }
    }
}
