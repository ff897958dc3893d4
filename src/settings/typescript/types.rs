//! The types of options and of what a PNG carries.

use std::fmt::Write as _;

use super::super::description::{Applies, GROUPS, Group, SETTINGS, Setting, Value};
use super::{CLASSES, camel, comment, picture_name};

fn type_of(setting: &Setting) -> &'static str {
    match setting.value {
        Value::Integer { .. } | Value::Number { .. } | Value::LogSnr { .. } => "number",
        Value::Switch { .. } => "boolean",
        Value::Name { type_name, .. } => type_name,
        Value::Class => "string",
    }
}

/// The fields directly below `group` ("" for the request), as settings or groups.
pub(in crate::settings) fn fields(
    group: &str,
) -> Vec<(&'static str, Result<&'static Setting, &'static Group>)> {
    let mut found: Vec<(&str, _)> = Vec::new();
    for setting in &SETTINGS {
        let rest = match group {
            "" => Some(setting.path),
            group => setting
                .path
                .strip_prefix(group)
                .and_then(|rest| rest.strip_prefix('.')),
        };
        let Some(rest) = rest else { continue };
        let (name, inner) = rest
            .split_once('.')
            .map_or((rest, false), |(name, _)| (name, true));
        if found.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let len = setting.path.len() - rest.len() + name.len();
        let path = &setting.path[..len];
        let of_group = || GROUPS.iter().find(|g| g.path == path).unwrap();
        found.push((name, if inner { Err(of_group()) } else { Ok(setting) }));
    }
    found
}

/// The fields of a group as members of an object type.
fn members(
    group: &str,
    keep: impl Fn(&Setting) -> bool,
    rename: fn(&str) -> String,
    whole: bool,
) -> String {
    let mut out = String::new();
    for (name, field) in fields(group) {
        let (help, required, type_name) = match field {
            Ok(setting) if keep(setting) => {
                (setting.help, setting.required || whole, type_of(setting))
            }
            Ok(_) => continue,
            Err(inner) => (inner.help, false, inner.type_name),
        };
        let optional = if required { "" } else { "?" };
        let _ = writeln!(
            out,
            "{}  readonly {}{optional}: {type_name};",
            comment(help, "  "),
            rename(name)
        );
    }
    out
}

pub(super) fn group_type(group: &Group) -> String {
    let (help, name) = (comment(group.help, ""), group.type_name);
    let Some(shorthand) = group.shorthand else {
        let members = members(group.path, |_| true, camel, false);
        return format!("\n{help}export interface {name} {{\n{members}}}\n");
    };
    let path = format!("{}.{shorthand}", group.path);
    let alone = SETTINGS.iter().find(|s| s.path == path).unwrap();
    let Value::Name { names, type_name } = alone.value else {
        panic!("the shorthand of {name} is no name");
    };
    // One object for each kind where fields belong to kinds.
    let by_kind = SETTINGS
        .iter()
        .any(|s| matches!(s.applies, Applies::Policy(_)) && s.path.starts_with(group.path));
    let mut out = format!("\n{help}export type {name} =\n  | {type_name}\n");
    if !by_kind {
        let members = members(group.path, |_| true, camel, false);
        let _ = write!(out, "  | {{\n{}    }};\n", indented(&members));
        return out;
    }
    for (at, kind) in names.iter().enumerate() {
        let of_kind = |s: &Setting| s.applies == Applies::Policy(kind);
        let own = members(group.path, of_kind, camel, false);
        let optional = if own.is_empty() { "" } else { "?" };
        let end = if at + 1 == names.len() { ";" } else { "" };
        let kind = format!("  readonly {}{optional}: \"{kind}\";\n", camel(shorthand));
        let _ = write!(out, "  | {{\n{}    }}{end}\n", indented(&(kind + &own)));
    }
    out
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

pub(super) fn draw_options() -> String {
    let mut out = String::from(
        "\n/** What to draw. Everything but `classes` may be left out and then comes from the bundle's `config.sampling`. */\nexport interface DrawOptions {\n",
    );
    let _ = writeln!(
        out,
        "{}  classes: readonly ClassChoice[];",
        comment(CLASSES, "  ")
    );
    for (name, field) in fields("") {
        let (help, type_name) = match field {
            Ok(setting) => (setting.help, type_of(setting)),
            Err(group) => (group.help, group.type_name),
        };
        let (help, type_name) = match name {
            // What each image may have for itself.
            "guidance" | "number" => (
                format!("{help} One for all images, or one for each."),
                "number | readonly number[]",
            ),
            _ => (help.to_owned(), type_name),
        };
        let _ = writeln!(
            out,
            "{}  {}?: {type_name};",
            comment(&help, "  "),
            camel(name)
        );
    }
    out + "}\n"
}

/// Settings that a PNG has only where they have an effect.
const SAID_WHERE_SO: [&str; 4] = ["tileable", "symmetry", "tolerance", "dynamic_threshold"];

/// The same settings of one image, complete, under the names that a PNG has them by.
pub(super) fn picture_settings() -> String {
    let mut out = String::from(
        "\n/** What a picture was drawn with, as its PNG carries it; enough to draw it again. */\nexport interface PictureSettings {\n  /** Name of the model. */\n  model: string;\n  /** Class name or id; null is the unconditional model; a list has several attributes; a mix has the weights of its classes. */\n  class: ClassChoice;\n  /** Name of the model that guided, where it was another. */\n  guide?: string;\n  /** The classifier that guided, and its strength; only natively. */\n  classifier?: { readonly name: string; readonly strength: number };\n",
    );
    for (name, field) in fields("") {
        match field {
            Ok(setting) => {
                let help = comment(setting.help, "  ");
                let optional = match (setting.value, setting.applies) {
                    (Value::Class, _)
                    | (_, Applies::Picture | Applies::Number | Applies::Attributes) => "?",
                    _ if SAID_WHERE_SO.contains(&setting.path) => "?",
                    _ => "",
                };
                let _ = writeln!(
                    out,
                    "{help}  {}{optional}: {};",
                    picture_name(name),
                    type_of(setting)
                );
            }
            Err(group) => {
                let _ = writeln!(
                    out,
                    "{}  {name}?: {};",
                    comment(group.help, "  "),
                    picture_group(group)
                );
            }
        }
    }
    out + "  /** The program that drew it, for instance `freeguide 0.1.0`. */\n  freeguide: string;\n}\n"
}

fn picture_group(group: &Group) -> String {
    let members = fields(group.path)
        .into_iter()
        .map(|(name, field)| match field {
            Ok(setting) => {
                let whole =
                    setting.required || group.path == "toward" || group.shorthand == Some(name);
                format!(
                    "readonly {name}{}: {}",
                    if whole { "" } else { "?" },
                    type_of(setting)
                )
            }
            Err(inner) => format!("readonly {name}?: {}", inner.type_name),
        });
    format!("{{ {} }}", members.collect::<Vec<_>>().join("; "))
}
