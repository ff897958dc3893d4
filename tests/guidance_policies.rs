//! The guidance policies on the mixture of Gaussians, against their papers' formulas written out in
//! f64, and what a run with them costs.

mod common;

use common::{Mixture, SHAPE, device, points};
use freeguide::guidance::{Policy, Projection};
use freeguide::noise_level::{LogSnr, LogSnrRange};
use freeguide::prediction::Target;
use freeguide::sampler::{Run, Solver};
use freeguide::settings::Plan;

const RANGE: LogSnrRange = LogSnrRange {
    min: -12.0,
    max: 12.0,
};
const STEPS: usize = 12;
const W: f64 = 2.5;

type Point = [f64; 2];

fn plan(policy: Policy) -> Plan {
    Plan::new(vec![Some(0); 6], STEPS)
        .with_guidance(W)
        .with_seed(5)
        .with_clip(false)
        .with_policy(policy)
}

fn run(mixture: &Mixture, plan: Plan) -> Run<&Mixture> {
    Run::new(mixture, plan, mixture.target, RANGE, SHAPE, &device())
}

fn draw(mixture: &Mixture, plan: Plan) -> Vec<Point> {
    let mut run = run(mixture, plan);
    while run.advance() {}
    points(run.denoised())
}

/// DDIM with a policy, one image at a time in f64: `policy` turns z, λ, x̃(c) and x̃(∅) into the x̃
/// and the noise that the step ends with.
fn reference(
    mixture: &Mixture,
    plan: &Plan,
    policy: &mut dyn FnMut(Point, LogSnr, Point, Point) -> (Point, Point),
) -> Vec<Point> {
    let start = points(run(mixture, plan.clone()).latent());
    let levels = plan.grid.levels(RANGE, STEPS);
    let mut out = Vec::new();
    for mut z in start {
        let mut x = [0.0; 2];
        for (t, &level) in levels.iter().enumerate() {
            let conditional = mixture.conditional(z, level, 0);
            let unconditional = match plan.negative {
                Some(class) => mixture.conditional(z, level, class as usize),
                None => mixture.unconditional(z, level),
            };
            let (estimate, epsilon) = policy(z, level, conditional, unconditional);
            x = estimate;
            if let Some(to) = levels.get(t + 1) {
                z = std::array::from_fn(|i| to.alpha() * x[i] + to.sigma() * epsilon[i]);
            }
        }
        out.push(x);
    }
    out
}

fn noise(z: Point, level: LogSnr, x: Point) -> Point {
    std::array::from_fn(|i| (z[i] - level.alpha() * x[i]) / level.sigma())
}

fn assert_close(found: &[Point], wanted: &[Point], what: &str) {
    for (a, b) in found.iter().zip(wanted) {
        let far = (a[0] - b[0]).hypot(a[1] - b[1]);
        assert!(far < 2e-3, "{what}: {far}: {found:?} for {wanted:?}");
    }
}

fn dot(a: Point, b: Point) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

#[test]
fn an_interval_guides_within_it_and_saves_the_pass_outside() {
    let mixture = Mixture::three(Target::V);
    let interval = LogSnrRange {
        min: -3.0,
        max: 2.0,
    };
    let plan = plan(Policy::default()).with_guidance_interval(interval);
    let mut inside = 0;
    let wanted = reference(&mixture, &plan, &mut |z, level, c, u| {
        let w = if (-3.0..=2.0).contains(&level.0) {
            W
        } else {
            0.0
        };
        inside += usize::from(w > 0.0);
        let x = std::array::from_fn(|i| (1.0 + w) * c[i] - w * u[i]);
        (x, noise(z, level, x))
    });
    assert_close(&draw(&mixture, plan.clone()), &wanted, "interval");
    let inside = inside / 6;
    assert!((1..STEPS).contains(&inside));
    assert_eq!(run(&mixture, plan).evaluations(0), STEPS + inside);
}

#[test]
fn guidance_leads_away_from_a_negative_class() {
    let mixture = Mixture::three(Target::V);
    let plan = Plan {
        negative: Some(2),
        ..plan(Policy::default())
    };
    let wanted = reference(&mixture, &plan, &mut |z, level, own, other| {
        let x = std::array::from_fn(|i| (1.0 + W) * own[i] - W * other[i]);
        (x, noise(z, level, x))
    });
    let drawn = draw(&mixture, plan.clone());
    assert_close(&drawn, &wanted, "negative class");
    let plain = Plan {
        negative: None,
        ..plan
    };
    assert_ne!(drawn, draw(&mixture, plain));
}

#[test]
fn rescale_restores_the_deviation_of_the_conditional_prediction() {
    for target in [Target::Epsilon, Target::V] {
        let mixture = Mixture::three(target);
        let plan = plan(Policy::Cfg { rescale: 0.7 });
        let output = |z: Point, level: LogSnr, x: Point| -> Point {
            let epsilon = noise(z, level, x);
            match target {
                Target::Epsilon => epsilon,
                _ => std::array::from_fn(|i| level.alpha() * epsilon[i] - level.sigma() * x[i]),
            }
        };
        // Of two values the standard deviation is half their distance.
        let deviation = |p: Point| (p[0] - p[1]).abs() / 2.0;
        let wanted = reference(&mixture, &plan, &mut |z, level, c, u| {
            let (c, u) = (output(z, level, c), output(z, level, u));
            let guided: Point = std::array::from_fn(|i| u[i] + (1.0 + W) * (c[i] - u[i]));
            let ratio = deviation(c) / deviation(guided);
            let mixed: Point = guided.map(|v| 0.7 * v * ratio + 0.3 * v);
            let (alpha, sigma) = (level.alpha(), level.sigma());
            match target {
                Target::Epsilon => (
                    std::array::from_fn(|i| (z[i] - sigma * mixed[i]) / alpha),
                    mixed,
                ),
                _ => (
                    std::array::from_fn(|i| alpha * z[i] - sigma * mixed[i]),
                    std::array::from_fn(|i| sigma * z[i] + alpha * mixed[i]),
                ),
            }
        });
        assert_close(&draw(&mixture, plan), &wanted, &format!("{target:?}"));
    }
}

#[test]
fn projected_guidance_is_its_papers() {
    let mixture = Mixture::three(Target::V);
    let projection = Projection {
        eta: 0.25,
        momentum: -0.5,
        norm_threshold: Some(0.3),
    };
    let plan = plan(Policy::Apg(projection));
    let mut average = [0.0; 2];
    let mut cut = 0;
    let wanted = reference(&mixture, &plan, &mut |z, level, c, u| {
        if level.0 == RANGE.min {
            average = [0.0; 2];
        }
        average = std::array::from_fn(|i| c[i] - u[i] - 0.5 * average[i]);
        let norm = dot(average, average).sqrt();
        cut += usize::from(norm > 0.3);
        let delta = average.map(|v| v * f64::min(1.0, 0.3 / norm));
        let along = dot(delta, c) / dot(c, c);
        let x = std::array::from_fn(|i| {
            let parallel = along * c[i];
            c[i] + W * (delta[i] - parallel + 0.25 * parallel)
        });
        (x, noise(z, level, x))
    });
    assert!(cut > 0, "the threshold is never reached");
    assert_close(&draw(&mixture, plan), &wanted, "apg");
}

#[test]
fn projected_guidance_that_projects_nothing_is_guidance() {
    let mixture = Mixture::three(Target::Epsilon);
    let nothing = Projection {
        eta: 1.0,
        momentum: 0.0,
        norm_threshold: None,
    };
    let (a, b) = (plan(Policy::Apg(nothing)), plan(Policy::default()));
    assert_close(&draw(&mixture, a), &draw(&mixture, b), "eta 1");
}

#[test]
fn cfg_plus_plus_noises_with_the_unconditional_estimate() {
    for target in [Target::Epsilon, Target::V, Target::Velocity, Target::Edm] {
        let mixture = Mixture::three(target);
        let plan = plan(Policy::CfgPlusPlus).with_guidance(-0.4);
        let wanted = reference(&mixture, &plan, &mut |z, level, c, u| {
            let x = std::array::from_fn(|i| u[i] + 0.6 * (c[i] - u[i]));
            (x, noise(z, level, u))
        });
        assert_close(&draw(&mixture, plan), &wanted, &format!("{target:?}"));
    }
}

/// A batch in which every image has its own class and strength is its images drawn one by one.
#[test]
fn every_policy_treats_every_image_for_itself() {
    let mixture = Mixture::three(Target::V);
    let classes = [Some(0), None, Some(1), Some(2), Some(1)];
    let strengths = [2.0, 1.0, 0.0, -0.5, -1.0];
    let apg = Policy::Apg(Projection {
        norm_threshold: Some(0.2),
        ..Projection::default()
    });
    for policy in [
        Policy::default(),
        Policy::Cfg { rescale: 0.5 },
        apg,
        Policy::CfgPlusPlus,
    ] {
        for solver in Solver::ALL {
            if solver == Solver::Heun && policy == Policy::CfgPlusPlus {
                continue;
            }
            let batch = Plan {
                guidance: strengths.to_vec(),
                ..Plan::new(classes.to_vec(), STEPS)
                    .with_seed(3)
                    .with_sampler(solver)
                    .with_policy(policy)
            };
            let all = draw(&mixture, batch.clone());
            for (image, found) in all.iter().enumerate() {
                let alone = Plan {
                    classes: vec![classes[image].into()],
                    guidance: vec![strengths[image]],
                    first_image: image as u64,
                    ..batch.clone()
                };
                let what = format!("{policy:?} {solver:?} {image}");
                assert_close(&draw(&mixture, alone), &[*found], &what);
            }
        }
    }
}

#[test]
fn evaluations_are_counted_before_a_run() {
    let mixture = Mixture::three(Target::V);
    let cost = |plan: Plan| run(&mixture, plan).evaluations(0);
    let plain = plan(Policy::default());
    assert_eq!(cost(plain.clone()), 2 * STEPS);
    assert_eq!(cost(plain.clone().with_guidance(0.0)), STEPS);
    assert_eq!(cost(plain.clone().with_guidance(-1.0)), STEPS);
    assert_eq!(
        cost(plan(Policy::CfgPlusPlus).with_guidance(0.0)),
        2 * STEPS
    );
    assert_eq!(
        cost(plain.clone().with_sampler(Solver::DpmSolver)),
        2 * STEPS
    );
    // Heun: every step twice but for the one to the last level and the last.
    let heun = plain.with_sampler(Solver::Heun);
    assert_eq!(cost(heun.clone()), 2 * (2 * STEPS - 2));
    let mut full = heun;
    full.grid.lower_order_last = false;
    assert_eq!(cost(full), 2 * (2 * STEPS - 1));
}

/// The count is what the network really sees.
#[test]
fn the_rows_that_are_run_are_those_that_are_counted() {
    let mixture = Mixture::three(Target::V);
    for solver in Solver::ALL {
        let plan = Plan {
            guidance: vec![1.0, 2.0, 0.0, -1.0],
            ..Plan::new(vec![Some(0), None, Some(1), Some(2)], 7)
                .with_sampler(solver)
                .with_guidance_interval(LogSnrRange {
                    min: -4.0,
                    max: 4.0,
                })
        };
        let mut run = run(&mixture, plan);
        let counted: usize = (0..4).map(|image| run.evaluations(image)).sum();
        let mut seen = 0;
        while let Some(evaluation) = run.evaluation() {
            seen += evaluation.classes.len();
            run.accept(evaluation.predict(&mixture));
        }
        assert_eq!((seen, run.step()), (counted, 7), "{solver:?}");
    }
}

/// Rows that two devices evaluate are the rows that one evaluates.
#[test]
fn an_evaluation_can_be_divided() {
    let mixture = Mixture::three(Target::V);
    let plan = plan(Policy::default()).with_sampler(Solver::Heun);
    let whole = draw(&mixture, plan.clone());
    let mut run = run(&mixture, plan);
    while let Some(evaluation) = run.evaluation() {
        let rows = evaluation.classes.len() / 2;
        let (first, second) = evaluation.split(rows);
        let answers = [first, second].map(|part| part.predict(&mixture));
        run.accept(burn::tensor::Tensor::cat(answers.to_vec(), 0));
    }
    assert_eq!(points(run.denoised()), whole);
}

#[test]
fn both_sides_of_a_step_can_be_seen() {
    let mixture = Mixture::three(Target::Epsilon);
    let plan = Plan {
        guidance: vec![0.0, 1.5, 2.0, -1.0],
        ..Plan::new(vec![Some(0), None, Some(1), Some(2)], 5).with_clip(false)
    };
    let mut run = run(&mixture, plan);
    assert!(run.branches().is_empty());
    run.advance();
    run.advance();
    let z = points(run.latent());
    run.advance();
    let level = run_level(2);
    let branches = run.branches();
    let close = |found: &Option<burn::tensor::Tensor<4>>, wanted: Point| {
        let found = points(found.clone().expect("this side was evaluated"));
        assert_close(&found, &[wanted], "side");
    };
    close(
        &branches[0].conditional,
        mixture.conditional(z[0], level, 0),
    );
    assert!(branches[0].unconditional.is_none());
    assert!(branches[1].conditional.is_none());
    close(
        &branches[1].unconditional,
        mixture.unconditional(z[1], level),
    );
    close(
        &branches[2].conditional,
        mixture.conditional(z[2], level, 1),
    );
    close(
        &branches[2].unconditional,
        mixture.unconditional(z[2], level),
    );
    assert!(branches[3].conditional.is_none());
    close(
        &branches[3].unconditional,
        mixture.unconditional(z[3], level),
    );
}

/// A network that takes w, here the exact mix, draws with one row an image what others draw with two.
#[test]
fn with_w_as_an_input_one_row_draws_what_two_draw() {
    let mixture = Mixture::three(Target::V);
    for solver in Solver::ALL {
        let guided = Plan {
            guidance: vec![1.0, 2.0, 0.0, -1.0],
            ..Plan::new(vec![Some(0), None, Some(1), Some(2)], 7)
                .with_sampler(solver)
                .with_clip(false)
        };
        let input = Plan {
            guidance_input: true,
            ..guided.clone()
        };
        let wanted = draw(&mixture, guided.clone());
        let mut one = run(&mixture, input);
        assert_eq!(
            one.evaluations(0),
            run(&mixture, guided).evaluations(0) / 2,
            "{solver:?}"
        );
        while let Some(evaluation) = one.evaluation() {
            assert_eq!(evaluation.classes.len(), 4);
            let (first, second) = evaluation.split(1);
            let answers = [first, second].map(|part| part.predict(&mixture));
            one.accept(burn::tensor::Tensor::cat(answers.to_vec(), 0));
        }
        assert_close(&points(one.denoised()), &wanted, solver.name());
        let sides = one.branches();
        assert!(sides.iter().all(|side| side.conditional.is_none()));
    }
}

fn run_level(step: usize) -> LogSnr {
    RANGE.levels(5)[step]
}
