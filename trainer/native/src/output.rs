//! Standard output, for results, and standard error, for everything else.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
#[macro_export]
macro_rules! tell {
    ($($argument:tt)*) => {
        $crate::output::print_note(format_args!($($argument)*))
    };
}

/// What [`tell!`] calls.
pub fn print_note(line: impl Display) {
    match held().as_mut() {
        Some(notes) => notes.push(line.to_string()),
        None => {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}

/// Notes that were made while the whole terminal is drawn on, if it is.
static HELD: Mutex<Option<Vec<String>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<Vec<String>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps notes back from now on: standard error is a drawing.
pub fn hold_notes() {
    held().get_or_insert_default();
}

/// The last notes that were kept back, `count` at most.
pub fn held_notes(count: usize) -> Vec<String> {
    let held = held();
    let notes = held.as_deref().unwrap_or_default();
    notes[notes.len().saturating_sub(count)..].to_vec()
}

/// Prints what was kept back.
pub fn release_notes() {
    let notes = held().take().unwrap_or_default();
    notes.iter().for_each(print_note);
}
