//! Standard output, for results, and standard error, for everything else.

use std::fmt::Display;
use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

/// Prints a line. A reader that has seen enough and closed the pipe, such as `head`, is no failure.
pub fn print_line(line: impl Display) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

/// As `eprintln!`, which panics where nobody reads standard error any more: a training goes on when
/// the terminal or the `tee` that it wrote to has gone.
macro_rules! tell {
    ($($argument:tt)*) => {
        $crate::output::print_note(format_args!($($argument)*))
    };
}
pub(crate) use tell;

/// What [`tell!`] calls.
pub fn print_note(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
