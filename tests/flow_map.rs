//! Sampling in few steps with the exact flow map of the mixture of Gaussians: every number of steps ends where the guided
//! probability flow does.

mod common;

use burn::tensor::{Int, Tensor, TensorData};
use common::{Mixture, SHAPE, device, points};
use freeguide::denoiser::Denoiser;
use freeguide::network::{FlowMap, GuidanceInput, OtherInputs, TakenInputs};
use freeguide::noise_level::{LogSnr, LogSnrRange};
use freeguide::prediction::Target;
use freeguide::sampler::Run;
use freeguide::settings::Plan;

const RANGE: LogSnrRange = LogSnrRange {
    min: -10.0,
    max: 10.0,
};

type Point = [f64; 2];

/// Where the guided probability flow leads from `z` at λ = `from` to λ = `to`, by the classical Runge–Kutta method:
/// dz/dλ = ½ α σ² x̃ − ½ σ α² ε̃.
fn flow(mixture: &Mixture, z: Point, [from, to]: [f64; 2], class: usize, w: f64) -> Point {
    let slope = |z: Point, lambda: f64| -> Point {
        let level = LogSnr(lambda);
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let x = mixture.guided(z, level, class, w);
        std::array::from_fn(|i| {
            let epsilon = (z[i] - alpha * x[i]) / sigma;
            0.5 * alpha * sigma * (sigma * x[i] - alpha * epsilon)
        })
    };
    let parts = 600;
    let h = (to - from) / f64::from(parts);
    let along = |z: Point, k: Point, h: f64| [z[0] + h * k[0], z[1] + h * k[1]];
    (0..parts).fold(z, |z, part| {
        let l = from + h * f64::from(part);
        let k1 = slope(z, l);
        let k2 = slope(along(z, k1, h / 2.0), l + h / 2.0);
        let k3 = slope(along(z, k2, h / 2.0), l + h / 2.0);
        let k4 = slope(along(z, k3, h), l + h);
        std::array::from_fn(|i| z[i] + h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
    })
}

/// The exact flow map: its prediction is that of the x̃ with which a DDIM step lands on the flow.
struct Exact(Mixture);

impl Denoiser for Exact {
    fn classes(&self) -> usize {
        self.0.classes()
    }

    fn takes(&self) -> TakenInputs {
        TakenInputs {
            guidance: true,
            next_log_snr: true,
            ..TakenInputs::default()
        }
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let (Some(guidance), Some(next)) = (others.guidance, others.next_log_snr) else {
            panic!("a run of few steps asks for jumps");
        };
        let [from, to, w] = [log_snr, next, guidance]
            .map(|values| values.into_data().iter::<f64>().collect::<Vec<_>>());
        let class: Vec<i64> = class.into_data().iter::<i64>().collect();
        let dims = z.dims();
        let mut answer = Vec::new();
        for (row, start) in points(z).into_iter().enumerate() {
            let way = [from[row], to[row]];
            let landing = flow(&self.0, start, way, class[row] as usize, w[row]);
            let [from, to] = way.map(LogSnr);
            let ratio = to.sigma() / from.sigma();
            for i in 0..2 {
                let x = (landing[i] - ratio * start[i]) / (to.alpha() - ratio * from.alpha());
                answer.push(((from.alpha() * start[i] - x) / from.sigma()) as f32);
            }
        }
        Tensor::from_data(TensorData::new(answer, dims), &device())
    }
}

fn draw<D: Denoiser>(denoiser: D, steps: usize) -> (Vec<Point>, Vec<Point>) {
    let plan = Plan {
        guidance: vec![0.0, 1.0, 2.0, -0.5],
        ..Plan::new(vec![Some(0), Some(1), Some(2), Some(0)], steps).with_clip(false)
    };
    let input = GuidanceInput::new(-1.0, 4.0);
    let plan = plan.with_guidance_input(&input).unwrap();
    let plan = plan
        .with_flow_map(&FlowMap { max_steps: 8 }, RANGE)
        .unwrap();
    let mut run = Run::new(denoiser, plan, Target::V, RANGE, SHAPE, &device());
    let start = points(run.latent());
    assert_eq!(run.evaluations(0), steps);
    while run.advance() {}
    (start, points(run.denoised()))
}

fn distance(a: &[Point], b: &[Point]) -> f64 {
    let each = a
        .iter()
        .zip(b)
        .map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]));
    each.fold(0.0, f64::max)
}

#[test]
fn every_number_of_steps_ends_where_the_flow_does() {
    let mixture = Mixture::three(Target::V);
    let (start, _) = draw(Exact(mixture.clone()), 1);
    let ends: Vec<Point> = start
        .iter()
        .zip([(0, 0.0), (1, 1.0), (2, 2.0), (0, -0.5)])
        .map(|(&z, (class, w))| flow(&mixture, z, [RANGE.min, RANGE.max], class, w))
        .collect();
    for steps in [1, 2, 4, 8] {
        let (_, found) = draw(Exact(mixture.clone()), steps);
        // The network's answers are in 32 bits, and the last z still has e^−5 of noise.
        let far = distance(&found, &ends);
        assert!(far < 0.02, "{steps}: {far}");
    }
    // A network that answers for short steps is far off.
    let (_, found) = draw(mixture, 2);
    assert!(distance(&found, &ends) > 0.1);
}
