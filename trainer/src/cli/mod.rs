//! The command line.

mod arguments;
mod classifier;
mod commands;
mod compiled_bundle;
mod eval;
mod export;
mod import;
mod inspect_run;
mod steering;
mod toy;
mod train;

use std::process::ExitCode;

use clap::Parser;
use freeguide::settings::RequestError;

use crate::output::tell;
use crate::usage::Usage;
use arguments::{Arguments, Command};

/// Runs the command. Exit code 2 is bad usage, 1 a failure, each with one line that says what
/// and why.
pub fn main() -> ExitCode {
    // clap itself leaves with code 2 where the arguments cannot be understood.
    let result = match Arguments::parse().command {
        Command::Train(arguments) => train::train(&arguments),
        Command::Sample(arguments) => commands::sample(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::CompiledBundle(arguments) => compiled_bundle::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Inspect(arguments) => commands::inspect(&arguments),
        Command::Devices(arguments) => commands::devices(&arguments),
        Command::Serve(arguments) => commands::serve(&arguments),
        Command::Eval(arguments) => eval::eval(&arguments),
        Command::Classifier(arguments) => classifier::classifier(&arguments),
        Command::Toy(arguments) => toy::toy(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            tell!("error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The exit code of a failure.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    // What was asked for cannot be had, however often one tries: bad usage.
    let usage = error.is::<RequestError>() || error.is::<Usage>();
    if usage { 2 } else { 1 }
}
