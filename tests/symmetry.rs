//! Symmetric pictures, on the mixture of Gaussians as pictures of four pixels, whose symmetric estimate is known exactly.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use freeguide::denoiser::Denoiser;
use freeguide::gaussian_mixture::GaussianMixture as Mixture;
use freeguide::network::OtherInputs;
use freeguide::noise_level::{LogSnr, LogSnrRange};
use freeguide::prediction::Target;
use freeguide::sampler::{Plan, Run, Solver, SourceImage, Symmetry};

const RANGE: LogSnrRange = LogSnrRange {
    min: -14.0,
    max: 12.0,
};

/// Pictures of two rows by two columns. Each row is a point of the mixture, and independent of the other one.
struct TwoRows(Mixture);

impl Denoiser for TwoRows {
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
        let [images, ..] = z.dims();
        let points = z.reshape([2 * images, 2, 1, 1]);
        let each = |images: usize| [images, 2];
        let log_snr = log_snr.reshape([images, 1]).expand(each(images));
        let class = class.reshape([images, 1]).expand(each(images));
        let count = [2 * images];
        let answer = self
            .0
            .predict(points, log_snr.reshape(count), class.reshape(count));
        answer.reshape([images, 1, 2, 2])
    }
}

fn begin(pictures: &TwoRows, plan: Plan) -> Run<&TwoRows> {
    let target = pictures.0.target;
    Run::new(pictures, plan, target, RANGE, [1, 2, 2], &Device::flex())
}

fn plan(count: usize, steps: usize, symmetry: Symmetry) -> Plan {
    Plan {
        symmetry: Some(symmetry),
        ..Plan::new(vec![Some(0); count], steps)
            .with_seed(11)
            .with_clip(false)
    }
}

/// The pictures, row by row.
fn read(batch: Tensor<4>) -> Vec<[f64; 4]> {
    let values: Vec<f64> = batch.into_data().iter::<f64>().collect();
    values
        .chunks_exact(4)
        .map(|picture| picture.try_into().unwrap())
        .collect()
}

/// For each pixel, those that are the same.
fn same(symmetry: Symmetry) -> [&'static [usize]; 4] {
    match symmetry {
        Symmetry::LeftRight => [&[0, 1], &[0, 1], &[2, 3], &[2, 3]],
        Symmetry::TopBottom => [&[0, 2], &[1, 3], &[0, 2], &[1, 3]],
        Symmetry::Both | Symmetry::QuarterTurn => [&[0, 1, 2, 3]; 4],
    }
}

fn averaged(picture: [f64; 4], symmetry: Symmetry) -> [f64; 4] {
    same(symmetry).map(|all| all.iter().map(|&at| picture[at]).sum::<f64>() / all.len() as f64)
}

#[test]
fn every_step_is_the_average_of_the_exact_estimate() {
    let w = 1.5;
    for target in [Target::Epsilon, Target::V] {
        let pictures = TwoRows(Mixture::three(target));
        for symmetry in Symmetry::ALL {
            let mut run = begin(&pictures, plan(3, 8, symmetry).with_guidance(w));
            let levels = Plan::new(vec![Some(0)], 8).levels(RANGE);
            for level in levels {
                let latents = read(run.latent());
                assert!(run.advance());
                for (z, found) in latents.into_iter().zip(read(run.denoised())) {
                    let rows = [[z[0], z[1]], [z[2], z[3]]];
                    let [upper, lower] = rows.map(|z| pictures.0.guided(z, level, 0, w));
                    let exact = averaged([upper[0], upper[1], lower[0], lower[1]], symmetry);
                    for (found, exact) in found.into_iter().zip(exact) {
                        let scale = (level.sigma() / level.alpha()).clamp(1.0, 100.0);
                        assert!(
                            (found - exact).abs() < 2e-5 * scale,
                            "{symmetry:?}: {found} for {exact}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_gaussian_becomes_its_symmetric_gaussian() {
    // Left bright, right dark. Where the halves are mirrored, both are the mean.
    let (mean, deviation) = ([0.6, -0.2], 0.2);
    let pictures = TwoRows(Mixture {
        means: vec![mean],
        deviations: vec![deviation],
        target: Target::V,
    });
    let count = 2_000;
    for symmetry in Symmetry::ALL {
        for solver in [Solver::Ddim, Solver::Ancestral] {
            let plan = plan(count, 128, symmetry).with_sampler(solver);
            let mut run = begin(&pictures, plan);
            while run.advance() {}
            let drawn = read(run.denoised());
            let exact = averaged([mean[0], mean[1], mean[0], mean[1]], symmetry);
            for pixel in 0..4 {
                let values = drawn.iter().map(|picture| picture[pixel]);
                let found = values.clone().sum::<f64>() / count as f64;
                let variance = values.map(|value| (value - found).powi(2)).sum::<f64>();
                let spread = (variance / count as f64).sqrt();
                // Five deviations of a mean of so many, and as much of a deviation.
                let error = 5.0 * deviation / (count as f64).sqrt();
                assert!(
                    (found - exact[pixel]).abs() < error,
                    "{symmetry:?}, {solver:?}: {found}"
                );
                assert!(
                    (spread - deviation).abs() < error,
                    "{symmetry:?}, {solver:?}: {spread}"
                );
            }
        }
    }
}

#[test]
fn every_solver_keeps_the_symmetry_to_the_last_bit() {
    let pictures = TwoRows(Mixture::three(Target::V));
    for symmetry in Symmetry::ALL {
        for solver in Solver::ALL {
            for tileable in [false, true] {
                let plan = Plan {
                    tileable,
                    ..plan(4, 9, symmetry).with_sampler(solver)
                };
                let mut run = begin(&pictures, plan.with_guidance(2.0));
                while run.advance() {}
                let drawn = read(run.denoised());
                for picture in &drawn {
                    for (pixel, all) in same(symmetry).iter().enumerate() {
                        assert!(all.iter().all(|&at| picture[at] == picture[pixel]));
                    }
                }
                assert_ne!(drawn[0], drawn[1], "{symmetry:?}, {solver:?}");
            }
        }
    }
}

#[test]
fn a_symmetric_picture_does_not_depend_on_its_batch() {
    let pictures = TwoRows(Mixture::three(Target::V));
    let drawn = |plan: Plan| {
        let mut run = begin(&pictures, plan.with_sampler(Solver::Ancestral));
        while run.advance() {}
        read(run.denoised())
    };
    let all = drawn(plan(3, 10, Symmetry::LeftRight));
    let last = drawn(Plan {
        first_image: 2,
        ..plan(1, 10, Symmetry::LeftRight)
    });
    let pairs = last[0].into_iter().zip(all[2]);
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn the_first_part_of_a_picture_to_start_from_counts() {
    let pictures = TwoRows(Mixture::three(Target::V));
    let source = SourceImage {
        values: vec![0.9, -0.9, 0.4, -0.4],
        mask: None,
    };
    let from = |symmetry| Plan {
        source: Some(Arc::new(source.clone())),
        strength: Some(0.025),
        ..plan(1, 40, symmetry)
    };
    for (symmetry, exact) in [
        (Symmetry::LeftRight, [0.9, 0.9, 0.4, 0.4]),
        (Symmetry::TopBottom, [0.9, -0.9, 0.9, -0.9]),
        (Symmetry::Both, [0.9; 4]),
        (Symmetry::QuarterTurn, [0.9; 4]),
    ] {
        let plan = from(symmetry);
        let LogSnr(level) = plan.levels(RANGE)[0];
        assert!(level > 8.0, "nearly no noise");
        let run = begin(&pictures, plan);
        for (found, exact) in read(run.latent())[0].into_iter().zip(exact) {
            assert!((found - exact).abs() < 0.1, "{symmetry:?}: {found}");
        }
    }
}
