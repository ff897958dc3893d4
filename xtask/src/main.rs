//! `cargo xtask …`: the developer's and the newcomer's commands.
//!
//! Every command does its own set-up: it installs what is missing and says so in one line. Nothing
//! else has to be typed first.

mod bench;
mod checks;
mod compile_onnx;
mod datasets;
mod demo;
mod package;
mod python;
mod release;
mod sh;
mod site;
mod table_exports;
mod tools;
mod wasm;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

/// freeguide's commands for developers and newcomers. Each one installs what it needs.
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
    /// The page is served as soon as the CPU build is ready. The WebGPU build takes several times as
    /// long; it compiles in the background and is then added to the running page. Stop with Ctrl-C.
    /// A second run reuses what the first one built.
    Demo {
        /// The port to serve on; if it is in use, the next free one
        #[arg(long, default_value_t = 8080, value_name = "N")]
        port: u16,
        /// Build only for the CPU: faster to build, slower to draw
        #[arg(long)]
        no_webgpu: bool,
    },
    /// Run the tests: format, native code, onnxruntime, JavaScript, WebGPU, and the page in a browser
    ///
    /// Without an option, everything runs except --bundlers, --vulkan, --compiled, --python and --lint, which
    /// take the longest. With options, only the named parts run. The exit code is 0 only if every part passed.
    Test(Checks),
    /// Compile the runtime and the TypeScript package around it, and print the runtime's sizes
    ///
    /// runtime-web/js/ is then ready for use: dist/ has the compiled package, wasm/ the WebAssembly
    /// files.
    Wasm {
        /// Build only this one
        #[arg(long, value_enum)]
        only: Option<wasm::Build>,
        /// Also write docs/results/wasm-size.md, the size by crate; needs both builds
        #[arg(long, conflicts_with = "only")]
        sizes: bool,
    },
    /// Pack the npm package: dist/freeguide-VERSION.tgz
    ///
    /// The file holds both builds of the runtime, the TypeScript package around it and its types.
    /// `npm install FILE` installs it; `tar xf FILE` unpacks it for pages without a bundler.
    Package {
        /// The folder to write the file into
        #[arg(long, default_value = "dist", value_name = "DIR")]
        out: PathBuf,
    },
    /// Build the static site: the page, the runtime and the models, for any static host
    Site {
        /// The folder to write; its old content is replaced
        #[arg(long, default_value = "dist/site", value_name = "DIR")]
        out: PathBuf,
        /// Leave the WebGPU runtime out
        #[arg(long)]
        only_cpu: bool,
    },
    /// Make everything that a release consists of, reproducibly
    ///
    /// --out then contains the npm tarball, the command for this system, the static site as a zip file,
    /// a list of all Rust crates in them (CycloneDX), and SHA256SUMS. The same sources, compiler and
    /// tools give the same bytes.
    Release {
        /// The folder to write; its old content is replaced
        #[arg(long, default_value = "dist/release", value_name = "DIR")]
        out: PathBuf,
        /// Only this part; several can be named
        #[arg(long, value_enum, value_name = "PART")]
        only: Vec<release::Part>,
        /// Compile the command for another system, for instance x86_64-unknown-linux-musl
        #[arg(long, value_name = "TRIPLE")]
        target: Option<String>,
        /// Build the command for GPUs too, through Vulkan; musl's static programs cannot load its driver
        #[arg(long)]
        vulkan: bool,
        /// Make everything a second time from nothing, and fail unless the bytes are the same
        #[arg(long)]
        twice: bool,
    },
    /// Compile your own denoiser from an ONNX file into a runtime, a package and a page
    ///
    /// The file has three inputs, in this order: z [batch, 1 or 3, size, size] and log_snr [batch] in
    /// 32-bit floats, and class [batch] in 64-bit integers. The id after the last class is the null
    /// class. The output is the prediction, shaped like z. The metadata must contain `classes` (a JSON
    /// list of names) and `target` (epsilon or v), and may contain `name`, `log_snr_min`,
    /// `log_snr_max`, `sampling` (defaults as in a bundle's config.json), `dataset`, `license` and
    /// `attribution`. In Python, onnx.helper.set_model_props writes them. burn-onnx compiles the file,
    /// so it may use every operator that burn-onnx supports. Files of `freeguide export --format onnx`
    /// work too.
    ///
    /// --out then contains model/ (the bundle), package/ (the npm package `freeguide` with a runtime
    /// for this network only) and site/ (the page, for any static host).
    CompileOnnx {
        /// The ONNX file
        model: PathBuf,
        /// The folder to write; its old content is replaced
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
    /// Measure against other tools, and write the results to docs/results/
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Install the tools and packages that the other commands need
    Setup,
}

#[derive(Subcommand)]
enum Bench {
    /// Sampling in a browser: the same weights in freeguide and in ONNX Runtime Web
    ///
    /// Measures milliseconds per guided step at batch 1 and 16, time to the first image, bytes and
    /// memory, in one headless Chromium, in turns. Writes docs/results/bench-web.md.
    Web {
        /// The model to sample, a folder in models/
        #[arg(long, value_name = "NAME", default_value = "emoji16")]
        model: String,
        /// A folder with that model as one ONNX file; without it, `freeguide export` writes one
        #[arg(long, value_name = "DIR")]
        onnx: Option<PathBuf>,
        /// The number of rounds; the best one counts
        #[arg(long, value_name = "N", default_value_t = 3)]
        rounds: usize,
        /// The number of timed steps in a round
        #[arg(long, value_name = "N", default_value_t = 16)]
        steps: usize,
        /// Also measure WebGPU, on the software adapter of headless Chromium
        #[arg(long)]
        webgpu: bool,
    },
    /// A GPU outside of a browser: sampling against ONNX Runtime, training against PyTorch
    ///
    /// Packs Node, the package, three models and ONNX Runtime into target/bench-gpu.tar.xz, less than
    /// 60 MB, for a machine without a network, where bench-gpu/run.sh measures. Then runs it here, on
    /// a software driver on Debian 12, and writes docs/results/bench-gpu.md.
    Gpu {
        /// Only pack
        #[arg(long)]
        pack_only: bool,
        /// Also build `freeguide` for Vulkan, and pack it, so that training is measured too; a long build
        #[arg(long)]
        training: bool,
        /// Options of run.sh: --quick, --steps N, --batches N,N, --rounds N, --models NAME,NAME,
        /// --precisions f16,f32, --no-training, --also NAME=FOLDER (another build of the package)
        #[arg(last = true, value_name = "OPTION")]
        arguments: Vec<String>,
    },
    /// Sampling on the CPU: the shipped models in freeguide and in ONNX Runtime
    ///
    /// Prints milliseconds a guided step and peak memory of both, for one image and for nine, and
    /// writes docs/results/bench-sample.md.
    Sample {
        /// A Python with ONNX Runtime; without it, one is installed into target/python
        #[arg(long, value_name = "FILE")]
        python: Option<PathBuf>,
        /// The number of rounds, in turns; the best one counts
        #[arg(long, value_name = "N", default_value_t = 3)]
        rounds: usize,
        /// The number of steps to measure
        #[arg(long, value_name = "N", default_value_t = 48)]
        steps: usize,
    },
    /// Training on the CPU: the same network, batch and step in freeguide and in PyTorch
    ///
    /// Prints images per second, processor time and peak memory of both at 16, 32 and 64 pixels, with
    /// the fastest of PyTorch run eagerly, with channels_last and compiled,
    /// and writes docs/results/bench-train.md.
    Train {
        /// A Python with PyTorch; without it, one is installed into target/bench-python
        #[arg(long, value_name = "FILE")]
        python: Option<PathBuf>,
        /// The number of threads; several numbers are measured one after another
        #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = default_threads())]
        threads: Vec<usize>,
        /// The number of rounds, in turns; the best one counts
        #[arg(long, value_name = "N", default_value_t = 2)]
        rounds: usize,
        /// The number of training steps to measure
        #[arg(long, value_name = "N", default_value_t = 20)]
        steps: u64,
    },
}

/// One thread, and all threads of the machine.
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
    /// Exported ONNX files in onnx.checker and onnxruntime; the first time, pip fetches some 60 MB
    /// into target/python
    #[arg(long)]
    onnx: bool,
    /// Type checks and unit tests of the TypeScript package and the page; the packed package in Node,
    /// Deno, Bun and workerd
    #[arg(long)]
    js: bool,
    /// The page in headless Chromium, on the CPU build and on WebGPU; in WebKit and Firefox on the CPU
    #[arg(long)]
    browser: bool,
    /// The packed package through webpack, Rspack, Vite, Parcel, Rollup, esbuild, Bun, Next.js and
    /// Astro, each opened in Chromium; the first time, npm fetches some 300 MB
    #[arg(long)]
    bundlers: bool,
    /// The WebGPU build in Node, Deno and Bun, on a Vulkan driver that needs no GPU; Debian 12 on
    /// x86-64 only; the first time, apt fetches some 50 MB into target/tools
    #[arg(long)]
    gpu: bool,
    /// The command's self-test and training steps through Vulkan, against the CPU's, on a driver that needs no GPU on
    /// Debian 12 on x86-64 and on the system's elsewhere; compiles the dependencies once more
    #[arg(long)]
    vulkan: bool,
    /// Runtimes compiled from ONNX files, in Node, against onnxruntime and the command; the first
    /// time, burn-onnx is compiled
    #[arg(long)]
    compiled: bool,
    /// The command against PyTorch, diffusers and others; the first time, pip fetches some 3 GB into
    /// target/python
    #[arg(long)]
    python: bool,
    /// Format, and clippy with warnings as errors; compiles the dependencies a second time
    #[arg(long)]
    lint: bool,
    /// A Python with the packages of tests/requirements.txt, to use instead of installing them
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
            site::build_with_reference(&out, builds)?;
            println!(
                "{} is ready for any static host, at any path",
                out.display()
            );
        }
        Command::Release {
            out,
            only,
            target,
            vulkan,
            twice,
        } => release::run(&release::Wanted {
            out: std::path::absolute(out)?,
            parts: only,
            target,
            vulkan,
            twice,
        })?,
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
                "{}: the bundle is in model/, the package in package/, the page in site/",
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
                Bench::Gpu {
                    pack_only,
                    training,
                    arguments,
                },
        } => bench::gpu::run(&bench::gpu::Measured {
            pack_only,
            training,
            arguments,
        })?,
        Command::Bench {
            what:
                Bench::Sample {
                    python,
                    rounds,
                    steps,
                },
        } => bench::sample::run(python.as_deref(), rounds, steps)?,
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
