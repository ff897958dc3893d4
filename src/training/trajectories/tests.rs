//! Trajectories of the mixture of Gaussians, whose denoiser is exact.

use burn::tensor::Int;

use super::*;
use crate::gaussian_mixture::GaussianMixture;
use crate::network::{FlowMap, GuidanceInput, OtherInputs, TakenInputs};
use crate::noise_level::LogSnrRange;
use crate::prediction::Target;
use crate::training::{Jumps, Levels, LogNormal, Method, Weighting};

const RANGE: LogSnrRange = LogSnrRange {
    min: -9.0,
    max: 9.0,
};
const COUNTS: [usize; 3] = [1, 2, 5];

fn objective(teacher_steps: usize) -> Objective {
    Objective {
        target: Target::V,
        log_snr: RANGE,
        p_uncond: 0.1,
        p_drop: None,
        levels: Levels::Stratified,
        log_normal: LogNormal::default(),
        weighting: Weighting::Uniform,
        guidance: Some(GuidanceInput::new(-1.0, 2.0)),
        jumps: Some(Jumps {
            map: FlowMap { max_steps: 4 },
            method: Method::Trajectories,
            teacher_steps,
        }),
    }
}

fn drawn(objective: &Objective, part: &Part) -> Trajectories {
    let mixture = GaussianMixture::three(Target::V);
    let teacher = (&mixture, false);
    objective.trajectories(teacher, part, &COUNTS, [2, 1, 1], &Device::flex())
}

#[test]
fn an_image_has_the_same_trajectory_in_every_part() {
    let objective = objective(16);
    let whole = drawn(&objective, &Part::whole(1, 3, 9));
    let part = Part {
        images: 2..6,
        ..Part::whole(1, 3, 9)
    };
    let part = drawn(&objective, &part);
    assert_eq!(part.classes, whole.classes[2..6]);
    assert_eq!(part.guidance, whole.guidance[2..6]);
    for (part, whole) in part.states.iter().zip(&whole.states) {
        assert_eq!(part[..], whole[4..12]);
    }
    assert_ne!(drawn(&objective, &Part::whole(1, 4, 9)), whole);
}

#[test]
fn classes_are_as_frequent_as_the_data_and_small_strengths_more_frequent_than_large_ones() {
    let objective = objective(16);
    let part = Part::whole(1, 0, 8_000);
    let classes = objective.path_classes(&part, &COUNTS);
    let wanted = COUNTS.map(|count| 0.9 * count as f64 / 8.0);
    for (class, wanted) in wanted.into_iter().chain([0.1]).enumerate() {
        let found = classes.iter().filter(|&&id| id == class as u32).count();
        let off = (found as f64 / 8_000.0 - wanted).abs();
        assert!(off < 5.0 * (wanted / 8_000.0).sqrt(), "{class}: {off}");
    }
    let strengths = objective.path_strengths(&part);
    assert!(strengths.iter().all(|w| (-1.0..2.0).contains(w)));
    // (w + 1)/3 is the square of a uniform number: half of them are below ¼.
    let low = strengths.iter().filter(|&&w| w < -0.25).count();
    assert!((3_700..4_300).contains(&low), "{low}");
}

/// With finer steps, trajectories come to the flow's ends.
#[test]
fn trajectories_lead_where_the_flow_does() {
    let part = Part::whole(5, 0, 40);
    let end = |steps| drawn(&objective(steps), &part).states[4].clone();
    let exact = end(512);
    let off = |steps| {
        let pairs = end(steps).into_iter().zip(&exact);
        let squares = pairs.map(|(a, b)| f64::from(a - b).powi(2));
        (squares.sum::<f64>() / 80.0).sqrt()
    };
    let (few, more) = (off(8), off(32));
    assert!(more < 0.02 && more < 0.5 * few, "{few} {more}");
}

/// What answers each jump with the prediction that leads where the trajectory does has no loss, and what answers for short
/// steps has some.
#[test]
fn the_loss_is_zero_where_jumps_land_on_their_trajectories() {
    let objective = objective(16);
    let part = Part::whole(2, 1, 24);
    let labels = [0; 24];
    let draw = objective.draw(&part, &labels, 3, 2);
    let trajectories = drawn(&objective, &part);
    let ways = trajectories.ways(&draw);
    assert_eq!(ways.draw.classes, trajectories.classes);
    for (image, jump) in draw.jumps.iter().enumerate() {
        let place = |u: f64| (4.0 * (1.0 - u)) as usize;
        let state = |u| &trajectories.states[place(u)][2 * image..][..2];
        assert_eq!(&ways.starts[2 * image..][..2], state(jump.from));
        assert_eq!(&ways.landings[2 * image..][..2], state(jump.to));
    }

    struct Known<'a>(&'a Ways);
    impl Denoiser for Known<'_> {
        fn classes(&self) -> usize {
            3
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
            _: Tensor<1, Int>,
            others: OtherInputs,
        ) -> Tensor<4> {
            let to = others
                .next_log_snr
                .expect("students of few steps are asked for jumps");
            let read = |t: Tensor<1>| t.into_data().iter::<f64>().collect::<Vec<_>>();
            let (from, to) = (read(from), read(to));
            let mut answer = Vec::new();
            for (i, landing) in self.0.landings.iter().enumerate() {
                let (from, to) = (LogSnr(from[i / 2]), LogSnr(to[i / 2]));
                let start = f64::from(self.0.starts[i]);
                let ratio = to.sigma() / from.sigma();
                let x = (f64::from(*landing) - ratio * start) / (to.alpha() - ratio * from.alpha());
                answer.push(((from.alpha() * start - x) / from.sigma()) as f32);
            }
            Tensor::from_data(TensorData::new(answer, z.dims()), &z.device())
        }
    }
    let device = Device::flex();
    let loss = |student: &dyn Denoiser| {
        let loss = objective.trajectory_loss(student, &ways, [24, 2, 1, 1], &device);
        f64::from(loss.into_scalar::<f32>())
    };
    let (known, short) = (
        loss(&Known(&ways)),
        loss(&GaussianMixture::three(Target::V)),
    );
    assert!(known < 1e-6 && short > 0.01, "{known} {short}");
}
