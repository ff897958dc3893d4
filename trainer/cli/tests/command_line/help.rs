//! What the command says of itself.

use crate::process::*;

#[test]
fn every_command_explains_itself() {
    let commands = [
        "plan", "train", "distill", "sample", "export", "inspect", "devices", "serve",
    ];
    let help = run(&["--help"]).ok();
    for name in commands {
        assert!(help.out.contains(&format!("\n  {name} ")), "{}", help.out);
        let own = run(&[name, "--help"]).ok();
        assert!(
            own.out.contains(&format!("Usage: freeguide {name}")),
            "{}",
            own.out
        );
        assert_eq!(run(&["help", name]).ok().out, own.out);
        // Every option is followed by words, on its line or on the next.
        let lines: Vec<_> = own.out.lines().collect();
        for (i, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, l)| l.starts_with("      --"))
        {
            let words = line.split("  ").skip(1).chain(lines.get(i + 1).copied());
            assert!(
                words.collect::<String>().split_whitespace().count() > 2,
                "{name}: {line}"
            );
        }
    }
    for word in ["Exit codes", "--recipe", "1 + w"] {
        assert!(help.out.contains(word), "{word}");
    }
    assert!(run(&["--version"]).ok().out.starts_with("freeguide "));
    let nothing = run(&[]);
    assert!(nothing.code == Some(2) && nothing.err.contains("Usage"));
    run(&["paint"]).refused(2, &["paint"]);
}

/// Bad usage is one line, whoever finds it.
#[test]
fn bad_usage_is_one_line() {
    for typed in [
        "sample",
        "sample --modle m",
        "export --format pdf",
        "eval --model m --data d --out o --shard 3/2",
    ] {
        let typed: Vec<_> = typed.split(' ').collect();
        let ran = run(&typed).refused(2, &["--help)"]);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    }
}
