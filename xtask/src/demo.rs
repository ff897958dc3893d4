//! `cargo xtask demo`: from a fresh clone to pictures in a browser, as soon as possible.

use std::path::PathBuf;
use std::thread;

use anyhow::{Result, anyhow};
use freeguide_serve::{FileServer, Port};

use crate::sh::{root, say};
use crate::wasm::{self, Build, Tools};
use crate::{site, tools};

/// Builds the CPU runtime and the page, serves them, then adds the WebGPU runtime. It serves until it
/// is stopped, so it returns only errors.
pub fn run(port: u16, webgpu: bool) -> Result<()> {
    // First of all, so that an unusable address is reported before the long build.
    let server = FileServer::bind("127.0.0.1", Port::FirstFreeFrom(port))?;
    let address = server.url();
    let folders = server.folders().clone();

    tools::wasm_target()?;
    let tools = thread::scope(|scope| {
        let tools = scope.spawn(|| {
            site::packages()?;
            Tools::get()
        });
        wasm::compile(Build::Cpu)?;
        tools
            .join()
            .map_err(|_| anyhow!("fetching the tools panicked"))?
    })?;
    wasm::finish(Build::Cpu, &tools)?;
    // On a second run, the WebGPU build is usually there already.
    let both = webgpu && Build::WebGpu.is_fresh(&tools);
    let first = if both {
        build_site("full", &Build::ALL)
    } else {
        build_site("cpu", &[Build::Cpu])
    };
    folders.add(&first?)?;
    let serving = thread::spawn(move || server.run());

    println!("\n  Open {address}\n");
    if webgpu && !both {
        say("the page draws on the CPU; building the WebGPU runtime …");
        let added = wasm::compile(Build::WebGpu)
            .and_then(|()| wasm::finish(Build::WebGpu, &tools))
            .and_then(|()| build_site("full", &Build::ALL));
        match added {
            Ok(folder) => {
                folders.add(&folder)?;
                println!("\n  WebGPU is ready: reload {address}\n");
            }
            // The page keeps working on the CPU.
            Err(error) => say(&format!("continuing without WebGPU: {error:#}")),
        }
    }
    say("serving; stop with Ctrl-C");
    Ok(serving
        .join()
        .map_err(|_| anyhow!("the server panicked"))??)
}

/// Builds the site with these runtimes into its own folder, so that the one being served does not
/// change.
fn build_site(name: &str, builds: &[Build]) -> Result<PathBuf> {
    let folder = root().join("target/demo").join(name);
    site::build(&folder, builds)?;
    Ok(folder)
}
