//! Standard output for results, standard error for everything else.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

/// Prints a line. It is not a failure if the reader has closed the pipe, as `head` does.
pub fn print_line(line: impl Display) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match writeln!(output, "{line}").and_then(|()| output.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}

/// Like `eprintln!`, but without a panic if standard error is closed: a training continues when the terminal or the
/// `tee` that it wrote to is gone.
#[macro_export]
macro_rules! tell {
    ($($argument:tt)*) => {
        $crate::output::print_note(format_args!($($argument)*))
    };
}

/// The function behind [`tell!`].
pub fn print_note(line: impl Display) {
    match held().as_mut() {
        Some(notes) => notes.push(line.to_string()),
        None => {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}

/// Messages that wait while the live view uses the whole terminal. `None` if it does not.
static HELD: Mutex<Option<Vec<String>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<Vec<String>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds back messages from now on, because the live view uses the terminal.
pub fn hold_notes() {
    held().get_or_insert_default();
}

/// The last messages that were held back, at most `count`.
pub fn held_notes(count: usize) -> Vec<String> {
    let held = held();
    let notes = held.as_deref().unwrap_or_default();
    notes[notes.len().saturating_sub(count)..].to_vec()
}

/// Prints the messages that were held back.
pub fn release_notes() {
    let notes = held().take().unwrap_or_default();
    notes.iter().for_each(print_note);
}
