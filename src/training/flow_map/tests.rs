//! Lessons on the mixture of Gaussians, in f64.

use burn::tensor::Device;

use super::*;
use crate::gaussian_mixture::GaussianMixture;
use crate::network::{GuidanceInput, OtherInputs, TakenInputs};
use crate::noise_level::LogSnrRange;
use crate::prediction::Target;
use crate::training::{Levels, LogNormal, Weighting};

const RANGE: LogSnrRange = LogSnrRange {
    min: -9.0,
    max: 9.0,
};

fn jumps(method: Method) -> Jumps {
    Jumps {
        map: FlowMap { max_steps: 4 },
        method,
        teacher_steps: 16,
    }
}

fn objective(method: Method) -> Objective {
    Objective {
        target: Target::V,
        log_snr: RANGE,
        p_uncond: 0.0,
        p_drop: None,
        levels: Levels::Stratified,
        log_normal: LogNormal::default(),
        weighting: Weighting::Uniform,
        guidance: Some(GuidanceInput::new(-1.0, 2.0)),
        jumps: Some(jumps(method)),
    }
}

#[test]
fn jumps_are_those_of_runs_and_do_not_depend_on_the_part() {
    for method in [Method::Rollout, Method::Bootstrap, Method::Consistency] {
        let jumps = jumps(method);
        let whole = jumps.draw(&Part::whole(1, 5, 600));
        let part = Part {
            images: 17..40,
            ..Part::whole(1, 5, 600)
        };
        assert_eq!(jumps.draw(&part), whole[17..40]);
        for steps in [1, 2, 4] {
            let count = whole.iter().filter(|jump| jump.steps == steps).count();
            assert!((150..250).contains(&count), "{steps}: {count}");
        }
        for jump in &whole {
            let length = 1.0 / jump.steps as f64;
            let landing = (1.0 - jump.to) / length;
            assert!((landing - landing.round()).abs() < 1e-9, "{jump:?}");
            let whole = (jump.from - jump.to - length).abs() < 1e-9;
            assert!(whole || method == Method::Consistency && jump.from - jump.to < length);
            // The legs lead from the start to the landing.
            let legs = jumps.legs(jump);
            let ends = (legs[0].from, legs[legs.len() - 1].to);
            assert_eq!(ends, (jump.from, jump.to));
            assert!(legs.windows(2).all(|pair| pair[0].to == pair[1].from));
        }
    }
    let one = Jump {
        from: 1.0,
        to: 0.0,
        steps: 1,
    };
    let who = |method| -> Vec<By> { jumps(method).legs(&one).iter().map(|leg| leg.by).collect() };
    assert_eq!(who(Method::Rollout), [By::Teacher; 16]);
    assert_eq!(who(Method::Bootstrap), [By::Student; 2]);
    assert_eq!(who(Method::Consistency), [By::Teacher, By::Student]);
}

/// A step of DDIM along the mixture's guided flow.
fn step(
    mixture: &GaussianMixture,
    z: [f64; 2],
    (from, to): (f64, f64),
    class: usize,
    w: f64,
) -> [f64; 2] {
    let (from, to) = (RANGE.log_snr(from), RANGE.log_snr(to));
    let x = mixture
        .guided(z, from, class, w)
        .map(|x| x.clamp(-1.0, 1.0));
    std::array::from_fn(|i| {
        let epsilon = (z[i] - from.alpha() * x[i]) / from.sigma();
        to.alpha() * x[i] + to.sigma() * epsilon
    })
}

/// With the lesson of a rollout, one DDIM step lands where the teacher's short steps do.
#[test]
fn one_step_with_the_lesson_lands_where_short_steps_do() {
    let device = Device::flex();
    let count = 32;
    let mixture = GaussianMixture::three(Target::V);
    let objective = objective(Method::Rollout);
    let x = Tensor::<4>::full([count, 2, 1, 1], 0.1, &device);
    let labels: Vec<u32> = (0..count as u32).map(|i| i % 3).collect();
    let draw = objective.draw(&Part::whole(3, 1, count), &labels, 3, 2);
    let lesson = objective.landing_lesson((&mixture, &mixture), x, &draw);
    let lesson: Vec<f64> = lesson.into_data().iter::<f64>().collect();
    for image in 0..count {
        let (jump, w) = (draw.jumps[image], draw.guidance[image]);
        let (from, to) = (RANGE.log_snr(jump.from), RANGE.log_snr(jump.to));
        assert_eq!(draw.log_snr[image], from);
        let noise = [0, 1].map(|i| f64::from(draw.noise[2 * image + i]));
        let start = noise.map(|e| from.alpha() * 0.1 + from.sigma() * e);
        let parts = 16 / jump.steps;
        let mut z = start;
        for k in 0..parts {
            let place = |k| jump.from + (jump.to - jump.from) * k as f64 / parts as f64;
            z = step(
                &mixture,
                z,
                (place(k), place(k + 1)),
                labels[image] as usize,
                w,
            );
        }
        for i in 0..2 {
            let v = lesson[2 * image + i];
            let x = from.alpha() * start[i] - from.sigma() * v;
            let epsilon = from.sigma() * start[i] + from.alpha() * v;
            let landing = to.alpha() * x + to.sigma() * epsilon;
            assert!(
                (landing - z[i]).abs() < 1e-3,
                "{jump:?}: {landing} {}",
                z[i]
            );
        }
    }
}

/// The exact flow as a student: where it leads in 400 short steps.
struct Flow(GaussianMixture);

impl Denoiser for Flow {
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
        from: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let (Some(guidance), Some(to)) = (others.guidance, others.next_log_snr) else {
            panic!("a student of few steps is asked for jumps");
        };
        let read = |t: Tensor<1>| t.into_data().iter::<f64>().collect::<Vec<_>>();
        let (from, to, w) = (read(from), read(to), read(guidance));
        let class: Vec<usize> = class
            .into_data()
            .iter::<i64>()
            .map(|c| c as usize)
            .collect();
        let values: Vec<f64> = z.clone().into_data().iter::<f64>().collect();
        let mut answer = Vec::new();
        for row in 0..from.len() {
            let (first, last) = (RANGE.u(from[row]), RANGE.u(to[row]));
            let start = [values[2 * row], values[2 * row + 1]];
            let place = |k: usize| first + (last - first) * k as f64 / 400.0;
            let landing = (0..400).fold(start, |z, k| {
                step(&self.0, z, (place(k), place(k + 1)), class[row], w[row])
            });
            let (from, to) = (LogSnr(from[row]), LogSnr(to[row]));
            let ratio = to.sigma() / from.sigma();
            for i in 0..2 {
                let x = (landing[i] - ratio * start[i]) / (to.alpha() - ratio * from.alpha());
                answer.push(((from.alpha() * start[i] - x) / from.sigma()) as f32);
            }
        }
        Tensor::from_data(TensorData::new(answer, z.dims()), &z.device())
    }
}

/// Whoever knows the flow has learnt every method's lesson, up to the length of the teacher's steps; who answers for short
/// steps only has not.
#[test]
fn the_exact_flow_has_learnt_every_lesson() {
    let device = Device::flex();
    let count = 48;
    let mixture = GaussianMixture::three(Target::V);
    let flow = Flow(mixture.clone());
    let x = Tensor::<4>::full([count, 2, 1, 1], 0.1, &device);
    let labels: Vec<u32> = (0..count as u32).map(|i| i % 3).collect();
    for method in [Method::Rollout, Method::Bootstrap, Method::Consistency] {
        let mut objective = objective(method);
        if let Some(jumps) = &mut objective.jumps {
            jumps.teacher_steps = 256;
        }
        let draw = objective.draw(&Part::whole(3, 1, count), &labels, 3, 2);
        let lesson = objective.landing_lesson((&mixture, &flow), x.clone(), &draw);
        let loss = |student: &dyn Denoiser| {
            let loss = objective.flow_map_loss(student, x.clone(), &draw, lesson.clone());
            f64::from(loss.into_scalar::<f32>())
        };
        let (exact, short) = (loss(&flow), loss(&mixture));
        assert!(exact < 2e-4, "{method:?}: {exact}");
        assert!(short > 50.0 * exact, "{method:?}: {short} {exact}");
    }
}
