//! Holds the description against what is read and written, and writes a case for every setting that the tests of the
//! command, of the package and of the page send round: command → PNG → page → address → snippet → command.

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor, value::Error};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value as Json, json};

use super::description::{Applies, GROUPS, SETTINGS, Setting, Value};
use super::typescript::{fields, literal, picture_name, up_to_date};
use super::{ClassMix, ClassName, ImageSettings, Label, Request, SamplingDefaults};
use crate::guidance::{Policy, PolicyFields};
use crate::noise_level::LogSnrRange;
use crate::sampler::{GridFields, SeedInterpolation, Solver};

/// The fields that serde reads a structure from.
fn fields_of<T: DeserializeOwned>() -> Vec<String> {
    struct Names<'a>(&'a mut Vec<String>);
    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = Error;
        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("not a structure"))
        }
        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            self.0.extend(fields.iter().map(|&name| name.to_owned()));
            Err(Error::custom("the names are all that is wanted"))
        }
        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut names = Vec::new();
    let _ = T::deserialize(Names(&mut names));
    names.sort();
    names
}

#[test]
fn the_description_has_every_field_that_is_read_or_written() {
    let described = |group: &str, more: &[&str]| {
        let of_group = fields(group).into_iter().map(|(name, _)| name);
        let mut names: Vec<_> = of_group
            .chain(more.iter().copied())
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        fields_of::<Request>(),
        described("", &["classes", "source"])
    );
    let of_group = |path: &str| match path {
        "guidance_policy" => fields_of::<PolicyFields>(),
        "guidance_interval" | "grid.log_snr" => fields_of::<LogSnrRange>(),
        "grid" => fields_of::<GridFields>(),
        "toward" => fields_of::<SeedInterpolation>(),
        other => panic!("{other} is read by a structure that this test does not know"),
    };
    for group in &GROUPS {
        assert_eq!(
            of_group(group.path),
            described(group.path, &[]),
            "{}",
            group.path
        );
    }
    let mut of_image = described("", &["model", "class", "guide", "classifier", "freeguide"]);
    for name in &mut of_image {
        *name = picture_name(name).to_owned();
    }
    of_image.sort();
    assert_eq!(fields_of::<ImageSettings>(), of_image);
}

#[test]
fn no_name_stands_for_two_settings() {
    let taken_by_the_page = ["model", "device", "class", "n", "view", "guide"];
    for (at, setting) in SETTINGS.iter().enumerate() {
        for other in &SETTINGS[..at] {
            assert_ne!(setting.path, other.path);
            assert_ne!(setting.address, other.address);
            assert_eq!(
                setting.option == other.option,
                setting.separator.is_some() && {
                    at > 0
                        && SETTINGS[at - 1].option == setting.option
                        && other.path == SETTINGS[at - 1].path
                }
            );
        }
        assert!(
            !taken_by_the_page.contains(&setting.address),
            "{}",
            setting.address
        );
        assert!(
            !setting.label.is_empty() && !setting.help.is_empty(),
            "{}",
            setting.path
        );
    }
}

/// Values of a setting that are worth sending round.
fn examples(setting: &Setting) -> Vec<Json> {
    match setting.value {
        // The greatest too: it is the first that a float would round.
        Value::Integer { min, max } => vec![(min + 7).into(), max.into()],
        Value::Number { min, max } if max - min <= 2.0 => vec![(min + 0.375 * (max - min)).into()],
        Value::Number { min, .. } => vec![(min.max(1.0) + 0.5).into()],
        Value::LogSnr { .. } if setting.path.ends_with("min") => vec![(-3.5).into()],
        Value::LogSnr { .. } => vec![4.25.into()],
        Value::Switch { .. } => vec![true.into(), false.into()],
        Value::Class => vec!["dog".into()],
        Value::Name { names, .. } => names.iter().map(|&name| name.into()).collect(),
    }
}

fn named(path: &str) -> &'static Setting {
    SETTINGS
        .iter()
        .find(|setting| setting.path == path)
        .unwrap()
}

fn put(request: &mut Json, path: &str, value: Json) {
    let place = path.split('.').fold(request, |at, name| {
        if at.is_null() {
            *at = Json::Object(Map::new());
        }
        &mut at[name]
    });
    *place = value;
}

/// Puts a value into a request, and beside it what it needs there.
fn put_with_company(request: &mut Json, setting: &Setting, value: Json) {
    match setting.applies {
        // Of second order, the sampler of one of the bundles, nothing is resampled.
        Applies::Picture if setting.path == "resampling" => put(request, "sampler", "ddim".into()),
        Applies::Always | Applies::Picture | Applies::Number | Applies::Attributes => {}
        Applies::Policy(kind) => put(request, "guidance_policy.kind", kind.into()),
        Applies::Spacing(name) => put(request, "grid.spacing", name.into()),
        Applies::Samplers(names) => put(request, "sampler", names[0].into()),
    }
    put(request, setting.path, value);
    let group = setting.path.rsplit_once('.').map(|(group, _)| group);
    for other in SETTINGS.iter().filter(|other| other.required) {
        let same_group = other.path.rsplit_once('.').map(|(group, _)| group) == group;
        if same_group
            && group.is_some()
            && request
                .pointer(&pointer(other.path))
                .is_none_or(Json::is_null)
        {
            put(request, other.path, examples(other)[0].clone());
        }
    }
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

fn requests() -> Vec<Json> {
    let plain = json!({ "classes": ["cat"] });
    let mixed = json!({ "classes": [{ "cat": 0.625, "dog": 0.375 }] });
    let several = json!({ "classes": [["dog", "cat"]] });
    let each = json!({ "classes": [["cat", "dog"]], "number": 30.5, "composition": "each" });
    let mut all = vec![plain.clone(), mixed, several, each];
    for setting in &SETTINGS {
        for value in examples(setting) {
            let mut request = plain.clone();
            put_with_company(&mut request, setting, value);
            all.push(request);
        }
    }
    // Everything at once, for each policy.
    let Value::Name {
        names: policies, ..
    } = named("guidance_policy.kind").value
    else {
        panic!("the policy is no name");
    };
    for &policy in policies {
        let mut request = json!({ "classes": [null] });
        for setting in &SETTINGS {
            // Resampling does not go with dpm++2m.
            if setting.path == "resampling" {
                continue;
            }
            match setting.applies {
                Applies::Policy(kind) if kind != policy => continue,
                _ => put_with_company(&mut request, setting, examples(setting)[0].clone()),
            }
        }
        put(&mut request, "guidance_policy.kind", policy.into());
        put(&mut request, "grid.spacing", "karras".into());
        put(&mut request, "sampler", "dpm++2m".into());
        all.push(request);
    }
    all
}

/// Two models: one that leaves everything to the defaults, and one that has settings of its own.
fn bundles() -> [(&'static str, SamplingDefaults); 2] {
    let own = json!({
        "sampler": "dpm++2m",
        "steps": 12,
        "guidance": 3.0,
        "clip": false,
        "variance_interpolation": 0.2,
        "grid": { "spacing": "uniform-lambda", "lower_order_last": false },
        "guidance_policy": { "kind": "apg", "eta": 0.25, "momentum": -0.25, "norm_threshold": 8.0 },
        "guidance_interval": { "min": -5.0, "max": 6.0 },
    });
    [
        ("plain", SamplingDefaults::default()),
        ("own", serde_json::from_value(own).unwrap()),
    ]
}

/// What a command says to draw a picture again, with a model of these defaults. Where a picture says nothing, it was
/// drawn as a model without settings of its own is, which the command has to say to another.
fn arguments(picture: &Json, defaults: &SamplingDefaults) -> Vec<String> {
    let mut picture = picture.clone();
    if defaults.guidance_policy != Policy::default() && picture["guidance_policy"].is_null() {
        put(&mut picture, "guidance_policy.kind", "cfg".into());
    }
    let sampler: Solver = serde_json::from_value(picture["sampler"].clone()).unwrap();
    if defaults.grid.is_some() && sampler == defaults.sampler && picture["grid"].is_null() {
        put(
            &mut picture,
            "grid.spacing",
            sampler.grid().spacing.name().into(),
        );
    }
    let mut out: Vec<String> = Vec::new();
    for setting in &SETTINGS {
        let path: Vec<_> = setting.path.split('.').map(picture_name).collect();
        let Some(value) = picture.pointer(&pointer(&path.join("."))) else {
            continue;
        };
        let text = match value {
            Json::Number(number) if number.is_f64() => number.as_f64().unwrap().to_string(),
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        match (setting.value, setting.separator) {
            (Value::Switch { off }, _) => {
                out.push(format!(
                    "--{}",
                    if text == "true" { setting.option } else { off }
                ));
            }
            (_, Some(separator))
                if out.iter().rev().nth(1) == Some(&format!("--{}", setting.option)) =>
            {
                let joined = out.last_mut().unwrap();
                joined.push(separator);
                joined.push_str(&text);
            }
            _ => out.extend([format!("--{}", setting.option), text]),
        }
    }
    out
}

/// The class as `--class` and an address take it.
fn class_text(class: &ClassName) -> String {
    match class {
        ClassName::Unconditional => "none".to_owned(),
        ClassName::Name(name) => name.clone(),
        ClassName::Mix(ClassMix(parts)) => {
            let parts = parts
                .iter()
                .map(|(name, weight)| format!("{name}:{weight}"));
            parts.collect::<Vec<_>>().join(",")
        }
        ClassName::Several(labels) => {
            let names = labels.iter().map(|label| match label {
                Label::Name(name) => name.as_str(),
                Label::Id(_) => panic!("a picture names its attributes"),
            });
            names.collect::<Vec<_>>().join("+")
        }
        ClassName::Id(_) => panic!("a picture names its class"),
    }
}

#[test]
fn the_cases_of_the_round_trip_are_up_to_date() {
    let names = ["cat", "dog"].into_iter().collect();
    let mut cases = Vec::new();
    for (bundle, defaults) in bundles() {
        for json in requests() {
            let request: Request =
                serde_json::from_value(json.clone()).unwrap_or_else(|e| panic!("{json}: {e}"));
            let plan = request
                .plan(&names, &defaults, LogSnrRange::PAPER)
                .unwrap_or_else(|e| panic!("{json}: {e}"));
            let [picture] = &ImageSettings::of_plan(&plan, "pets", &names)[..] else {
                panic!("one class is one image")
            };
            let class = class_text(&picture.class);
            let picture = serde_json::to_value(picture).unwrap();
            let read: ImageSettings = serde_json::from_value(picture.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), picture);
            let arguments = arguments(&picture, &defaults);
            cases.push(
                json!({ "bundle": bundle, "request": json, "class": class, "picture": picture, "arguments": arguments }),
            );
        }
    }
    let bundles: Map<_, _> = bundles()
        .into_iter()
        .map(|(name, defaults)| (name.to_owned(), serde_json::to_value(defaults).unwrap()))
        .collect();
    let mut out = format!(
        "{{\"bundles\": {},\n\"cases\": [\n",
        literal(&Json::Object(bundles))
    );
    let lines: Vec<_> = cases.iter().map(literal).collect();
    out += &lines.join(",\n");
    out += "\n]}\n";
    up_to_date("tests/fixtures/settings.json", &out);
}
