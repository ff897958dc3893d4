//! The text of a recipe: errors of the TOML parser in one line, and `--set section.key=value`.

use anyhow::{Result, anyhow};

use freeguide_native::spelling::nearest;
use freeguide_native::usage::Usage;

/// An error of the TOML parser in one line: where, what and, for an unknown key, a suggestion.
pub(crate) fn explain(error: &toml::de::Error, text: &str) -> anyhow::Error {
    let message = error.message().trim().replace('\n', ", ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let meant = match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(typed)) => nearest(typed, quoted).map(|key| (typed, key)),
        _ => None,
    };
    let what = match meant {
        Some((typed, key)) => anyhow!("unknown field `{typed}`; did you mean `{key}`?"),
        None => anyhow!("{message}"),
    };
    match error.span() {
        Some(span) => {
            let before = text.as_bytes().iter().take(span.start);
            what.context(format!(
                "line {}",
                1 + before.filter(|&&byte| byte == b'\n').count()
            ))
        }
        None => what,
    }
}

/// Applies `section.key=value`. The value is TOML or, if it does not parse, a string.
pub(crate) fn assign(table: &mut toml::Table, assignment: &str) -> Result<()> {
    let Some((path, value)) = assignment.split_once('=') else {
        return Err(Usage(format!(
            "--set {assignment}: expected section.key=value, such as train.batch=64"
        ))
        .into());
    };
    let value = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut t| t.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut at = table;
    for key in keys {
        at = match at
            .entry(key)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
        {
            toml::Value::Table(table) => table,
            _ => {
                return Err(Usage(format!(
                    "--set {assignment}: {key} is a value, not a section"
                ))
                .into());
            }
        };
    }
    at.insert(last.to_owned(), value);
    Ok(())
}
