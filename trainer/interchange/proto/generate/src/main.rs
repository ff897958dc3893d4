//! Makes trainer/interchange/src/onnx/proto.rs of ONNX's own format description, without the program `protoc`:
//!
//!     cargo run --manifest-path trainer/interchange/proto/generate/Cargo.toml --target-dir target/generate

use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let messages = protox::compile([folder.join("onnx.proto")], [&folder])?;
    let out = std::env::temp_dir();
    prost_build::Config::new()
        // The comments of the description are written for another documentation tool.
        .disable_comments(["."])
        .out_dir(&out)
        .compile_fds(messages)?;
    fs::copy(out.join("onnx.rs"), folder.join("../src/onnx/proto.rs"))?;
    fs::remove_file(out.join("onnx.rs"))?;
    Ok(())
}
