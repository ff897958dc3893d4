//! The command `freeguide`: trains, samples, exports and serves guided diffusion models.
//!
//! Each subcommand has a file with its arguments and what it does with the libraries beside this package.

mod allocator;
mod arguments;
mod card;
mod classifier;
mod commands;
mod compiled_bundle;
mod distill;
mod drawing;
mod eval;
mod export;
mod import;
mod inspect_run;
mod parse_error;
mod pictures;
mod plan;
mod serve;
mod source_image;
mod toy;
mod train;
mod upscale;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use freeguide_native::tell;
use freeguide_native::usage::{Usage, exit_code};

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    allocator::keep_memory();
    run()
}

/// Runs the command. Exit code 2 means bad usage, 1 means a failure. Both print one line that says what
/// happened and why.
fn run() -> ExitCode {
    let result = match parse().map(|arguments| arguments.command) {
        Ok(Command::Plan(arguments)) => plan::plan(&arguments),
        Ok(Command::Train(arguments)) => train::train(&arguments),
        Ok(Command::Distill(arguments)) => distill::distill(&arguments),
        Ok(Command::Sample(arguments)) => commands::sample(&arguments),
        Ok(Command::Export(arguments)) => export::run(&arguments),
        Ok(Command::Card(arguments)) => card::run(&arguments),
        Ok(Command::CompiledBundle(arguments)) => compiled_bundle::run(&arguments),
        Ok(Command::Import(arguments)) => import::run(&arguments),
        Ok(Command::Inspect(arguments)) => commands::inspect(&arguments),
        Ok(Command::Devices(arguments)) => commands::devices(&arguments),
        Ok(Command::Serve(arguments)) => serve::serve(&arguments),
        Ok(Command::Eval(arguments)) => eval::eval(&arguments),
        Ok(Command::Classifier(arguments)) => classifier::classifier(&arguments),
        Ok(Command::Upscale(arguments)) => upscale::upscale(&arguments),
        Ok(Command::Toy(arguments)) => toy::toy(&arguments),
        Err(usage) => Err(usage.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            tell!("error: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Parses the arguments. For help and the version, it prints them and ends the process.
fn parse() -> Result<Arguments, Usage> {
    let typed = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned());
    Arguments::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => parse_error::one_line(&error, typed),
    })
}
