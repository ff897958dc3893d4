//! `cargo xtask …`: the developer's and the newcomer's commands.
//!
//! Every command does the set-up it needs, says in one line what it installs, and is quiet about
//! what is already there, so that nothing else has to be typed first.

mod bench;
mod checks;
mod compile_onnx;
mod datasets;
mod demo;
mod package;
mod python;
mod server;
mod sh;
mod site;
mod table_exports;
mod tools;
mod wasm;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

/// freeguide's commands for developers and newcomers. Each does the set-up it needs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and serve the page with the models in models/
    ///
    /// The page is up as soon as the CPU build is ready; the WebGPU build, which takes several
    /// times as long, compiles in the background and is added to the running page. Stop with
    /// Ctrl-C. A second run finds what the first one built.
    Demo {
        /// The port to serve on; the next free one is taken where another program has it
        #[arg(long, default_value_t = 8080, value_name = "N")]
        port: u16,
        /// Build for the CPU alone: much faster to build, slower to draw
        #[arg(long)]
        no_webgpu: bool,
    },
    /// Run every test: format, native, onnxruntime, JavaScript and in a real browser
    ///
    /// Without an option everything runs but --lint, --compiled and --python, which take longest. With options, only what
    /// they name. The exit code is 0 only where all that ran has passed.
    Test(Checks),
    /// Compile the runtime and the TypeScript package around it, and print the runtime's sizes
    ///
    /// runtime-web/js/ is then ready to be used: the compiled package in dist/, the WebAssembly
    /// files in wasm/.
    Wasm {
        /// Build only this one of the two
        #[arg(long, value_enum)]
        only: Option<wasm::Build>,
        /// Write docs/results/wasm-size.md too: which crate the bytes come from; takes both builds
        #[arg(long, conflicts_with = "only")]
        sizes: bool,
    },
    /// Pack the npm package: dist/freeguide-VERSION.tgz
    ///
    /// The runtime in both builds, the TypeScript package around it and its types, in one file that
    /// `npm install FILE` takes and that `tar xf FILE` unpacks for pages without a bundler.
    Package {
        /// The folder to write the file into
        #[arg(long, default_value = "dist", value_name = "DIR")]
        out: PathBuf,
    },
    /// Build the static site: the page, the runtime and the models, for any static host
    Site {
        /// The folder to write; what was in it is replaced
        #[arg(long, default_value = "dist/site", value_name = "DIR")]
        out: PathBuf,
        /// Leave the WebGPU runtime out
        #[arg(long)]
        only_cpu: bool,
    },
    /// Compile a denoiser of your own, an ONNX file, into a runtime, a package and a page
    ///
    /// The file's inputs are, in this order, z [batch, 1 or 3, size, size] and log_snr [batch] in
    /// 32-bit floats and class [batch] in 64-bit integers, the id after the last class being the
    /// null class; its output is the prediction, as z. Its metadata say `classes` (a JSON list of
    /// names) and `target` (epsilon or v), and may say `name`, `log_snr_min`, `log_snr_max`,
    /// `sampling` (defaults as in a bundle's config.json), `dataset`, `license` and `attribution`;
    /// in Python, onnx.helper.set_model_props writes them. burn-onnx compiles it, so it can use
    /// whatever operators that reads; files of `freeguide export --format onnx` can be compiled too.
    ///
    /// Into --out go model/ (the bundle), package/ (the npm package `freeguide` with a runtime that
    /// draws with this network and no other) and site/ (the page, for any static host).
    CompileOnnx {
        /// The ONNX file
        model: PathBuf,
        /// The folder to write; what was in it is replaced
        #[arg(long, default_value = "dist/compiled", value_name = "DIR")]
        out: PathBuf,
        /// Leave the WebGPU runtime out
        #[arg(long)]
        only_cpu: bool,
    },
    /// Make a data set to train on
    Data {
        #[command(subcommand)]
        set: DataSet,
    },
    /// Measure against the tools that people use today, and write the results to docs/results/
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Install the tools and packages that the other commands need, and do nothing else
    Setup,
}

#[derive(Subcommand)]
enum Bench {
    /// Sampling in a browser: the same weights in freeguide and in ONNX Runtime Web
    ///
    /// In one headless Chromium, in turns: milliseconds a guided step at batch 1 and 16, time to the
    /// first image, bytes. Writes docs/results/bench-web.md.
    Web {
        /// The model of models/ to sample
        #[arg(long, value_name = "NAME", default_value = "emoji16")]
        model: String,
        /// A folder with that model as one ONNX file; unless given, `freeguide export` writes it
        #[arg(long, value_name = "DIR")]
        onnx: Option<PathBuf>,
        /// How often each has its turn; the best counts
        #[arg(long, value_name = "N", default_value_t = 3)]
        rounds: usize,
        /// Steps that are timed at a time
        #[arg(long, value_name = "N", default_value_t = 16)]
        steps: usize,
        /// WebGPU too, on the software adapter that headless Chromium has
        #[arg(long)]
        webgpu: bool,
    },
    /// Training on the CPU: the same network, batch and step in freeguide and in PyTorch
    ///
    /// Prints images per second, processor time and peak memory of both at 16, 32 and 64 pixels,
    /// and writes docs/results/bench-train.md.
    Train {
        /// A Python that has PyTorch; else one is installed into target/bench-python
        #[arg(long, value_name = "FILE")]
        python: Option<PathBuf>,
        /// How many threads both may use; several numbers are measured one after another
        #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = default_threads())]
        threads: Vec<usize>,
        /// How often both are measured, in turns; the best counts
        #[arg(long, value_name = "N", default_value_t = 2)]
        rounds: usize,
        /// Steps of training to measure
        #[arg(long, value_name = "N", default_value_t = 20)]
        steps: u64,
    },
}

/// One, and all that there are.
fn default_threads() -> Vec<usize> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    if all > 1 { vec![1, all] } else { vec![1] }
}

/// What `cargo xtask test` runs.
#[derive(Args, Clone, Debug, Default)]
struct Checks {
    /// Format, compiler warnings and the native tests of all crates
    #[arg(long)]
    native: bool,
    /// Exported ONNX files in onnx.checker and onnxruntime; pip fetches some 60 MB into
    /// target/python the first time
    #[arg(long)]
    onnx: bool,
    /// Type checks and unit tests of the TypeScript package and the page
    #[arg(long)]
    js: bool,
    /// The page in headless Chromium, on the CPU build and on WebGPU
    #[arg(long)]
    browser: bool,
    /// Runtimes compiled around ONNX files, in Node, against onnxruntime and the command; burn-onnx
    /// is compiled the first time
    #[arg(long)]
    compiled: bool,
    /// The command against PyTorch, diffusers and others; pip fetches some 3 GB into target/python
    /// the first time
    #[arg(long)]
    python: bool,
    /// Format and clippy with warnings as errors; compiles the dependencies a second time
    #[arg(long)]
    lint: bool,
    /// A Python that has the packages of tests/requirements.txt; nothing is installed then
    #[arg(long, value_name = "FILE")]
    interpreter: Option<PathBuf>,
}

#[derive(Subcommand)]
enum DataSet {
    /// 3,812 emoji, 64×64 on white, in nine class folders
    ///
    /// The images are those of the npm packages emoji-datasource-google 16.0.0 (Noto Emoji by
    /// Google, Apache License 2.0) and emoji-datasource-twitter 16.0.0 (Twemoji by Twitter and
    /// contributors, CC-BY 4.0), which npm downloads into target/data-cache. One folder a category
    /// (activities, animals-nature, flags, …), one file <style>-<n>-<name>.png an emoji and style;
    /// skin-tone variants are left out. What is trained on them may ship if both are named.
    Emoji64 {
        /// The folder to write the class folders into
        dir: PathBuf,
    },
    /// Letters and digits in open typefaces: 62 classes, grey 64×64 PNGs
    ///
    /// npm installs 286 packages of @fontsource into target/data-cache (SIL Open Font License or Apache License 2.0). Every
    /// typeface is rendered in its regular weight and, where there is one, in bold. A tenth of the typefaces goes to
    /// val/ and the rest to train/, so that a classifier can be tested on typefaces that it has not seen. One folder a
    /// class (digit-0, lower-a, upper-a, …: names that differ where file systems ignore case), one file
    /// <typeface>-<weight>.png an image.
    Glyphs {
        /// The folder to write train/ and val/ into
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo { port, no_webgpu } => demo::run(port, !no_webgpu)?,
        Command::Test(checks) => return checks::run(checks),
        Command::Wasm { only, sizes } => {
            let builds = only.map_or(wasm::Build::ALL.to_vec(), |one| vec![one]);
            wasm::build_all(&builds)?;
            builds.iter().try_for_each(|&build| wasm::install(build))?;
            site::package()?;
            wasm::print_sizes(&builds)?;
            if sizes {
                wasm::write_sizes()?;
            }
        }
        Command::Package { out } => println!("{}", package::build(&out)?.display()),
        Command::Site { out, only_cpu } => {
            let builds = if only_cpu {
                &wasm::Build::ALL[..1]
            } else {
                &wasm::Build::ALL[..]
            };
            wasm::build_all(builds)?;
            let out = std::path::absolute(out)?;
            site::build(&out, builds)?;
            println!(
                "{} is ready for any static host, at any path.",
                out.display()
            );
        }
        Command::CompileOnnx {
            model,
            out,
            only_cpu,
        } => {
            let builds = if only_cpu {
                &wasm::Build::ALL[..1]
            } else {
                &wasm::Build::ALL[..]
            };
            let out = std::path::absolute(out)?;
            sh::cargo().args("build --release").run()?;
            compile_onnx::run(&std::path::absolute(model)?, &out, builds)?;
            println!(
                "{}: the bundle is in model/, the package in package/, the page in site/.",
                out.display()
            );
        }
        Command::Data {
            set: DataSet::Emoji64 { dir },
        } => datasets::emoji64::make(&dir)?,
        Command::Data {
            set: DataSet::Glyphs { dir },
        } => datasets::glyphs::make(&dir)?,
        Command::Bench {
            what:
                Bench::Web {
                    model,
                    onnx,
                    rounds,
                    steps,
                    webgpu,
                },
        } => bench::web::run(&bench::web::Measured {
            model,
            onnx,
            rounds,
            steps,
            webgpu,
        })?,
        Command::Bench {
            what:
                Bench::Train {
                    python,
                    threads,
                    rounds,
                    steps,
                },
        } => bench::train::run(python.as_deref(), &threads, rounds, steps)?,
        Command::Setup => tools::all()?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
