//! The one description of what can be set when a model draws: names, ranges and words.
//!
//! The options of `freeguide sample`, the TypeScript types and tables of the package
//! (`runtime-web/js/src/settings-table.ts`), and so the page's addresses, its fields and its snippets, are all made from
//! [`SETTINGS`]. Tests hold it against [`Request`](super::Request) and [`ImageSettings`](super::ImageSettings), and send
//! every setting from a command through a PNG, the page, an address and a snippet back to a command.

mod table;

pub use table::{GROUPS, SETTINGS};

/// One value that can be set.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its place in a request: `steps`, or `grid.rho` for a field of `grid`.
    pub path: &'static str,
    /// What it may be.
    pub value: Value,
    /// Whether its group is not complete without it.
    pub required: bool,
    /// Its key in an address of the page.
    pub address: &'static str,
    /// The option of `freeguide sample`, without dashes. Settings with the same option are written
    /// together, separated by `separator`.
    pub option: &'static str,
    /// What separates two settings of one option.
    pub separator: Option<char>,
    /// How an option's value is called in its help.
    pub metavar: &'static str,
    /// Where it has an effect.
    pub applies: Applies,
    /// The page's label.
    pub label: &'static str,
    /// What it is, in a sentence or two, the same for the command's help and for JavaScript. An option
    /// of several settings has the help of their group.
    pub help: &'static str,
}

/// What a setting may be. Bounds are inclusive; what is finer is the request's to check.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// An integer.
    Integer {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A finite number.
    Number {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// λ in nats, of which only the model knows the range.
    LogSnr {
        /// What stands for no limit, where there may be none: beyond every model's λ.
        unlimited: Option<f64>,
    },
    /// Yes or no. Without the option `off`, the option says yes.
    Switch {
        /// The option of `freeguide sample` for no.
        off: &'static str,
    },
    /// One of some names.
    Name {
        /// The names.
        names: &'static [&'static str],
        /// The name of their TypeScript type.
        type_name: &'static str,
    },
    /// A class of the model, by name or id, where there may be none.
    Class,
}

/// Where a setting has an effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Applies {
    /// Everywhere.
    Always,
    /// With one guidance policy; a request that gives it to another is refused.
    Policy(&'static str),
    /// With one spacing of levels.
    Spacing(&'static str),
    /// In a run from a picture.
    Picture,
    /// With a model that takes a number.
    Number,
    /// With a model of attributes.
    Attributes,
    /// With some solvers.
    Samplers(&'static [&'static str]),
}

/// A field of a request that has fields of its own.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Its place in a request.
    pub path: &'static str,
    /// The name of its TypeScript type.
    pub type_name: &'static str,
    /// The field that JavaScript may give alone in the place of the group.
    pub shorthand: Option<&'static str>,
    /// What it is.
    pub help: &'static str,
}

impl Setting {
    /// The value that `text` says, as JSON.
    ///
    /// # Errors
    ///
    /// What is expected instead, in words. Ranges are the request's to check.
    pub fn parse(&self, text: &str) -> Result<serde_json::Value, String> {
        let text = text.trim();
        match self.value {
            Value::Integer { min, max } => match text.parse::<u64>() {
                Ok(value) => Ok(value.into()),
                Err(_) => Err(format!("an integer from {min} to {max} is expected")),
            },
            Value::Number { .. } | Value::LogSnr { .. } => match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(value.into()),
                _ => Err("a finite number is expected".to_owned()),
            },
            Value::Switch { .. } => match text {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => Err("true or false is expected".to_owned()),
            },
            Value::Class if text.is_empty() => {
                Err("the name or id of a class is expected".to_owned())
            }
            Value::Class => Ok(text.into()),
            Value::Name { names, .. } if names.contains(&text) => Ok(text.into()),
            Value::Name { names, .. } => Err(format!("the choices are {}", names.join(", "))),
        }
    }
}
