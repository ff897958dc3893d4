//! Classifier guidance: on a mixture of Gaussians, whose posterior is exact, and the gradient of a network.

mod common;

use std::sync::Arc;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use common::{Mixture, SHAPE, device, points};
use freeguide::bundle::Config;
use freeguide::class_names::ClassNames;
use freeguide::classifier::{NoisyClassifier, NoisyDescription};
use freeguide::condition::Condition;
use freeguide::guidance::{ClassGradient, ClassifierGuidance};
use freeguide::network::UNetConfig;
use freeguide::noise_level::{LogSnr, LogSnrRange};
use freeguide::prediction::Target;
use freeguide::sampler::{Run, Solver};
use freeguide::settings::Plan;

const RANGE: LogSnrRange = LogSnrRange {
    min: -10.0,
    max: 10.0,
};
const STEPS: usize = 10;

/// ∇ log p(c | z) = ∇ log p(z | c) − ∇ log p(z), of which the mixture knows both.
#[derive(Debug)]
struct Posterior(Mixture);

impl ClassGradient for Posterior {
    fn gradient(&self, z: &Tensor<4>, level: LogSnr, classes: &[Vec<(u32, f64)>]) -> Tensor<4> {
        let (alpha, variance) = (level.alpha(), level.sigma().powi(2));
        let mut values = Vec::new();
        for (z, asked) in points(z.clone()).into_iter().zip(classes) {
            let all = self.0.unconditional(z, level);
            for i in 0..2 {
                let sum: f64 = asked
                    .iter()
                    .map(|&(class, weight)| {
                        let one = self.0.conditional(z, level, class as usize);
                        weight * alpha * (one[i] - all[i]) / variance
                    })
                    .sum();
                values.push(sum as f32);
            }
        }
        Tensor::from_data(TensorData::new(values, z.dims()), &z.device())
    }
}

fn plan(w: f64, strength: f64) -> Plan {
    Plan {
        classifier: Some(ClassifierGuidance {
            name: "posterior".to_owned(),
            strength,
            classes: vec![0, 1, 2],
            range: RANGE,
        }),
        ..Plan::new(vec![Some(0), Some(1), Some(2), Some(0)], STEPS)
            .with_guidance(w)
            .with_seed(4)
            .with_clip(false)
    }
}

fn run(mixture: &Mixture, plan: Plan) -> Run<&Mixture> {
    let posterior = Arc::new(Posterior(mixture.clone()));
    Run::new(mixture, plan, mixture.target, RANGE, SHAPE, &device()).with_classifier(posterior)
}

fn draw(mixture: &Mixture, plan: Plan) -> Vec<[f64; 2]> {
    let mut run = run(mixture, plan);
    while run.advance() {}
    points(run.denoised())
}

fn assert_close(found: &[[f64; 2]], wanted: &[[f64; 2]], what: &str) {
    for (a, b) in found.iter().zip(wanted) {
        let far = (a[0] - b[0]).hypot(a[1] - b[1]);
        assert!(far < 2e-3, "{what}: {far}: {found:?} for {wanted:?}");
    }
}

/// The score of the exact posterior is the difference of the two scores of classifier-free guidance: a strength of s adds s
/// to w, on the conditional model, on the unconditional one, and beside guidance.
#[test]
fn with_the_exact_posterior_it_is_classifier_free_guidance() {
    for target in [Target::Epsilon, Target::V, Target::Velocity, Target::Edm] {
        let mixture = Mixture::three(target);
        for solver in [Solver::Ddim, Solver::Heun] {
            let of = |w, s| draw(&mixture, plan(w, s).with_sampler(solver));
            for (w, s) in [(-1.0, 1.0), (-1.0, 3.0), (0.0, 2.0), (1.5, 0.75)] {
                let what = format!("{target:?} {solver:?} w {w} s {s}");
                assert_close(&of(w, s), &of(w + s, 0.0), &what);
            }
        }
    }
}

#[test]
fn an_image_without_a_class_is_not_guided_and_a_mix_by_its_classes() {
    let mixture = Mixture::three(Target::V);
    let of = |w, s| {
        let mut plan = plan(w, s);
        plan.classes[1] = Condition::Class(None);
        plan.classes[2] = Condition::Mix(vec![(0, 0.25), (2, 0.75)]);
        plan
    };
    let guided = draw(&mixture, of(0.0, 1.5));
    let wanted = draw(&mixture, of(1.5, 0.0));
    assert_close(&guided, &wanted, "each");
    assert_eq!(guided[1], draw(&mixture, of(0.0, 0.0))[1]);
    let run = run(&mixture, of(0.0, 1.5));
    let counted = [0, 1, 2].map(|image| run.gradient_evaluations(image));
    assert_eq!(counted, [STEPS, 0, STEPS]);
}

#[test]
fn it_guides_within_its_range_and_the_interval() {
    let mixture = Mixture::three(Target::V);
    let mut narrow = plan(0.0, 2.0);
    narrow.classifier.as_mut().unwrap().range = LogSnrRange {
        min: -3.0,
        max: 20.0,
    };
    let narrow = narrow.with_guidance_interval(LogSnrRange {
        min: -20.0,
        max: 4.0,
    });
    let within = plan(2.0, 0.0).with_guidance_interval(LogSnrRange {
        min: -3.0,
        max: 4.0,
    });
    let levels = narrow.grid.levels(RANGE, STEPS);
    let inside = levels
        .iter()
        .filter(|l| (-3.0..=4.0).contains(&l.0))
        .count();
    assert!((1..STEPS).contains(&inside));
    assert_eq!(
        run(&mixture, narrow.clone()).gradient_evaluations(0),
        inside
    );
    assert_close(&draw(&mixture, narrow), &draw(&mixture, within), "narrow");
}

fn classifier(names: &[&str], size: usize, device: &Device) -> NoisyClassifier {
    let config = UNetConfig {
        attention_resolutions: vec![size / 2],
        ..UNetConfig::tiny()
    };
    device.seed(3);
    let network = config.init_encoder(size, 3, names.len(), device).unwrap();
    let description = NoisyDescription {
        name: "noisy".to_owned(),
        image: freeguide::bundle::ImageShape { size, channels: 3 },
        classes: names.iter().collect::<ClassNames>(),
        network: config,
        log_snr: RANGE,
        held_out: None,
    };
    NoisyClassifier::new(description, network)
}

#[test]
fn the_gradient_of_a_network_is_its_slope() {
    let device = device();
    let classifier = classifier(&["a", "b", "c"], 8, &device);
    let shape = [2, 3, 8, 8];
    let start: Vec<f32> = (0..2 * 192).map(|i| (i as f32 * 0.37).sin()).collect();
    let level = LogSnr(1.0);
    let tensor = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, shape), &device);
    let asked = [vec![(1, 1.0)], vec![(0, 0.25), (2, 0.75)]];
    let gradient = classifier.gradient(&tensor(start.clone()), level, &asked);
    assert_eq!(gradient.dims(), shape);
    let gradient: Vec<f32> = gradient.into_data().iter::<f32>().collect();
    let value = |values: Vec<f32>, image: usize| -> f64 {
        let log_snr = Tensor::<1>::full([2], level.0, &device);
        let logits = classifier.network().forward(tensor(values), log_snr, None);
        let log: Vec<f32> = log_softmax(logits, 1).into_data().iter::<f32>().collect();
        let row = &log[3 * image..3 * image + 3];
        let sum = |(class, weight): &(u32, f64)| weight * f64::from(row[*class as usize]);
        asked[image].iter().map(sum).sum()
    };
    // Along the gradient itself, whose slope is its squared norm.
    for image in 0..2 {
        let of_image = &gradient[192 * image..192 * (image + 1)];
        let square: f64 = of_image.iter().map(|&g| f64::from(g).powi(2)).sum();
        assert!(square > 1e-12, "no gradient");
        let step = 0.02 / square.sqrt();
        let moved = |sign: f64| {
            let mut values = start.clone();
            for (value, &g) in values[192 * image..].iter_mut().zip(of_image) {
                *value += (sign * step * f64::from(g)) as f32;
            }
            value(values, image)
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
        assert!((slope / square - 1.0).abs() < 0.03, "{slope} for {square}");
    }
    let none = classifier.gradient(&tensor(start), level, &[vec![], vec![(1, 1.0)]]);
    let none: Vec<f32> = none.into_data().iter::<f32>().collect();
    assert!(none[..192].iter().all(|&g| g == 0.0) && none[192..].iter().any(|&g| g != 0.0));
}

#[test]
fn a_classifier_of_other_data_is_refused_by_name() {
    let config = Config::parse(include_str!("fixtures/tiny-model/config.json")).unwrap();
    let device = device();
    let fits = classifier(&["square", "disc", "triangle"], 8, &device);
    let guidance = fits.guidance(&config, 2.0).unwrap();
    assert_eq!((guidance.classes, guidance.strength), (vec![1, 0, 2], 2.0));
    let refused = |names: &[&str], size| {
        let classifier = classifier(names, size, &device);
        classifier.guidance(&config, 1.0).unwrap_err().to_string()
    };
    let others = refused(&["disc", "square", "cat"], 8);
    assert!(
        others.contains("noisy cannot guide tiny") && others.contains(r#"only noisy has "cat""#),
        "{others}"
    );
    let larger = refused(&["disc", "square", "triangle"], 16);
    assert!(larger.contains("its images have 16×16 pixels"), "{larger}");
}
