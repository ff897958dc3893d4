//! Runs from a picture, on the mixture of Gaussians: a picture of two pixels, of which one may be kept.

use burn::tensor::{Device, Int, Tensor};
use freeguide::denoiser::Denoiser;
use freeguide::gaussian_mixture::GaussianMixture as Mixture;
use freeguide::network::OtherInputs;
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use std::sync::Arc;

use freeguide::sampler::{Plan, Run, Solver, SourceImage};

const RANGE: LogSnrRange = LogSnrRange {
    min: -14.0,
    max: 12.0,
};
const SHAPE: [usize; 3] = [1, 1, 2];

/// The points of the plane as pictures of two grey pixels.
struct TwoPixels(Mixture);

impl Denoiser for TwoPixels {
    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        _: OtherInputs,
    ) -> Tensor<4> {
        let [rows, ..] = z.dims();
        let points = z.reshape([rows, 2, 1, 1]);
        self.0
            .predict(points, log_snr, class)
            .reshape([rows, 1, 1, 2])
    }
}

fn run<'a>(pixels: &'a TwoPixels, plan: &Plan) -> Run<&'a TwoPixels> {
    Run::new(
        pixels,
        plan.clone(),
        pixels.0.target,
        RANGE,
        SHAPE,
        &Device::flex(),
    )
}

fn values(batch: Tensor<4>) -> Vec<f64> {
    batch.into_data().iter::<f64>().collect()
}

fn from_picture(plan: Plan, values: [f32; 2], mask: Option<[f32; 2]>) -> Plan {
    let source = SourceImage {
        values: values.to_vec(),
        mask: mask.map(|mask| mask.to_vec()),
    };
    Plan {
        source: Some(Arc::new(source)),
        ..plan
    }
}

fn plan(count: usize, steps: usize) -> Plan {
    Plan::new(vec![None; count], steps)
        .with_seed(3)
        .with_clip(false)
}

#[test]
fn a_run_starts_from_the_picture_with_noise_at_the_level_of_its_strength() {
    let pixels = TwoPixels(Mixture::three(Target::V));
    let whole = plan(2, 10);
    let noise = values(run(&pixels, &whole).latent());
    let started = from_picture(
        Plan {
            strength: Some(0.4),
            ..whole.clone()
        },
        [0.8, -0.6],
        None,
    );
    let levels = whole.levels(RANGE);
    assert_eq!(started.levels(RANGE), levels[6..]);
    let mut begun = run(&pixels, &started);
    let level = levels[6];
    let wanted = [0.8, -0.6, 0.8, -0.6].iter().zip(noise);
    let wanted = wanted.map(|(x, noise)| level.alpha() * x + level.sigma() * noise);
    for (found, wanted) in values(begun.latent()).into_iter().zip(wanted) {
        assert!((found - wanted).abs() < 1e-5, "{found} for {wanted}");
    }
    while begun.advance() {}
    assert_eq!((begun.step(), begun.evaluations(0)), (4, 4));
}

#[test]
fn what_the_mask_does_not_cover_is_kept_to_the_last_bit() {
    let pixels = TwoPixels(Mixture::three(Target::Epsilon));
    for solver in Solver::ALL {
        let plan = plan(5, 12).with_sampler(solver);
        let mut run = run(&pixels, &from_picture(plan, [0.3, 0.7], Some([0.0, 1.0])));
        while run.advance() {}
        let drawn = values(run.denoised());
        for pixel in drawn.chunks(2) {
            assert_eq!(pixel[0] as f32, 0.3, "{solver:?}");
            assert_ne!(pixel[1] as f32, 0.7, "{solver:?}");
        }
    }
}

/// Mean and deviation of the second coordinate, given the first, of the mixture: of the components, weighted by how
/// probable they make the first.
fn exact_moments(mixture: &Mixture, x: f64) -> (f64, f64) {
    let parts = mixture.means.iter().zip(&mixture.deviations);
    let weight = |mean: f64, s: f64| (-0.5 * ((x - mean) / s).powi(2)).exp() / s;
    let weighted = |value: &dyn Fn(f64, f64) -> f64| {
        let sums = parts.clone().map(|(mean, &s)| {
            let weight = weight(mean[0], s);
            [weight * value(mean[1], s), weight]
        });
        let [sum, total] = sums.fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
        sum / total
    };
    let mean = weighted(&|mean, _| mean);
    let square = weighted(&|mean, s| mean * mean + s * s);
    (mean, (square - mean * mean).sqrt())
}

#[test]
fn resampling_brings_the_rest_closer_to_its_distribution_given_what_is_kept() {
    let mixture = Mixture::three(Target::V);
    let pixels = TwoPixels(mixture.clone());
    let distance = |resampling: usize, x: f64| {
        let plan = Plan {
            resampling,
            variance_interpolation: 1.0,
            ..plan(1000, 40).with_sampler(Solver::Ancestral)
        };
        let mut run = run(
            &pixels,
            &from_picture(plan, [x as f32, 0.0], Some([0.0, 1.0])),
        );
        while run.advance() {}
        let drawn = values(run.denoised());
        let free: Vec<f64> = drawn.chunks(2).map(|pixel| pixel[1]).collect();
        let mean = free.iter().sum::<f64>() / free.len() as f64;
        let square = free.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / free.len() as f64;
        let (exact_mean, exact_deviation) = exact_moments(&mixture, x);
        (mean - exact_mean).abs() + (square.sqrt() - exact_deviation).abs()
    };
    let sum = |resampling| -> f64 {
        let given = [-0.28, 0.5, 0.1];
        given.into_iter().map(|x| distance(resampling, x)).sum()
    };
    let (once, often) = (sum(1), sum(20));
    assert!(
        often < 0.3 && often < 0.7 * once,
        "{often}, and {once} without"
    );
}

#[test]
fn a_repeated_step_is_counted_and_is_no_state_to_resume_from() {
    let pixels = TwoPixels(Mixture::three(Target::V));
    let plan = Plan {
        resampling: 3,
        ..plan(1, 5)
    };
    let mut run = run(&pixels, &from_picture(plan, [0.0; 2], Some([1.0, 0.0])));
    let mut evaluations = 0;
    while let Some(evaluation) = run.evaluation() {
        evaluations += 1;
        let complete = run.accept(evaluation.predict(&pixels));
        let state = futures_lite::future::block_on(run.state()).unwrap();
        assert_eq!(state.is_some(), complete);
    }
    // The last level is evaluated once.
    assert_eq!((evaluations, run.evaluations(0)), (4 * 3 + 1, 13));
}
