//! `cargo xtask demo`: from a fresh clone to pictures in a browser, as early as can be.

use std::path::PathBuf;
use std::thread;

use anyhow::{Result, anyhow};

use crate::server::Server;
use crate::sh::{root, say};
use crate::wasm::{self, Build, Tools};
use crate::{site, tools};

/// Builds the CPU runtime and the page, serves them, then adds the WebGPU runtime. Returns only
/// with an error: it serves until it is stopped.
pub fn run(port: u16, webgpu: bool) -> Result<()> {
    // Before the long work, so that an unusable address shows at once.
    let server = Server::bind(port)?;
    let address = server.address()?;
    let folders = server.folders();

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
    // A second run need not start without what the first one has made.
    let both = webgpu && Build::WebGpu.is_fresh(&tools);
    let first = if both {
        made("full", &Build::ALL)
    } else {
        made("cpu", &[Build::Cpu])
    };
    folders.add(first?);
    server.start();

    println!("\n  Open {address}\n");
    if webgpu && !both {
        say("the page draws on the CPU; building the WebGPU runtime as well …");
        let added = wasm::compile(Build::WebGpu)
            .and_then(|()| wasm::finish(Build::WebGpu, &tools))
            .and_then(|()| made("full", &Build::ALL));
        match added {
            Ok(folder) => {
                folders.add(folder);
                println!("\n  WebGPU is ready: reload {address}\n");
            }
            // The page goes on without.
            Err(error) => say(&format!("no WebGPU: {error:#}")),
        }
    }
    say("serving; stop with Ctrl-C");
    loop {
        thread::park();
    }
}

/// A site of these builds, in a folder of its own: what is served already stays as it is.
fn made(name: &str, builds: &[Build]) -> Result<PathBuf> {
    let folder = root().join("target/demo").join(name);
    site::build(&folder, builds)?;
    Ok(folder)
}
