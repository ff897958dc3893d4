use super::*;
use crate::condition::Joint;
use crate::sampler::Spacing;

fn plan_with(defaults: &SamplingDefaults, json: &str) -> Result<Plan, String> {
    let request: Request = serde_json::from_str(json).map_err(|e| e.to_string())?;
    let names = ["cat", "dog"].into_iter().collect();
    request
        .plan(&names, defaults, LogSnrRange::PAPER)
        .map_err(|e| e.to_string())
}

fn plan(json: &str) -> Result<Plan, String> {
    plan_with(&SamplingDefaults::default(), json)
}

#[test]
fn classes_are_ids_names_or_null() {
    let plan =
        plan(r#"{"classes": [1, "cat", null], "guidance": [0, 1.5, 2], "seed": 7}"#).unwrap();
    assert_eq!(plan.classes, [Some(1), Some(0), None]);
    assert_eq!(plan.guidance, [0.0, 1.5, 2.0]);
    assert_eq!((plan.steps, plan.seed), (32, 7));
}

#[test]
fn a_mix_is_of_names_or_ids_with_weights_that_add_up_to_1() {
    let mix = |text: &str| {
        let plan = plan(&format!(r#"{{"classes": [{text}]}}"#))?;
        Ok(plan.classes[0].clone())
    };
    let both = Ok(Condition::Mix(vec![(0, 0.75), (1, 0.25)]));
    assert_eq!(mix(r#"{"cat": 0.75, "dog": 0.25}"#), both);
    assert_eq!(mix(r#"{"0": 0.5, "1": 0.25, "cat": 0.25}"#), both);
    let one = Ok(Condition::Class(Some(1)));
    assert_eq!(mix(r#"{"cat": 0, "dog": 1}"#), one);
    let refused = |text: &str, words: &str| {
        let error: Result<Condition, String> = mix(text);
        let error = error.unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    refused(r#"{"cat": 0.7, "dog": 0.2}"#, "add up to 0.9");
    refused(r#"{}"#, "add up to 0");
    refused(
        r#"{"cat": 1.3, "dog": -0.3}"#,
        "weight of cat in a mix is 1.3",
    );
    refused(
        r#"{"dog": -0.3, "cat": 1}"#,
        "weight of dog in a mix is -0.3",
    );
    refused(
        r#"{"cow": 0.5, "cat": 0.5}"#,
        "no class \"cow\"; the classes are 0 cat, 1 dog",
    );
    refused(r#"{"none": 0.5, "cat": 0.5}"#, "not of `none`");
}

#[test]
fn a_mix_is_read_from_a_text() {
    let names = ["tench, Tinca tinca", "a:b", "12"].into_iter().collect();
    let read = |text: &str| resolve_condition(&ClassName::of_text(text, &names), &names);
    let parts = |text: &str| match read(text) {
        Ok(Condition::Mix(parts)) => parts,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(
        parts("tench, Tinca tinca:0.7,a:b:0.3"),
        [(0, 0.7), (1, 0.3)]
    );
    assert_eq!(parts("12:0.5, 0:5e-1"), [(2, 0.5), (0, 0.5)]);
    assert_eq!(read("a:b"), Ok(Condition::Class(Some(1))));
    assert_eq!(read("12:1"), Ok(Condition::Class(Some(2))));
    let unknown = read("12:0.5,a:b").unwrap_err().to_string();
    assert!(unknown.contains("no class \"12:0.5,a:b\""), "{unknown}");
    let negative = plan(r#"{"classes": [0], "negative": "cat:0.5,dog:0.5"}"#).unwrap_err();
    assert!(negative.contains("one class is wanted"), "{negative}");
}

#[test]
fn several_attributes_are_a_list_of_names_or_ids() {
    let condition = |json: &str| plan(json).map(|plan| plan.classes[0].clone());
    let both = |number: Option<f64>| {
        let labels = vec![0, 1];
        Ok(Condition::Joint(Joint { labels, number }))
    };
    // Whatever their order, and each once.
    let several = r#"{"classes": [["dog", 0, "dog"]]}"#;
    assert_eq!(condition(several), both(None));
    let number = r#"{"classes": [["cat", "dog"]], "number": 30}"#;
    assert_eq!(condition(number), both(Some(30.0)));
    let one = Ok(Condition::Class(Some(1)));
    assert_eq!(condition(r#"{"classes": [["dog"]]}"#), one);
    assert_eq!(
        condition(r#"{"classes": [[]]}"#),
        Ok(Condition::Class(None))
    );
    let each = r#"{"classes": [["cat", "dog"]], "number": 30, "composition": "each"}"#;
    let Ok(Condition::Each(parts)) = condition(each) else {
        panic!("three parts");
    };
    assert_eq!((parts.len(), parts[2].number), (3, Some(30.0)));
    let alone = r#"{"classes": ["dog"], "composition": "each"}"#;
    assert_eq!(condition(alone), one);
    let unknown = condition(r#"{"classes": [["dog", "cow"]]}"#).unwrap_err();
    assert!(unknown.contains("there is no class \"cow\""), "{unknown}");
    let two = condition(r#"{"classes": ["dog"], "number": [1, 2]}"#).unwrap_err();
    assert!(two.contains("2 numbers were given for 1 images"), "{two}");
    let mix = r#"{"classes": [{"cat": 0.5, "dog": 0.5}], "number": 3}"#;
    let mix = condition(mix).unwrap_err();
    assert!(mix.contains("does not go with a mix"), "{mix}");
    let negative = r#"{"classes": [0], "negative": "cat+dog"}"#;
    let negative = condition(negative).unwrap_err();
    assert!(negative.contains("one is wanted"), "{negative}");
}

#[test]
fn attributes_are_read_from_a_text() {
    let names = ["hat", "C++", "hat+C", "12"].into_iter().collect();
    let labels = |text: &str| {
        let condition = resolve_condition(&ClassName::of_text(text, &names), &names);
        condition.map(|c| c.labels().unwrap().labels)
    };
    assert_eq!(labels("hat + 12").unwrap(), [0, 3]);
    assert_eq!(labels("C++").unwrap(), [1]);
    assert_eq!(labels("12+C++").unwrap(), [1, 3]);
    assert_eq!(labels("hat+C+12").unwrap(), [2, 3]);
    assert_eq!(labels("1+0").unwrap(), [0, 1]);
    let unknown = labels("hat+dog").unwrap_err().to_string();
    assert!(unknown.contains("no class \"hat+dog\""), "{unknown}");
}

#[test]
fn a_negative_class_is_a_name_or_an_id() {
    let negative = |text: &str| {
        let json = format!(r#"{{"classes": [0], "negative": "{text}"}}"#);
        plan(&json).map(|plan| plan.negative)
    };
    assert_eq!(negative("dog"), Ok(Some(1)));
    assert_eq!(negative("0"), Ok(Some(0)));
    assert_eq!(negative("none"), Ok(None));
    let unknown = negative("cow").unwrap_err();
    assert!(unknown.contains("there is no class \"cow\""), "{unknown}");
}

#[test]
fn a_solver_brings_its_grid_unless_the_model_or_the_request_has_one() {
    let grid =
        |defaults: &SamplingDefaults, json: &str| plan_with(defaults, json).unwrap().grid.spacing;
    let plain = SamplingDefaults::default();
    let dpm = r#"{"classes": [0], "sampler": "dpm++2m"}"#;
    assert_eq!(grid(&plain, r#"{"classes": [0]}"#), Spacing::UniformU);
    assert_eq!(grid(&plain, dpm), Spacing::Karras);
    let own = SamplingDefaults {
        grid: Some(Grid::new(Spacing::UniformLambda)),
        ..SamplingDefaults::default()
    };
    assert_eq!(grid(&own, r#"{"classes": [0]}"#), Spacing::UniformLambda);
    assert_eq!(grid(&own, dpm), Spacing::Karras);
    let asked = r#"{"classes": [0], "sampler": "heun", "grid": {"spacing": "uniform-u"}}"#;
    assert_eq!(grid(&own, asked), Spacing::UniformU);
}

#[test]
fn cfg_plus_plus_has_a_strength_of_its_own() {
    let w = |json: &str| plan(json).unwrap().guidance;
    assert_eq!(w(r#"{"classes": [0]}"#), [2.0]);
    let json = r#"{"classes": [0], "guidance_policy": {"kind": "cfg++"}}"#;
    assert_eq!(w(json), [-0.4]);
}

#[test]
fn defaults_that_say_nothing_new_are_written_as_they_were() {
    let json = serde_json::to_string(&SamplingDefaults::default()).unwrap();
    assert_eq!(
        json,
        r#"{"sampler":"ddim","steps":32,"guidance":2.0,"clip":true,"variance_interpolation":0.3}"#
    );
}

#[test]
fn every_bad_request_says_what_would_do() {
    let error = |json: &str| plan(json).unwrap_err();
    assert_eq!(
        error(r#"{"classes": ["cow"]}"#),
        "there is no class \"cow\"; the classes are 0 cat, 1 dog"
    );
    assert!(error(r#"{"classes": [2]}"#).contains("no class 2"));
    assert!(error(r#"{"classes": []}"#).contains("one for each image"));
    assert!(error(r#"{"classes": [0], "steps": 0}"#).contains("steps is 0"));
    assert!(error(r#"{"classes": [0], "seed": 9007199254740992}"#).contains("9007199254740991"));
    assert!(
        error(r#"{"classes": [0, 1], "first_image": 9007199254740991}"#)
            .contains("first_image is 9007199254740991")
    );
    let toward = error(r#"{"classes": [0], "toward": {"seed": 1, "t": 2}}"#);
    assert!(toward.contains("t from 0 to 1"), "{toward}");
    assert!(error(r#"{"classes": [0], "guidance": 1e9}"#).contains("guidance is 1000000000"));
    assert!(error(r#"{"classes": [0], "guidance": [1, 2]}"#).contains("for 1 images"));
    assert!(error(r#"{"classes": [0], "variance_interpolation": 2}"#).contains("from 0 to 1"));
    assert!(error(r#"{"classes": [0], "sampler": "euler"}"#).contains("ancestral"));
    assert!(error(r#"{"classes": [0], "colour": 1}"#).contains("colour"));
}

#[test]
fn so_does_every_bad_grid_and_policy() {
    let error = |rest: &str| plan(&format!(r#"{{"classes": [0], {rest}}}"#)).unwrap_err();
    assert!(error(r#""grid": {"spacing": "linear"}"#).contains("karras"));
    assert!(error(r#""grid": {"rho": 0}"#).contains("grid.rho is 0.0"));
    let wide = error(r#""grid": {"log_snr": {"min": -30, "max": 3}}"#);
    assert!(wide.contains("within the model's own -20 to 20"), "{wide}");
    assert!(error(r#""grid": {"log_snr": {"min": 3, "max": 3}}"#).contains("min < max"));
    assert!(error(r#""tolerance": -1"#).contains("from 0 to 255"));
    assert!(error(r#""dynamic_threshold": 0"#).contains("above 0 and at most 1"));
    let unclipped = error(r#""dynamic_threshold": 0.99, "clip": false"#);
    assert!(
        unclipped.contains("does not go with clip false"),
        "{unclipped}"
    );
    assert!(error(r#""guidance_interval": {"min": 3, "max": -3}"#).contains("min < max"));
    let policy = |text: &str| error(&format!(r#""guidance_policy": {text}"#));
    assert!(policy(r#"{"kind": "magic"}"#).contains("cfg++"));
    assert!(policy(r#"{"kind": "cfg", "rescale": 2}"#).contains("rescale is 2.0"));
    assert!(policy(r#"{"kind": "cfg", "scale": 2}"#).contains("scale"));
    assert!(policy(r#"{"kind": "apg", "eta": -1}"#).contains("eta is -1.0"));
    assert!(policy(r#"{"kind": "apg", "momentum": 1}"#).contains("momentum is 1.0"));
    assert!(policy(r#"{"kind": "apg", "norm_threshold": 0}"#).contains("above 0"));
    let both = error(r#""guidance_policy": {"kind": "cfg++"}, "sampler": "heun""#);
    assert!(both.contains("does not go with sampler heun"), "{both}");
}
