//! Argument errors in one line.

use clap::CommandFactory;
use freeguide_native::usage::Usage;

use crate::arguments::Arguments;

/// Shortens an error of the argument parser to one line, because scripts and logs read lines. `arguments` are those of
/// the process, without its name.
pub fn one_line(error: &clap::Error, arguments: impl IntoIterator<Item = String>) -> Usage {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // The rest is the same in every message of a command.
    let end = ["\nUsage:", "\nFor more information"]
        .iter()
        .filter_map(|part| text.find(part))
        .min();
    let mut line = String::new();
    for part in text[..end.unwrap_or(text.len())].lines().map(str::trim) {
        let separator = match (line.as_str(), part) {
            (_, "") => continue,
            ("", _) => "",
            (so_far, _) if so_far.ends_with(':') => " ",
            (_, part) if part.starts_with('[') => " ",
            (_, part) if part.starts_with("tip:") => "; ",
            _ => ", ",
        };
        line.push_str(separator);
        line.push_str(part);
    }
    let command = Arguments::command();
    let asked = arguments.into_iter().next().unwrap_or_default();
    let asked = command.find_subcommand(&asked).map(clap::Command::get_name);
    let asked = asked.map_or_else(String::new, |name| format!(" {name}"));
    Usage(format!("{line} (see freeguide{asked} --help)"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn said(typed: &str) -> String {
        let typed: Vec<_> = typed.split(' ').map(str::to_owned).collect();
        let program = std::iter::once("freeguide".to_owned());
        let error = Arguments::try_parse_from(program.chain(typed.iter().cloned())).unwrap_err();
        one_line(&error, typed).to_string()
    }

    #[test]
    fn each_message_is_one_line() {
        assert_eq!(
            said("sample --steps 4"),
            "the following required arguments were not provided: --model <DIR>, --out <PATH> \
             (see freeguide sample --help)"
        );
        assert_eq!(
            said("sample --modle m --out x"),
            "unexpected argument '--modle' found; tip: a similar argument exists: '--model' \
             (see freeguide sample --help)"
        );
        assert_eq!(
            said("export --format pdf"),
            "invalid value 'pdf' for '--format <FORMAT>' \
             [possible values: bundle, onnx, safetensors, diffusers] \
             (see freeguide export --help)"
        );
        assert_eq!(
            said("sampel"),
            "unrecognized subcommand 'sampel'; tip: a similar subcommand exists: 'sample' \
             (see freeguide --help)"
        );
    }
}
