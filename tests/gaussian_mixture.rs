//! Samplers and guidance against exact mathematics: a mixture of Gaussians has an exact denoiser,
//! conditional and unconditional, and so an exact answer for what must be drawn.

mod common;

use common::{Mixture, SHAPE, device, points};
use freeguide::condition::Condition;
use freeguide::noise_level::{LogSnr, LogSnrRange};
use freeguide::prediction::Target;
use freeguide::sampler::{Grid, Run, Solver, Spacing};
use freeguide::settings::{Plan, SeedInterpolation};

/// The paper's schedule, but for its last interval, a narrower range: f32 cannot tell ε at λ = 20.
const RANGE: LogSnrRange = LogSnrRange {
    min: -14.0,
    max: 12.0,
};

fn sample(mixture: &Mixture, plan: Plan) -> Vec<[f64; 2]> {
    let mut run = Run::new(mixture, plan, mixture.target, RANGE, SHAPE, &device());
    while run.advance() {}
    points(run.denoised())
}

fn plan(class: Option<u32>, count: usize, steps: usize, w: f64, solver: Solver) -> Plan {
    Plan::new(vec![class; count], steps)
        .with_guidance(w)
        .with_seed(11)
        .with_sampler(solver)
        .with_clip(false)
}

/// Mean and standard deviation of every coordinate.
fn moments(points: &[[f64; 2]]) -> [(f64, f64); 2] {
    let n = points.len() as f64;
    std::array::from_fn(|i| {
        let mean = points.iter().map(|p| p[i]).sum::<f64>() / n;
        let variance = points.iter().map(|p| (p[i] - mean).powi(2)).sum::<f64>() / n;
        (mean, variance.sqrt())
    })
}

/// The largest distance between two sets of points.
fn distance(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]))
        .fold(0.0, f64::max)
}

/// Where the probability-flow ODE of the guided estimate leads from the same z_1 over `range`, by
/// the classical Runge–Kutta method in f64: dz/dλ = ½ α σ² x̃ − ½ σ α² ε̃, as α² = sigmoid(λ).
fn exact_flow(
    mixture: &Mixture,
    class: usize,
    w: f64,
    range: LogSnrRange,
    start: &[[f64; 2]],
) -> Vec<[f64; 2]> {
    let slope = |z: [f64; 2], lambda: f64| -> [f64; 2] {
        let level = LogSnr(lambda);
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let x = mixture.guided(z, level, class, w);
        std::array::from_fn(|i| {
            let epsilon = (z[i] - alpha * x[i]) / sigma;
            0.5 * alpha * sigma * (sigma * x[i] - alpha * epsilon)
        })
    };
    let steps = 1500;
    let h = (range.max - range.min) / f64::from(steps);
    let along = |z: [f64; 2], k: [f64; 2], h: f64| [z[0] + h * k[0], z[1] + h * k[1]];
    start
        .iter()
        .map(|&z| {
            let mut z = z;
            for step in 0..steps {
                let l = range.min + h * f64::from(step);
                let k1 = slope(z, l);
                let k2 = slope(along(z, k1, h / 2.0), l + h / 2.0);
                let k3 = slope(along(z, k2, h / 2.0), l + h / 2.0);
                let k4 = slope(along(z, k3, h), l + h);
                (0..2).for_each(|i| z[i] += h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]));
            }
            mixture.guided(z, LogSnr(range.max), class, w)
        })
        .collect()
}

fn latents(mixture: &Mixture, plan: Plan) -> Vec<[f64; 2]> {
    points(Run::new(mixture, plan, mixture.target, RANGE, SHAPE, &device()).latent())
}

#[test]
fn the_ancestral_sampler_draws_the_class() {
    let mixture = Mixture::three(Target::Epsilon);
    for class in 0..3 {
        let found = sample(
            &mixture,
            plan(Some(class as u32), 4000, 256, 0.0, Solver::Ancestral),
        );
        for (i, (mean, deviation)) in moments(&found).into_iter().enumerate() {
            // Five standard errors; 256 steps leave a bias of the variance well below that.
            let error = 5.0 * mixture.deviations[class] / 4000f64.sqrt();
            assert!(
                (mean - mixture.means[class][i]).abs() < error,
                "class {class}: mean {mean}"
            );
            assert!(
                (deviation - mixture.deviations[class]).abs() < error,
                "class {class}: {deviation}"
            );
        }
    }
}

#[test]
fn without_a_class_both_samplers_draw_the_whole_mixture() {
    let mixture = Mixture::three(Target::V);
    let exact: [(f64, f64); 2] = std::array::from_fn(|i| {
        let mean = mixture.means.iter().map(|m| m[i]).sum::<f64>() / 3.0;
        let square: f64 = (0..3)
            .map(|k| mixture.deviations[k].powi(2) + mixture.means[k][i].powi(2))
            .sum();
        (mean, (square / 3.0 - mean * mean).sqrt())
    });
    for solver in Solver::ALL {
        // By name, and as w = −1 of some class: the same model.
        let by_name = sample(&mixture, plan(None, 4000, 256, 3.0, solver));
        let by_strength = sample(&mixture, plan(Some(1), 4000, 256, -1.0, solver));
        assert_eq!(by_name, by_strength);
        for ((mean, deviation), (exact_mean, exact_deviation)) in
            moments(&by_name).into_iter().zip(exact)
        {
            let error = 5.0 * exact_deviation / 4000f64.sqrt();
            assert!(
                (mean - exact_mean).abs() < error,
                "{solver:?}: {mean} for {exact_mean}"
            );
            assert!(
                (deviation - exact_deviation).abs() < error,
                "{solver:?}: {deviation}"
            );
        }
    }
}

#[test]
fn guided_ddim_follows_the_flow_with_first_order() {
    for target in [Target::Epsilon, Target::V] {
        let mixture = Mixture::three(target);
        for w in [0.0, 1.0, 3.0] {
            let plan = |steps| plan(Some(0), 64, steps, w, Solver::Ddim);
            let exact = exact_flow(&mixture, 0, w, RANGE, &latents(&mixture, plan(1)));
            let errors =
                [64, 128, 256].map(|steps| distance(&sample(&mixture, plan(steps)), &exact));
            for pair in errors.windows(2) {
                let ratio = pair[0] / pair[1];
                assert!((1.7..2.4).contains(&ratio), "{target:?} w {w}: {errors:?}");
            }
            assert!(errors[2] < 0.02, "{target:?} w {w}: {errors:?}");
        }
    }
}

/// The solvers of second order, with and without guidance, on both grids that are theirs: half the
/// steps cost a factor of four. Clipping is off.
#[test]
fn the_solvers_of_second_order_are() {
    let range = LogSnrRange {
        min: -8.0,
        max: 8.0,
    };
    let mixture = Mixture::three(Target::V);
    for w in [0.0, 1.0, 3.0] {
        let start = latents(&mixture, plan(Some(0), 64, 1, w, Solver::Heun));
        let exact = exact_flow(&mixture, 0, w, range, &start);
        let cases = [Solver::DpmSolver, Solver::Heun]
            .into_iter()
            .flat_map(|solver| [Spacing::UniformLambda, Spacing::Karras].map(|s| (solver, s)))
            .flat_map(|(solver, spacing)| [true, false].map(|last| (solver, spacing, last)));
        for (solver, spacing, lower_order_last) in cases {
            let grid = Grid {
                lower_order_last,
                ..Grid::new(spacing).over(range)
            };
            let errors = [33, 65, 129].map(|steps| {
                let plan = plan(Some(0), 64, steps, w, solver).with_grid(grid);
                distance(&sample(&mixture, plan), &exact)
            });
            for pair in errors.windows(2) {
                let order = (pair[0] / pair[1]).log2();
                assert!(
                    (1.75..2.3).contains(&order),
                    "{solver:?} {grid:?} w {w}: order {order:.2}, {errors:?}"
                );
            }
            assert!(errors[2] < 2e-3, "{solver:?} {grid:?} w {w}: {errors:?}");
        }
    }
}

/// Few steps are what they are for: at the same number of evaluations they are nearer than DDIM.
#[test]
fn few_steps_of_second_order_beat_first() {
    let mixture = Mixture::three(Target::V);
    let range = LogSnrRange {
        min: -8.0,
        max: 8.0,
    };
    let start = latents(&mixture, plan(Some(0), 64, 1, 1.0, Solver::Ddim));
    let exact = exact_flow(&mixture, 0, 1.0, range, &start);
    let error = |solver, steps| {
        let grid = Grid::new(Spacing::UniformLambda).over(range);
        let plan = plan(Some(0), 64, steps, 1.0, solver).with_grid(grid);
        distance(&sample(&mixture, plan), &exact)
    };
    assert!(error(Solver::DpmSolver, 24) < error(Solver::Ddim, 24) / 3.0);
    // 33 steps of Heun cost 64 evaluations.
    assert!(error(Solver::Heun, 33) < error(Solver::Ddim, 64) / 2.0);
}

/// Between two seeds the noise turns from the one into the other, and stays normal on the way.
#[test]
fn one_seed_leads_to_another() {
    let mixture = Mixture::three(Target::V);
    for solver in Solver::ALL {
        let at = |seed, toward| {
            let mut plan = plan(Some(1), 4000, 8, 0.0, solver).with_seed(seed);
            plan.seed_interpolation = toward;
            plan
        };
        let way = |t| Some(SeedInterpolation { seed: 12, t });
        let draw = |plan| sample(&mixture, plan);
        assert_eq!(draw(at(11, way(0.0))), draw(at(11, None)), "{solver:?}");
        assert!(distance(&draw(at(11, way(1.0))), &draw(at(12, None))) < 1e-4);
        let [(mean, deviation), _] = moments(&latents(&mixture, at(11, way(0.5))));
        assert!(mean.abs() < 5.0 / 4000f64.sqrt());
        assert!((deviation - 1.0).abs() < 5.0 / 8000f64.sqrt());
    }
}

#[test]
fn guidance_moves_samples_away_from_the_other_classes() {
    let mixture = Mixture::three(Target::V);
    let spread = |w: f64| {
        let found = sample(&mixture, plan(Some(0), 2000, 64, w, Solver::Ddim));
        let [(x, dx), (_, dy)] = moments(&found);
        (x, dx * dy)
    };
    let (plain, guided, strong) = (spread(0.0), spread(1.0), spread(4.0));
    // Class 0 lies at the right of the other two: fidelity up, diversity down.
    assert!(
        plain.0 < guided.0 && guided.0 < strong.0,
        "{plain:?} {guided:?} {strong:?}"
    );
    assert!(
        plain.1 > guided.1 && guided.1 > strong.1,
        "{plain:?} {guided:?} {strong:?}"
    );
}

#[test]
fn all_targets_are_one_model() {
    let drawn = [Target::V, Target::Epsilon, Target::Velocity, Target::Edm].map(|target| {
        sample(
            &Mixture::three(target),
            plan(Some(2), 16, 32, 2.0, Solver::Ddim),
        )
    });
    for other in &drawn[1..] {
        assert!(distance(&drawn[0], other) < 1e-3);
    }
}

#[test]
fn variance_interpolation_is_between_its_ends() {
    // With few steps the two variances differ visibly.
    let mixture = Mixture::three(Target::V);
    let spread = |nu: f64| {
        let mut plan = plan(Some(0), 4000, 12, 0.0, Solver::Ancestral);
        plan.variance_interpolation = nu;
        moments(&sample(&mixture, plan))[0].1
    };
    let (low, middle, high) = (spread(0.0), spread(0.5), spread(1.0));
    assert!(low < middle && middle < high, "{low} {middle} {high}");
}

#[test]
fn an_image_does_not_depend_on_its_batch() {
    let mixture = Mixture::three(Target::V);
    for solver in Solver::ALL {
        let all = sample(&mixture, plan(Some(1), 8, 16, 2.0, solver));
        let mut one = plan(Some(1), 1, 16, 2.0, solver);
        one.first_image = 5;
        assert_eq!(sample(&mixture, one), all[5..6]);
    }
}

#[test]
fn clipping_keeps_every_estimate_in_range() {
    let mut mixture = Mixture::three(Target::Epsilon);
    mixture.means[0] = [1.5, 0.0];
    let mut clipped = plan(Some(0), 8, 16, 4.0, Solver::Ddim);
    clipped.clip = true;
    let mut run = Run::new(&mixture, clipped, Target::Epsilon, RANGE, SHAPE, &device());
    while run.advance() {
        assert!(
            points(run.denoised())
                .iter()
                .flatten()
                .all(|v| v.abs() <= 1.0)
        );
    }
}

#[test]
fn a_run_can_be_looked_at_and_left_between_any_two_steps() {
    let mixture = Mixture::three(Target::V);
    let mut run = Run::new(
        &mixture,
        plan(Some(0), 2, 5, 1.0, Solver::Ddim),
        Target::V,
        RANGE,
        SHAPE,
        &device(),
    );
    assert_eq!((run.step(), run.steps(), run.evaluations(0)), (0, 5, 10));
    let mut seen = Vec::new();
    while run.advance() {
        seen.push(points(run.latent()));
    }
    assert!(run.is_done() && !run.advance());
    assert_eq!(run.step(), 5);
    assert!(seen.windows(2).take(3).all(|w| w[0] != w[1]));
}

#[test]
fn a_mix_of_classes_is_the_gaussian_between_them() {
    // The third class is where the mix of the first two has to be, with guidance too: ∅ is the same for both.
    let (a, b) = ([0.6, -0.2], [-0.4, 0.5]);
    let between = std::array::from_fn(|i| 0.7 * a[i] + 0.3 * b[i]);
    for target in [Target::Epsilon, Target::V] {
        let mixture = Mixture {
            means: vec![a, b, between],
            deviations: vec![0.2; 3],
            target,
        };
        for solver in Solver::ALL {
            for w in [-0.5, 0.0, 1.5] {
                let alone = plan(Some(2), 32, 12, w, solver);
                let mixed = Plan {
                    classes: vec![Condition::Mix(vec![(0, 0.7), (1, 0.3)]); 32],
                    ..alone.clone()
                };
                let error = distance(&sample(&mixture, mixed), &sample(&mixture, alone));
                assert!(error < 1e-4, "{target:?} {solver:?} w = {w}: {error}");
            }
        }
    }
}

#[test]
fn images_of_a_batch_have_mixes_of_their_own() {
    let mixture = Mixture::three(Target::V);
    let classes = [
        Condition::Mix(vec![(0, 0.25), (1, 0.5), (2, 0.25)]),
        Condition::Class(Some(1)),
        Condition::Mix(vec![(2, 0.9), (0, 0.1)]),
        Condition::Class(None),
    ];
    let together = Plan {
        classes: classes.to_vec(),
        guidance: vec![2.0, 0.5, 0.0, 1.0],
        ..plan(None, 4, 8, 0.0, Solver::DpmSolver)
    };
    let all = sample(&mixture, together.clone());
    for (image, class) in classes.into_iter().enumerate() {
        let alone = Plan {
            classes: vec![class],
            guidance: vec![together.guidance[image]],
            first_image: image as u64,
            ..together.clone()
        };
        let error = distance(&sample(&mixture, alone), &all[image..=image]);
        assert!(error < 1e-6, "image {image}: {error}");
    }
}
