//! Dynamic thresholding against diffusers, and within runs on the mixture of Gaussians.

mod common;

use burn::tensor::{Tensor, TensorData};
use common::{Mixture, SHAPE, device, points};
use freeguide::clip::Clip;
use freeguide::noise_level::LogSnrRange;
use freeguide::prediction::Target;
use freeguide::sampler::{Plan, Run, Solver};
use serde_json::Value;

/// Made by tests/pytorch/make_dynamic_threshold_fixture.py.
const FIXTURE: &str = include_str!("fixtures/dynamic_threshold.json");

fn numbers(values: &Value) -> Vec<f32> {
    let values = values.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap() as f32).collect()
}

#[test]
fn it_is_what_diffusers_does() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let shape: Vec<usize> = serde_json::from_value(fixture["shape"].clone()).unwrap();
    let x = Tensor::<4>::from_data(TensorData::new(numbers(&fixture["x"]), shape), &device());
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let quantile = case["quantile"].as_f64().unwrap();
        let found = Clip::Dynamic { quantile }.apply(&x).unwrap().into_data();
        for (found, wanted) in found.iter::<f32>().zip(numbers(&case["x"])) {
            // The quantile is found within 1/4096 of itself.
            assert!(
                (found - wanted).abs() < 5e-4,
                "{quantile}: {found}, not {wanted}"
            );
        }
    }
}

#[test]
fn an_estimate_that_guidance_drives_out_of_the_range_keeps_its_direction() {
    let mixture = Mixture::three(Target::V);
    let range = LogSnrRange {
        min: -10.0,
        max: 10.0,
    };
    let (class, w) = (1, 12.0);
    for solver in [Solver::Ddim, Solver::DpmSolver] {
        let plan = Plan {
            dynamic_threshold: Some(1.0),
            ..Plan::new(vec![Some(class); 16], 10)
        };
        let plan = plan.with_guidance(w).with_seed(2).with_sampler(solver);
        let levels = plan.levels(range);
        let mut run = Run::new(&mixture, plan, Target::V, range, SHAPE, &device());
        let mut outside = 0;
        for level in levels {
            let before = points(run.latent());
            run.advance();
            for (z, found) in before.into_iter().zip(points(run.denoised())) {
                let exact = mixture.guided(z, level, class as usize, w);
                let scale = exact[0].abs().max(exact[1].abs()).max(1.0);
                outside += usize::from(scale > 1.0);
                for i in 0..2 {
                    let error = (found[i] - exact[i] / scale).abs();
                    assert!(
                        error < 1e-3,
                        "{solver:?} {level:?}: {found:?} for {exact:?}"
                    );
                }
            }
        }
        assert!(outside > 30, "{outside} estimates were out of the range");
    }
}
