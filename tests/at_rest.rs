//! Runs that end when nothing changes any more, on the mixture of Gaussians.

mod common;

use common::{Mixture, SHAPE, device, points};
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::sampler::{Grid, Plan, Run, Solver, Spacing};

const RANGE: LogSnrRange = LogSnrRange {
    min: -14.0,
    max: 12.0,
};
const STEPS: usize = 100;

fn run(mixture: &Mixture, plan: Plan) -> Run<&Mixture> {
    Run::new(mixture, plan, mixture.target, RANGE, SHAPE, &device())
}

/// Takes the steps that are needed.
fn finish(run: &mut Run<&Mixture>) -> Vec<[f64; 2]> {
    while run.advance() {
        if let Some(at_rest) = run.at_rest()
            && at_rest.into_data().iter::<f32>().all(|rests| rests == 1.0)
        {
            run.stop();
        }
    }
    points(run.denoised())
}

fn plan(solver: Solver, count: usize, tolerance: Option<f64>) -> Plan {
    // Equally in λ: the paper's levels have few steps where images are nearly clean.
    let plan = Plan::new(vec![Some(0); count], STEPS)
        .with_sampler(solver)
        .with_grid(Grid::new(Spacing::UniformLambda));
    Plan { tolerance, ..plan }.with_seed(9).with_guidance(1.0)
}

#[test]
fn it_ends_early_and_near_to_where_it_would_have_ended() {
    let mixture = Mixture::three(Target::V);
    for solver in [Solver::Ddim, Solver::DpmSolver, Solver::Heun] {
        let mut whole = run(&mixture, plan(solver, 12, None));
        let exact = finish(&mut whole);
        assert_eq!((whole.steps(), whole.step()), (STEPS, STEPS));
        let mut before = 0;
        for tolerance in [1.0, 0.5, 0.25] {
            let mut stopped = run(&mixture, plan(solver, 12, Some(tolerance)));
            let found = finish(&mut stopped);
            let steps = stopped.step();
            assert_eq!(stopped.steps(), steps);
            assert!(before < steps && steps < STEPS, "{solver:?}: {steps} steps");
            assert!(stopped.evaluations(0) < whole.evaluations(0));
            before = steps;
            // An image of which little shows at λ = 2 may still move: up to 5.4 tolerances in 2,160 images drawn with NumPy.
            let largest = 6.0 * tolerance * 2.0 / 255.0;
            for (found, exact) in found.iter().zip(&exact) {
                for i in 0..2 {
                    let error = (found[i] - exact[i]).abs();
                    assert!(
                        error < largest,
                        "{solver:?}, {tolerance}: {error}, {largest}"
                    );
                }
            }
        }
    }
}

#[test]
fn an_image_ends_for_itself_and_not_with_its_batch() {
    let mixture = Mixture::three(Target::V);
    let together = plan(Solver::Ddim, 6, Some(1.0));
    let all = finish(&mut run(&mixture, together.clone()));
    let mut lengths = Vec::new();
    for (image, expected) in all.iter().enumerate() {
        let alone = Plan {
            classes: together.classes[..1].to_vec(),
            guidance: vec![1.0],
            first_image: image as u64,
            ..together.clone()
        };
        let mut alone = run(&mixture, alone);
        let [found] = finish(&mut alone)[..] else {
            panic!("one image");
        };
        for i in 0..2 {
            assert!((found[i] - expected[i]).abs() < 1e-6, "image {image}");
        }
        lengths.push(alone.step());
    }
    lengths.sort_unstable();
    assert!(lengths[0] < lengths[5], "{lengths:?}");
}

#[test]
fn a_run_that_continues_elsewhere_ends_the_same() {
    let mixture = Mixture::three(Target::V);
    let plan = plan(Solver::Ddim, 4, Some(1.0));
    let mut whole = run(&mixture, plan.clone());
    let found = finish(&mut whole);
    for at in [0, 1, whole.step() - 3, whole.step() - 1] {
        let mut first = run(&mixture, plan.clone());
        (0..at).for_each(|_| assert!(first.advance()));
        let state = futures_lite::future::block_on(first.state())
            .unwrap()
            .unwrap();
        let mut second = run(&mixture, plan.clone());
        second.resume(&state).unwrap();
        assert_eq!(finish(&mut second), found, "from step {at}");
        assert_eq!(second.step(), whole.step());
    }
}
