//! The options of `sample` that say how images are drawn: one for each of the library's settings.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use freeguide::settings::description::{GROUPS, SETTINGS, Setting, Value};
use freeguide::settings::{ClassName, Request};
use serde_json::{Map, Value as Json};

/// Everything of a request but its classes, as JSON.
#[derive(Debug, Clone, Default)]
pub struct Drawing(Map<String, Json>);

impl Drawing {
    /// The request for images of these classes. What was not given is left to the model.
    ///
    /// # Errors
    ///
    /// Where the description of a setting and the request do not agree.
    pub fn request(&self, classes: Vec<ClassName>) -> serde_json::Result<Request> {
        let mut fields = self.0.clone();
        fields.insert("classes".to_owned(), serde_json::to_value(classes)?);
        serde_json::from_value(fields.into())
    }

    fn put(&mut self, path: &str, value: Json) {
        match path.split_once('.') {
            None => {
                self.0.insert(path.to_owned(), value);
            }
            Some((group, rest)) => {
                let mut inner = match self.0.remove(group) {
                    Some(Json::Object(fields)) => Self(fields),
                    _ => Self::default(),
                };
                inner.put(rest, value);
                self.0.insert(group.to_owned(), inner.0.into());
            }
        }
    }
}

/// The settings by option: several share one where they are written together.
fn by_option() -> impl Iterator<Item = &'static [Setting]> {
    SETTINGS.chunk_by(|a, b| a.option == b.option)
}

/// What the settings of one option are given as, in a text.
fn parse(settings: &[Setting], text: &str) -> Result<Vec<Json>, String> {
    let [first, ..] = settings else {
        return Ok(Vec::new());
    };
    let parts: Vec<_> = match first.separator {
        Some(separator) => text.split(separator).collect(),
        None => vec![text],
    };
    let required = settings.iter().filter(|setting| setting.required).count();
    if !(required..=settings.len()).contains(&parts.len()) {
        return Err(format!("{} is expected", first.metavar));
    }
    let values = settings.iter().zip(parts);
    values.map(|(setting, text)| setting.parse(text)).collect()
}

fn add(command: Command, settings: &'static [Setting]) -> Command {
    let [first, ..] = settings else {
        return command;
    };
    let group = first.path.rsplit_once('.').map(|(group, _)| group);
    let of_group = GROUPS.iter().find(|known| Some(known.path) == group);
    let help = match of_group {
        Some(group) if settings.len() > 1 => group.help,
        _ => first.help,
    };
    let option = Arg::new(first.option).long(first.option).help(help);
    if let Value::Switch { off } = first.value {
        let opposite = Arg::new(off)
            .long(off)
            .help(format!("The opposite of --{}.", first.option));
        return command
            .arg(option.action(ArgAction::SetTrue).conflicts_with(off))
            .arg(opposite.action(ArgAction::SetTrue));
    }
    command.arg(
        option
            .value_name(first.metavar)
            .allow_hyphen_values(matches!(first.value, Value::LogSnr { .. }))
            .allow_negative_numbers(matches!(first.value, Value::Number { min, .. } if min < 0.0))
            .value_parser(move |text: &str| parse(settings, text)),
    )
}

impl Args for Drawing {
    fn augment_args(command: Command) -> Command {
        by_option().fold(command, add)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Drawing {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut drawing = Self::default();
        drawing.update_from_arg_matches(matches)?;
        Ok(drawing)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        let internal = |e| clap::Error::raw(ErrorKind::Io, e);
        for settings in by_option() {
            let [first, ..] = settings else { continue };
            if let Value::Switch { off } = first.value {
                for (option, value) in [(first.option, true), (off, false)] {
                    if matches.try_get_one(option).map_err(internal)? == Some(&true) {
                        self.put(first.path, value.into());
                    }
                }
            } else if let Some(values) = matches
                .try_get_one::<Vec<Json>>(first.option)
                .map_err(internal)?
            {
                for (setting, value) in settings.iter().zip(values) {
                    self.put(setting.path, value.clone());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use freeguide::noise_level::LogSnrRange;
    use freeguide::settings::{ImageSettings, SamplingDefaults};

    use super::*;

    fn drawing(arguments: impl IntoIterator<Item = String>) -> Result<Drawing, clap::Error> {
        let command = Drawing::augment_args(Command::new("sample"));
        let arguments = ["sample".to_owned()].into_iter().chain(arguments);
        Drawing::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    /// The cases are written by the tests of the library's settings, and the package's and the page's tests bring every
    /// picture through an address and a snippet to these same arguments.
    #[test]
    fn every_setting_goes_from_a_command_into_the_picture_that_the_command_was_made_from() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/settings.json"
        );
        let all: Json = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let names = ["cat", "dog"].into_iter().collect();
        let cases = all["cases"].as_array().unwrap();
        assert!(cases.len() > SETTINGS.len());
        for case in cases {
            let bundle = &all["bundles"][case["bundle"].as_str().unwrap()];
            let defaults: SamplingDefaults = serde_json::from_value(bundle.clone()).unwrap();
            let picture: ImageSettings = serde_json::from_value(case["picture"].clone()).unwrap();
            let arguments = case["arguments"].as_array().unwrap();
            let arguments = arguments
                .iter()
                .map(|text| text.as_str().unwrap().to_owned());
            let drawing = drawing(arguments).unwrap_or_else(|e| panic!("{case}: {e}"));
            let class = ClassName::of_text(case["class"].as_str().unwrap(), &names);
            let request = drawing.request(vec![class]).unwrap();
            let plan = request.plan(&names, &defaults, LogSnrRange::PAPER).unwrap();
            assert_eq!(ImageSettings::of_plan(&plan, "pets", &names), [picture]);
        }
    }

    #[test]
    fn what_is_no_value_of_an_option_is_refused_with_what_is() {
        let error = |words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned());
            drawing(words).unwrap_err().to_string()
        };
        assert!(error(&["--guidance-interval", "-3"]).contains("MIN,MAX is expected"));
        assert!(error(&["--guidance-interval", "1,2,3"]).contains("MIN,MAX is expected"));
        assert!(error(&["--grid-range", "-3,far"]).contains("a finite number is expected"));
        assert!(error(&["--toward", "8:"]).contains("a finite number is expected"));
        assert!(error(&["--sampler", "euler"]).contains("ddim, ancestral, dpm++2m, heun"));
        assert!(error(&["--steps", "1.5"]).contains("an integer from 1 to 10000"));
        assert!(error(&["--clip", "--no-clip"]).contains("cannot be used with"));
    }
}
