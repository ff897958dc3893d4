//! Writes the description of the settings down for TypeScript, and cases that send every setting round; and holds the
//! description against what is read and written in Rust.

mod types;

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::description::{Applies, GROUPS, Group, SETTINGS, Setting, Value};
use crate::sampler::Solver;
pub(super) use types::fields;
use types::{draw_options, group_type, picture_settings};

const HEAD: &str = "\
// Written from src/settings/description/table.rs by
//   FREEGUIDE_UPDATE=1 cargo test --release --lib settings
// A test fails where this file is out of date.

";

const RANGE: &str = "A range of λ = log(α²/σ²), in nats.";

const CLASSES: &str = "One class for each image: an id, a name, `null` for the unconditional model, several attributes such as `[\"smiling\", \"hat\"]`, or a mix such as `{ cat: 0.7, dog: 0.3 }`.";

const CLASS_TYPES: &str = "\
/**
 * Classes, by name or id, and their weights, which are from 0 to 1 and add up to 1: each step takes the weighted mean of their
 * estimates, for one row of the network a class.
 */
export interface ClassMix {
  readonly [name: string]: number;
}

/** Several attributes that hold together, by name or id, of a model whose `network.conditions` is `\"attributes\"`. */
export type Attributes = readonly (number | string)[];

/** A class: its id, its name, `null` for the unconditional model, several attributes, or a mix of classes. */
export type ClassChoice = number | string | null | Attributes | ClassMix;
";

/// Compares a file of the repository with what it should hold, or writes it where `FREEGUIDE_UPDATE` is set.
pub(super) fn up_to_date(path: &str, expected: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("FREEGUIDE_UPDATE").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found.replace("\r\n", "\n") == expected,
        "{} is out of date: FREEGUIDE_UPDATE=1 cargo test --release --lib settings",
        path.display()
    );
}

#[test]
fn the_typescript_is_up_to_date() {
    let mut out = HEAD.to_owned();
    out += CLASS_TYPES;
    for setting in &SETTINGS {
        if let Value::Name { names, type_name } = setting.value {
            let union: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
            let (help, union) = (setting.help, union.join(" | "));
            let _ = write!(
                out,
                "\n{}export type {type_name} = {union};\n",
                comment(help, "")
            );
        }
    }
    // Inner groups first; each type once.
    let mut written = Vec::new();
    for group in GROUPS.iter().rev() {
        if !written.contains(&group.type_name) {
            written.push(group.type_name);
            let shared = GROUPS
                .iter()
                .filter(|g| g.type_name == group.type_name)
                .count()
                > 1;
            let help = if shared { RANGE } else { group.help };
            out += &group_type(&Group { help, ..*group });
        }
    }
    out += &draw_options();
    out += &picture_settings();
    out += TABLE_TYPE;
    out += "export const SETTINGS: readonly Setting[] = [\n";
    for setting in &SETTINGS {
        let _ = writeln!(out, "  {},", table_row(setting));
    }
    out += "];\n";
    out += "\n/** How the levels are spaced that each solver has by itself. */\nexport const SPACING_OF: Readonly<Record<Sampler, Spacing>> = {\n";
    for solver in Solver::ALL {
        let _ = writeln!(
            out,
            "  \"{}\": \"{}\",",
            solver.name(),
            solver.grid().spacing.name()
        );
    }
    out += "};\n";
    out += GROUPS_TYPE;
    out += "export const GROUPS: Readonly<Record<string, Group>> = {\n";
    for group in &GROUPS {
        let field = literal(&group.path.split('.').collect::<Vec<_>>().into());
        let row = format!(
            "{{ field: {field}, shorthand: {} }}",
            literal(&group.shorthand.map(camel).into())
        );
        let _ = writeln!(out, "  \"{}\": {row},", camel(group.path));
    }
    out += "};\n";
    up_to_date("runtime-web/js/src/settings-table.ts", &out);
}

const TABLE_TYPE: &str = "
/** How one setting is called everywhere, and what it may be. */
export interface Setting {
  /** Its place in `DrawOptions`. */
  readonly path: readonly string[];
  /** Its place in a request to the runtime. */
  readonly field: readonly string[];
  /** Its place in `PictureSettings`. */
  readonly picture: readonly string[];
  readonly kind: \"integer\" | \"number\" | \"log-snr\" | \"switch\" | \"name\" | \"class\";
  /** Bounds of a number, inclusive. */
  readonly min?: number;
  readonly max?: number;
  /** λ that stands for no limit. */
  readonly unlimited?: number;
  /** What a name may be. */
  readonly names?: readonly string[];
  /** Whether its group is not complete without it. */
  readonly required: boolean;
  /** Its key in an address of the page. */
  readonly address: string;
  /** The option of `freeguide sample`, without dashes; a switch has `off` for no. */
  readonly option: string;
  readonly off?: string;
  /** What separates it from another setting of the same option. */
  readonly separator?: string;
  /** Where it has an effect; everywhere if left out. */
  readonly applies?: { readonly path: readonly string[]; readonly values: readonly string[] };
  /** Whether it has an effect only in a run from a picture. */
  readonly ofPicture?: boolean;
  /** Whether it has an effect only with a model that takes a number. */
  readonly ofNumber?: boolean;
  /** Whether it has an effect only with a model of attributes. */
  readonly ofAttributes?: boolean;
  /** For people. */
  readonly label: string;
  readonly help: string;
}

/** Every setting but the classes. */
";

const GROUPS_TYPE: &str = "
/** An option that has fields of its own. */
export interface Group {
  /** Its place in a request to the runtime. */
  readonly field: readonly string[];
  /** The field that may be given alone in its place. */
  readonly shorthand: string | null;
}

/** The options that have fields of their own, by their place in `DrawOptions`. */
";

/// `guidance_policy.norm_threshold` as `guidancePolicy.normThreshold`.
pub(super) fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1);
        name + &initial.to_uppercase() + rest
    })
}

/// A documentation comment, in lines of a readable length.
fn comment(text: &str, indent: &str) -> String {
    if text.len() <= 100 {
        return format!("{indent}/** {text} */\n");
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if line.chars().count() + word.chars().count() >= 110 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    let body: String = lines
        .iter()
        .map(|line| format!("{indent} * {line}\n"))
        .collect();
    format!("{indent}/**\n{body}{indent} */\n")
}

/// How a PNG, which is of one image, calls a field of a request.
pub(super) fn picture_name(field: &str) -> &str {
    match field {
        "first_image" => "image",
        other => other,
    }
}

fn table_row(setting: &Setting) -> String {
    let field: Vec<_> = setting.path.split('.').collect();
    let path: Vec<_> = field.iter().map(|name| camel(name)).collect();
    let picture: Vec<_> = field.iter().map(|name| picture_name(name)).collect();
    let mut row = Vec::new();
    let mut put = |name: &str, value: Json| row.push(format!("{name}: {}", literal(&value)));
    put("path", path.into());
    put("field", field.into());
    put("picture", picture.into());
    match setting.value {
        Value::Integer { min, max } => {
            put("kind", "integer".into());
            put("min", min.into());
            put("max", max.into());
        }
        Value::Number { min, max } => {
            put("kind", "number".into());
            put("min", short(min));
            if max < f64::MAX {
                put("max", short(max));
            }
        }
        Value::LogSnr { unlimited } => {
            put("kind", "log-snr".into());
            if let Some(unlimited) = unlimited {
                put("unlimited", short(unlimited));
            }
        }
        Value::Switch { off } => {
            put("kind", "switch".into());
            put("off", off.into());
        }
        Value::Name { names, .. } => {
            put("kind", "name".into());
            put("names", names.into());
        }
        Value::Class => put("kind", "class".into()),
    }
    put("required", setting.required.into());
    put("address", setting.address.into());
    put("option", setting.option.into());
    if let Some(separator) = setting.separator {
        put("separator", separator.to_string().into());
    }
    let applies = match setting.applies {
        Applies::Always | Applies::Picture | Applies::Number | Applies::Attributes => None,
        Applies::Policy(kind) => Some((&["guidancePolicy", "kind"][..], vec![kind])),
        Applies::Spacing(name) => Some((&["grid", "spacing"][..], vec![name])),
        Applies::Samplers(names) => Some((&["sampler"][..], names.to_vec())),
    };
    match setting.applies {
        Applies::Picture => put("ofPicture", true.into()),
        Applies::Number => put("ofNumber", true.into()),
        Applies::Attributes => put("ofAttributes", true.into()),
        _ => {}
    }
    if let Some((path, values)) = applies {
        put("applies", json!({ "path": path, "values": values }));
    }
    put("label", setting.label.into());
    put("help", setting.help.into());
    format!("{{ {} }}", row.join(", "))
}

/// A value as JSON whose keys are in order, whatever serde_json's features are.
pub(super) fn literal(value: &Json) -> String {
    match value {
        Json::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|&(name, _)| name);
            let fields = fields
                .into_iter()
                .map(|(name, value)| format!("\"{name}\": {}", literal(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Json::Array(values) => format!(
            "[{}]",
            values.iter().map(literal).collect::<Vec<_>>().join(", ")
        ),
        plain => plain.to_string(),
    }
}

/// A number as JavaScript writes it: 1, not 1.0.
fn short(value: f64) -> Json {
    match value as i64 {
        whole if whole as f64 == value => whole.into(),
        _ => value.into(),
    }
}
