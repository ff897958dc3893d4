//! Guidance by a second model: mixtures of Gaussians, for which the guided estimate is known exactly, and which models do
//! not fit each other.

mod common;

use burn::tensor::{Int, Tensor};
use common::{Mixture, SHAPE, device, points};
use freeguide::bundle::Config;
use freeguide::condition::Condition;
use freeguide::denoiser::Denoiser;
use freeguide::guidance::GuideModel;
use freeguide::network::OtherInputs;
use freeguide::noise_level::{LogSnr, LogSnrRange};
use freeguide::prediction::Target;
use freeguide::sampler::Run;
use freeguide::settings::{ClassName, PerImage, Plan, Request};
use serde_json::{Value, json};

const RANGE: LogSnrRange = LogSnrRange {
    min: -10.0,
    max: 10.0,
};
const STEPS: usize = 12;
const W: f64 = 1.75;

type Point = [f64; 2];

/// A worse model of the same three classes: broader, and not quite in the same places.
fn worse(target: Target) -> Mixture {
    Mixture {
        means: vec![[0.35, 0.1], [-0.2, 0.3], [-0.3, -0.2]],
        deviations: vec![0.35, 0.3, 0.4],
        target,
    }
}

/// A model without classes: only ∅ of a mixture, under the id 0.
struct WithoutClasses(Mixture);

impl Denoiser for WithoutClasses {
    fn classes(&self) -> usize {
        0
    }

    fn predict_with(
        &self,
        z: Tensor<4>,
        log_snr: Tensor<1>,
        class: Tensor<1, Int>,
        others: OtherInputs,
    ) -> Tensor<4> {
        let null = class.full_like(self.0.classes() as i64);
        self.0.predict_with(z, log_snr, null, others)
    }
}

fn guide_model(classes: &[u32], range: LogSnrRange) -> GuideModel {
    GuideModel {
        name: "guide".to_owned(),
        classes: classes.to_vec(),
        null_class: true,
        range,
    }
}

fn plan(guide: Option<GuideModel>) -> Plan {
    Plan {
        guide,
        ..Plan::new(vec![Some(0), Some(1), Some(2), Some(0)], STEPS)
            .with_guidance(W)
            .with_seed(3)
            .with_clip(false)
    }
}

fn begin<'a>(
    model: &'a Mixture,
    guide: Option<(&'a dyn Denoiser, Target)>,
    plan: Plan,
) -> Run<&'a dyn Denoiser> {
    let run = Run::new(
        model as &dyn Denoiser,
        plan,
        model.target,
        RANGE,
        SHAPE,
        &device(),
    );
    match guide {
        Some((guide, target)) => run.with_guide(guide, target),
        None => run,
    }
}

fn draw(model: &Mixture, guide: Option<(&dyn Denoiser, Target)>, plan: Plan) -> Vec<Point> {
    let mut run = begin(model, guide, plan);
    while run.advance() {}
    points(run.denoised())
}

/// DDIM in f64, image by image: `guided` turns z, λ and the image into x̃.
fn reference(
    model: &Mixture,
    plan: &Plan,
    guided: impl Fn(Point, LogSnr, usize) -> Point,
) -> Vec<Point> {
    let start = points(begin(model, None, plan.clone()).latent());
    let levels = plan.grid.levels(RANGE, STEPS);
    let images = start.into_iter().enumerate();
    images
        .map(|(image, mut z)| {
            let mut x = [0.0; 2];
            for (t, &level) in levels.iter().enumerate() {
                x = guided(z, level, image);
                if let Some(to) = levels.get(t + 1) {
                    z = std::array::from_fn(|i| {
                        let epsilon = (z[i] - level.alpha() * x[i]) / level.sigma();
                        to.alpha() * x[i] + to.sigma() * epsilon
                    });
                }
            }
            x
        })
        .collect()
}

fn mix(w: f64, own: Point, other: Point) -> Point {
    std::array::from_fn(|i| (1.0 + w) * own[i] - w * other[i])
}

fn assert_close(found: &[Point], wanted: &[Point], what: &str) {
    assert_eq!(found.len(), wanted.len());
    for (a, b) in found.iter().zip(wanted) {
        let far = (a[0] - b[0]).hypot(a[1] - b[1]);
        assert!(far < 2e-3, "{what}: {far}: {found:?} for {wanted:?}");
    }
}

#[test]
fn autoguidance_leads_away_from_the_worse_models_estimate_of_the_class() {
    let classes = [0, 1, 2, 0];
    for target in [Target::Epsilon, Target::V, Target::Velocity, Target::Edm] {
        for other in [Target::Epsilon, Target::V, Target::Velocity, Target::Edm] {
            let (model, guide) = (Mixture::three(target), worse(other));
            let plan = plan(Some(guide_model(&[0, 1, 2], RANGE)));
            let wanted = reference(&model, &plan, |z, level, image| {
                let own = model.conditional(z, level, classes[image]);
                mix(W, own, guide.conditional(z, level, classes[image]))
            });
            let drawn = draw(&model, Some((&guide, other)), plan);
            assert_close(&drawn, &wanted, &format!("{target:?} by {other:?}"));
        }
    }
}

#[test]
fn a_guide_is_asked_by_its_own_ids() {
    let (model, mut guide) = (Mixture::three(Target::V), worse(Target::V));
    let plan = |ids: &[u32]| plan(Some(guide_model(ids, RANGE)));
    let wanted = draw(&model, Some((&guide, Target::V)), plan(&[0, 1, 2]));
    guide.means.rotate_left(1);
    guide.deviations.rotate_left(1);
    let drawn = draw(&model, Some((&guide, Target::V)), plan(&[2, 0, 1]));
    assert_close(&drawn, &wanted, "rotated");
    let other = draw(&model, Some((&guide, Target::V)), plan(&[0, 1, 2]));
    assert_ne!(drawn, other);
}

#[test]
fn an_unconditional_guide_with_the_same_estimate_is_classifier_free_guidance() {
    let model = Mixture::three(Target::V);
    let guide = WithoutClasses(Mixture::three(Target::Epsilon));
    let by_guide = plan(Some(guide_model(&[], RANGE)));
    let drawn = draw(&model, Some((&guide, Target::Epsilon)), by_guide);
    assert_close(&drawn, &draw(&model, None, plan(None)), "∅");
}

#[test]
fn every_image_may_have_its_own_strength_and_condition() {
    let (model, guide) = (Mixture::three(Target::V), worse(Target::V));
    let strengths = [0.0, -1.0, 2.0, 0.5];
    let parts = [(0, 0.25), (2, 0.75)];
    let mut plan = plan(Some(guide_model(&[0, 1, 2], RANGE)));
    plan.guidance = strengths.to_vec();
    plan.classes[2] = Condition::Mix(parts.to_vec());
    plan.classes[3] = Condition::Class(None);
    let estimate = |mixture: &Mixture, z, level, image| match image {
        2 => parts.iter().fold([0.0; 2], |sum, &(class, weight)| {
            let one = mixture.conditional(z, level, class as usize);
            [0, 1].map(|i| sum[i] + weight * one[i])
        }),
        3 => mixture.unconditional(z, level),
        class => mixture.conditional(z, level, class),
    };
    let wanted = reference(&model, &plan, |z, level, image| {
        let own = estimate(&model, z, level, image);
        mix(strengths[image], own, estimate(&guide, z, level, image))
    });
    let run = begin(&model, Some((&guide, Target::V)), plan.clone());
    let counted: Vec<usize> = (0..4).map(|image| run.evaluations(image)).collect();
    assert_eq!(counted, [1, 2, 4, 2].map(|each| each * STEPS));
    let drawn = draw(&model, Some((&guide, Target::V)), plan);
    assert_close(&drawn, &wanted, "each");
}

#[test]
fn levels_that_the_guide_does_not_know_are_not_guided() {
    let (model, guide) = (Mixture::three(Target::V), worse(Target::V));
    let narrow = LogSnrRange {
        min: -4.0,
        max: 5.0,
    };
    let plan = plan(Some(guide_model(&[0, 1, 2], narrow)));
    let classes = [0, 1, 2, 0];
    let inside = |level: LogSnr| (narrow.min..=narrow.max).contains(&level.0);
    let wanted = reference(&model, &plan, |z, level, image| {
        let own = model.conditional(z, level, classes[image]);
        match inside(level) {
            true => mix(W, own, guide.conditional(z, level, classes[image])),
            false => own,
        }
    });
    let levels = plan.grid.levels(RANGE, STEPS);
    let guided = levels.into_iter().filter(|&level| inside(level)).count();
    assert!((1..STEPS).contains(&guided));
    let run = begin(&model, Some((&guide, Target::V)), plan.clone());
    assert_eq!(run.evaluations(0), STEPS + guided);
    let drawn = draw(&model, Some((&guide, Target::V)), plan);
    assert_close(&drawn, &wanted, "narrow");
}

#[test]
fn both_estimates_can_be_looked_at() {
    let (model, guide) = (Mixture::three(Target::V), worse(Target::V));
    let mut run = begin(
        &model,
        Some((&guide, Target::V)),
        plan(Some(guide_model(&[0, 1, 2], RANGE))),
    );
    let z = points(run.latent());
    run.advance();
    let level = LogSnr(RANGE.min);
    let seen = run.branches();
    for (image, class) in [0, 1, 2, 0].into_iter().enumerate() {
        let one = |estimate: &Option<Tensor<4>>| points(estimate.clone().unwrap());
        let (own, other) = (&seen[image].conditional, &seen[image].unconditional);
        let wanted = model.conditional(z[image], level, class);
        assert_close(&one(own), &[wanted], "own");
        let wanted = guide.conditional(z[image], level, class);
        assert_close(&one(other), &[wanted], "guide");
    }
}

const CONFIG: &str = include_str!("fixtures/tiny-model/config.json");

fn config(name: &str, change: impl FnOnce(&mut Value)) -> Config {
    let mut json: Value = serde_json::from_str(CONFIG).unwrap();
    json["name"] = name.into();
    change(&mut json);
    Config::parse(&json.to_string()).unwrap()
}

#[test]
fn models_that_do_not_fit_are_refused_by_name() {
    let model = config("model", |_| {});
    let refused = |guide: &Config| model.guide(guide).unwrap_err().to_string();
    let larger = refused(&config("larger", |json| {
        json["image"]["size"] = 16.into();
        json["network"]["attention_resolutions"] = json!([8]);
    }));
    assert!(
        larger.contains("larger cannot guide model: its images have 16×16 pixels"),
        "{larger}"
    );
    let names: Vec<&str> = model.classes.iter().collect();
    let mut others = names.clone();
    others[0] = "another";
    let others = refused(&config("others", |json| json["classes"] = json!(others)));
    assert!(
        others.contains(r#"others cannot guide model: the classes must be the same"#)
            && others.contains(r#"only others has "another""#),
        "{others}"
    );
    let fewer = config("fewer", |json| json["classes"] = json!(names[1..]));
    let fewer = refused(&fewer);
    assert!(
        fewer.contains(&format!("only model has {:?}", names[0])),
        "{fewer}"
    );
    let distilled = refused(&config("student", |json| {
        json["format_version"] = 3.into();
        json["network"]["guidance"] = json!({ "kind": "input", "min": 0.0, "max": 4.0 });
    }));
    assert!(distilled.contains("student was distilled"), "{distilled}");
    let attributes = refused(&config("attributes", |json| {
        json["format_version"] = 4.into();
        json["network"]["conditions"] = "attributes".into();
    }));
    assert!(
        attributes.contains(
            "attributes cannot guide model: it is conditioned on attributes, and model on one class"
        ),
        "{attributes}"
    );
    let number = refused(&config("number", |json| {
        json["format_version"] = 4.into();
        json["network"]["number"] = json!({ "name": "age", "min": 0.0, "max": 90.0 });
    }));
    assert!(
        number.contains(r#"it is conditioned on one class and the number "age" from 0 to 90, and model on one class"#),
        "{number}"
    );

    let reversed: Vec<&str> = names.iter().rev().copied().collect();
    let reversed = model
        .guide(&config("reversed", |json| {
            json["classes"] = json!(reversed)
        }))
        .unwrap();
    let count = names.len() as u32;
    assert_eq!(reversed.classes, (0..count).rev().collect::<Vec<_>>());
    let none = config("none", |json| {
        json["format_version"] = 2.into();
        json["classes"] = json!([]);
    });
    assert!(model.guide(&none).unwrap().classes.is_empty());
}

#[test]
fn a_model_without_a_null_class_can_be_guided_by_another() {
    let conditional = config("conditional", |json| {
        json["format_version"] = 2.into();
        json["null_class"] = false.into();
        json["sampling"]["guidance"] = 0.0.into();
    });
    let mut request = Request::new(vec![ClassName::Id(0)]);
    request.guidance = Some(PerImage::All(1.5));
    assert!(conditional.plan(&request).is_err());
    let guide = conditional.guide(&config("guide", |_| {})).unwrap();
    let plan = Plan::new(vec![Some(0)], 4).with_guidance(1.5);
    let guided = plan.guided_by(guide).unwrap().conditional_only();
    assert_eq!(guided.unwrap().guide.unwrap().name, "guide");
}
