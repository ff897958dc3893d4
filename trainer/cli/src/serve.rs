//! `freeguide serve`: shows a page or a bundle on this machine.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use freeguide_serve::{FileServer, Port};

/// The port that is tried first if none is given.
const DEFAULT_PORT: u16 = 8080;

/// Serve a folder, such as a built site, over HTTP.
#[derive(Debug, Args)]
pub struct Serve {
    /// The folder to serve.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
    /// The port; by default the first free one from 8080 on.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
}

/// Serves the folder until the process ends, and prints the address.
pub fn serve(arguments: &Serve) -> Result<ExitCode> {
    let port = arguments
        .port
        .map_or(Port::FirstFreeFrom(DEFAULT_PORT), Port::Exactly);
    let server = FileServer::bind(&arguments.host, port)?;
    server.folders().add(&arguments.dir)?;
    // Continue serving if standard output is closed.
    let _ = writeln!(io::stdout(), "{}", announcement(&server, &arguments.dir));
    server.run()?;
    Ok(ExitCode::SUCCESS)
}

/// The address, and what can be done with it.
fn announcement(server: &FileServer, dir: &Path) -> String {
    let (url, shown) = (server.url(), dir.display());
    let mut text = format!("serving {shown} at {url} (stop with Ctrl-C)");
    if !server.address().ip().is_loopback() {
        text += "\nother machines can reach this address, but their browsers offer WebGPU only over https";
    }
    let has = |name: &str| dir.join(name).is_file();
    match (has("index.html"), has("config.json")) {
        (true, _) => {}
        (false, true) => {
            text += &format!(
                "\nthis folder is a model bundle, not a page; load it from a page with\n    \
                 const model = await loadModel(\"{url}\");\nor draw from it here with\n    \
                 freeguide sample --model {shown} --out grid.png"
            );
        }
        (false, false) => text += "\nthis folder has no index.html: add a file name to the address",
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_announcement_says_what_the_folder_is() {
        let folder = tempfile::tempdir().unwrap();
        let shown = folder.path().display().to_string();
        let announce = |host: &str| {
            let server = FileServer::bind(host, Port::Exactly(0)).unwrap();
            (announcement(&server, folder.path()), server.url())
        };
        assert!(announce("127.0.0.1").0.contains("has no index.html"));
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        let (text, url) = announce("127.0.0.1");
        assert!(text.contains(&format!("loadModel(\"{url}\")")), "{text}");
        assert!(text.contains(&format!("freeguide sample --model {shown}")));
        fs::write(folder.path().join("index.html"), "").unwrap();
        let (text, url) = announce("127.0.0.1");
        assert_eq!(text, format!("serving {shown} at {url} (stop with Ctrl-C)"));
        let (text, url) = announce("0.0.0.0");
        assert!(
            url.starts_with("http://localhost:") && text.contains("other machines"),
            "{text}"
        );
    }
}
