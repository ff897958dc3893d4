//! A run's state between two steps: another run of the same plan continues from it as if it were the first.

mod common;

use burn::tensor::Tensor;
use common::{Mixture, SHAPE, device};
use freeguide::guidance::{Policy, Projection};
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::sampler::{OtherState, Plan, Run, RunState, Solver};
use futures_lite::future::block_on;

const RANGE: LogSnrRange = LogSnrRange {
    min: -12.0,
    max: 12.0,
};
const STEPS: usize = 7;

fn new_run<'a>(mixture: &'a Mixture, plan: &Plan) -> Run<&'a Mixture> {
    Run::new(
        mixture,
        plan.clone(),
        mixture.target,
        RANGE,
        SHAPE,
        &device(),
    )
}

fn values(run: &Run<&Mixture>) -> Vec<f32> {
    run.denoised().into_data().iter::<f32>().collect()
}

/// Solvers and policies with and without a memory of the steps before.
fn plans() -> Vec<Plan> {
    let momentum = Policy::Apg(Projection {
        eta: 0.5,
        momentum: -0.5,
        norm_threshold: None,
    });
    let of = |solver, policy| {
        Plan::new(vec![Some(0), None, Some(1)], STEPS)
            .with_guidance(2.0)
            .with_seed(3)
            .with_sampler(solver)
            .with_policy(policy)
            .with_clip(false)
    };
    let plain = Solver::ALL.into_iter().map(|s| of(s, Policy::default()));
    let with_memory = Solver::ALL.into_iter().map(|s| of(s, momentum));
    plain.chain(with_memory).collect()
}

fn state(run: &Run<&Mixture>) -> Option<RunState> {
    block_on(run.state()).expect("a CPU answers")
}

#[test]
fn any_run_of_the_plan_continues_from_a_state_to_the_same_bits() {
    let mixture = Mixture::three(Target::V);
    for plan in plans() {
        let mut whole = new_run(&mixture, &plan);
        while whole.advance() {}
        for taken in 0..=STEPS {
            let mut first = new_run(&mixture, &plan);
            (0..taken).for_each(|_| assert!(first.advance()));
            let mut second = new_run(&mixture, &plan);
            let between = state(&first).expect("between two steps");
            second.resume(&between).expect("it is of the same plan");
            assert_eq!(state(&second), Some(between), "{plan:?} after {taken}");
            while second.advance() {}
            assert_eq!(values(&second), values(&whole), "{plan:?} after {taken}");
        }
    }
}

#[test]
fn a_run_goes_back_in_the_middle_of_a_step_too() {
    let mixture = Mixture::three(Target::V);
    for plan in plans() {
        let mut run = new_run(&mixture, &plan);
        run.advance();
        let good = state(&run).expect("between two steps");
        // What a network answers whose values have left its range.
        let rows = run.evaluation().expect("it goes on").classes.len();
        let [channels, height, width] = SHAPE;
        run.accept(Tensor::full(
            [rows, channels, height, width],
            f32::NAN,
            &device(),
        ));
        run.resume(&good).expect("it is of the same plan");
        while run.advance() {}
        let mut whole = new_run(&mixture, &plan);
        while whole.advance() {}
        assert_eq!(values(&run), values(&whole), "{plan:?}");
    }
}

#[test]
fn in_the_middle_of_a_step_there_is_no_state() {
    let mixture = Mixture::three(Target::V);
    let plan = Plan::new(vec![Some(0)], STEPS).with_sampler(Solver::Heun);
    let mut run = new_run(&mixture, &plan);
    let evaluation = run.evaluation().expect("it begins");
    assert!(!run.accept(evaluation.predict(run.denoiser())));
    assert_eq!(state(&run), None);
}

#[test]
fn a_state_of_another_plan_is_refused() {
    let mixture = Mixture::three(Target::V);
    for plan in plans() {
        let mut run = new_run(&mixture, &plan);
        run.advance();
        let good = state(&run).expect("between two steps");
        let mut others = [good.clone(), good.clone(), good.clone(), good];
        others[0].step = STEPS + 1;
        others[1].z.pop();
        others[2].x.clear();
        others[3].average.push(0.0);
        for other in &others {
            assert_eq!(run.resume(other), Err(OtherState));
        }
    }
}
