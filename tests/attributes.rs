//! Several attributes against exact mathematics: of a mixture of Gaussians whose parts have attributes, the conditional of every
//! subset is a mixture of some of them.

use burn::tensor::{Device, Int, Tensor, TensorData};
use freeguide::bundle::ClassNames;
use freeguide::denoiser::Denoiser;
use freeguide::gaussian_mixture::POINT_SHAPE;
use freeguide::network::{Conditions, OtherInputs, TakenInputs};
use freeguide::noise_level::{LogSnr, LogSnrRange};
use freeguide::prediction::Target;
use freeguide::sampler::{Run, Solver};
use freeguide::settings::{Plan, Request, SamplingDefaults};
use serde_json::json;

const RANGE: LogSnrRange = LogSnrRange {
    min: -14.0,
    max: 12.0,
};

/// A Gaussian with its attributes.
#[derive(Clone)]
struct Part {
    mean: [f64; 2],
    deviation: f64,
    attributes: &'static [u32],
}

/// Equally probable Gaussians. What is conditioned on attributes are the parts that have them all.
#[derive(Clone)]
struct Parts(Vec<Part>);

/// Right of the middle is attribute 0 and above it is attribute 1, independently of each other.
fn independent() -> Parts {
    let part = |x: f64, y: f64, attributes| Part {
        mean: [0.5 * x, 0.4 * y],
        deviation: 0.15,
        attributes,
    };
    Parts(vec![
        part(-1.0, -1.0, &[]),
        part(1.0, -1.0, &[0]),
        part(-1.0, 1.0, &[1]),
        part(1.0, 1.0, &[0, 1]),
    ])
}

/// Parts of which no attribute is independent of the other.
fn dependent() -> Parts {
    let part = |mean, deviation, attributes| Part {
        mean,
        deviation,
        attributes,
    };
    Parts(vec![
        part([0.5, 0.1], 0.2, &[0]),
        part([-0.4, 0.5], 0.15, &[0, 1]),
        part([-0.2, -0.5], 0.25, &[1]),
        part([0.3, -0.3], 0.1, &[]),
    ])
}

impl Parts {
    fn with(&self, attributes: &[u32]) -> Self {
        let has = |part: &&Part| attributes.iter().all(|id| part.attributes.contains(id));
        Self(self.0.iter().filter(has).cloned().collect())
    }

    /// ε̃ at a point: the posterior mean of the noise.
    fn epsilon(&self, z: [f64; 2], level: LogSnr) -> [f64; 2] {
        let (alpha, sigma) = (level.alpha(), level.sigma());
        let offset = |part: &Part| [0, 1].map(|i| z[i] - alpha * part.mean[i]);
        let variance = |part: &Part| (alpha * part.deviation).powi(2) + sigma * sigma;
        let logs: Vec<f64> = (self.0.iter())
            .map(|part| {
                let [x, y] = offset(part);
                -0.5 * (x * x + y * y) / variance(part) - variance(part).ln()
            })
            .collect();
        let most = logs.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
        let all: f64 = weights.iter().sum();
        let mut epsilon = [0.0; 2];
        for (part, weight) in self.0.iter().zip(weights) {
            let offset = offset(part);
            (0..2).for_each(|i| epsilon[i] += weight / all * sigma * offset[i] / variance(part));
        }
        epsilon
    }

    fn attributes(&self) -> usize {
        2
    }
}

impl Denoiser for Parts {
    fn classes(&self) -> usize {
        self.attributes()
    }

    fn takes(&self) -> TakenInputs {
        TakenInputs {
            attributes: true,
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
        let (shape, device) = (z.dims(), z.device());
        let classes: Vec<i64> = class.into_data().iter::<i64>().collect();
        let levels: Vec<f64> = log_snr.into_data().iter::<f64>().collect();
        let flags = others.attributes;
        let flags: Option<Vec<f32>> = flags.map(|f| f.into_data().iter::<f32>().collect());
        let z: Vec<f64> = z.into_data().iter::<f64>().collect();
        let mut answer = Vec::new();
        for (row, z) in z.chunks(2).enumerate() {
            let has = |id: &u32| match &flags {
                Some(flags) => flags[2 * row + *id as usize] == 1.0,
                None => classes[row] == i64::from(*id),
            };
            let attributes: Vec<u32> = [0, 1].into_iter().filter(has).collect();
            let epsilon = self
                .with(&attributes)
                .epsilon([z[0], z[1]], LogSnr(levels[row]));
            answer.extend(epsilon.map(|v| v as f32));
        }
        Tensor::from_data(TensorData::new(answer, shape), &device)
    }
}

/// A model of one class, which has these attributes.
struct One<'a>(&'a Parts, Vec<u32>);

impl Denoiser for One<'_> {
    fn classes(&self) -> usize {
        1
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        _: OtherInputs,
    ) -> Tensor<4> {
        let device = z.device();
        let ids: Vec<i64> = class.into_data().iter::<i64>().collect();
        let flag = |id: i64, k: u32| f32::from(u8::from(id == 0 && self.1.contains(&k)));
        let flags: Vec<f32> = ids
            .iter()
            .flat_map(|&id| [flag(id, 0), flag(id, 1)])
            .collect();
        let others = OtherInputs {
            attributes: Some(Tensor::from_data(
                TensorData::new(flags, [ids.len(), 2]),
                &device,
            )),
            ..OtherInputs::default()
        };
        let class = Tensor::from_data(TensorData::new(ids, [others_len(&others)]), &device);
        self.0.predict_with(z, log_snr, class, others)
    }
}

fn others_len(others: &OtherInputs) -> usize {
    others
        .attributes
        .as_ref()
        .map_or(0, |flags| flags.dims()[0])
}

/// The plan of a request for a model of two attributes.
fn planned(request: serde_json::Value) -> Plan {
    let request: Request = serde_json::from_value(request).unwrap();
    let names: ClassNames = ["right", "above"].into_iter().collect();
    let plan = request.plan(&names, &SamplingDefaults::default(), RANGE);
    plan.unwrap()
        .with_conditions(Conditions::Attributes, None)
        .unwrap()
}

fn drawn(denoiser: impl Denoiser, plan: Plan) -> Vec<[f64; 2]> {
    let device = Device::flex();
    let mut run = Run::new(denoiser, plan, Target::Epsilon, RANGE, POINT_SHAPE, &device);
    while run.advance() {}
    let values: Vec<f64> = run.denoised().into_data().iter::<f64>().collect();
    values.chunks_exact(2).map(|p| [p[0], p[1]]).collect()
}

/// The largest distance between two sets of points.
fn apart(a: &[[f64; 2]], b: &[[f64; 2]]) -> f64 {
    let pairs = a.iter().zip(b);
    let distance = pairs.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]));
    distance.fold(0.0, f64::max)
}

const SUBSETS: [&[&str]; 4] = [&[], &["right"], &["above"], &["right", "above"]];

fn ids(names: &[&str]) -> Vec<u32> {
    let id = |name: &&str| u32::from(*name == "above");
    names.iter().map(id).collect()
}

fn request(names: &[&str], images: usize, w: f64, composition: &str) -> serde_json::Value {
    json!({
        "classes": vec![names; images],
        "guidance": w,
        "composition": composition,
        "clip": false,
        "steps": 24,
        "seed": 5,
    })
}

/// Mean and standard deviation of a coordinate.
fn moments(points: &[[f64; 2]], i: usize) -> [f64; 2] {
    let n = points.len() as f64;
    let mean = points.iter().map(|p| p[i]).sum::<f64>() / n;
    let variance = points.iter().map(|p| (p[i] - mean).powi(2)).sum::<f64>() / n;
    [mean, variance.sqrt()]
}

#[test]
fn every_subset_draws_its_conditional() {
    let parts = dependent();
    for names in SUBSETS {
        let images = 2000;
        let mut plan = planned(request(names, images, 0.0, "joint"));
        plan.steps = 64;
        let found = drawn(&parts, plan.with_sampler(Solver::DpmSolver));
        let of = parts.with(&ids(names)).0;
        let count = of.len() as f64;
        for i in 0..2 {
            let mean = of.iter().map(|part| part.mean[i]).sum::<f64>() / count;
            let second = |part: &Part| part.mean[i].powi(2) + part.deviation.powi(2);
            let deviation = (of.iter().map(second).sum::<f64>() / count - mean * mean).sqrt();
            let [found_mean, found_deviation] = moments(&found, i);
            let error = 5.0 * deviation / (images as f64).sqrt();
            assert!(
                (found_mean - mean).abs() < error,
                "{names:?}: {found_mean} for {mean}"
            );
            assert!(
                (found_deviation - deviation).abs() < error,
                "{names:?}: {found_deviation} for {deviation}"
            );
        }
    }
}

/// A guided subset is what a model with that one class draws, whatever other images are drawn of beside it.
#[test]
fn a_subset_is_guided_like_a_class() {
    let parts = dependent();
    for solver in [Solver::Ddim, Solver::Heun, Solver::Ancestral] {
        let all: Vec<&[&str]> = SUBSETS.to_vec();
        let mut plan = planned(
            json!({ "classes": all, "guidance": [1.5, 0.0, 3.0, 2.0], "clip": false, "seed": 5 }),
        );
        plan.steps = 24;
        let together = drawn(&parts, plan.with_sampler(solver));
        for (image, (names, w)) in SUBSETS.into_iter().zip([1.5, 0.0, 3.0, 2.0]).enumerate() {
            let class = (!names.is_empty()).then_some(0);
            let mut plan = Plan::new(vec![class], 24)
                .with_guidance(w)
                .with_seed(5)
                .with_sampler(solver)
                .with_clip(false);
            plan.first_image = image as u64;
            let alone = drawn(One(&parts, ids(names)), plan);
            let off = apart(&alone, &together[image..=image]);
            assert!(off < 1e-5, "{names:?} with {solver:?}: {off}");
        }
    }
}

/// Where attributes are independent, what each adds to the unconditional score adds up to the score of all together.
#[test]
fn independent_attributes_one_by_one_are_those_together() {
    let parts = independent();
    for solver in [
        Solver::Ddim,
        Solver::DpmSolver,
        Solver::Heun,
        Solver::Ancestral,
    ] {
        for w in [0.0, 2.0] {
            for names in SUBSETS {
                let of = |composition| {
                    let plan = planned(request(names, 16, w, composition));
                    drawn(&parts, plan.with_sampler(solver))
                };
                let off = apart(&of("joint"), &of("each"));
                assert!(off < 2e-3, "{names:?}, {solver:?}, w = {w}: {off}");
            }
        }
    }
    // Where they are not, it is something else.
    let wide = || {
        let mut parts = dependent();
        parts.0.iter_mut().for_each(|part| part.deviation *= 2.5);
        parts
    };
    let of = |composition| drawn(wide(), planned(request(SUBSETS[3], 16, 1.0, composition)));
    assert!(apart(&of("joint"), &of("each")) > 0.05);
}
