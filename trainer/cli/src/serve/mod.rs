//! `freeguide serve`: a folder of static files over HTTP, for looking at a page or a bundle on this machine.
//!
//! It does what any static host does and a bundle needs: right media types, revalidation by ETag, byte ranges, and
//! access from pages of other origins.

mod files;
mod response;

use std::{
    io::{self, Write},
    net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use thiserror::Error;
use tiny_http::Server;

/// The port that is tried first where none is named.
pub const DEFAULT_PORT: u16 = 8080;

/// How many ports after the first are tried where none is named.
const MORE_PORTS: u16 = 20;

/// Requests that are answered at a time. A browser opens six connections to a host.
const WORKERS: usize = 8;

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// There is no such folder.
    #[error("cannot serve {}: {reason}", .path.display())]
    Folder {
        /// The path that was asked for.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The host name means no address of this machine.
    #[error("cannot serve on host \"{host}\": {reason}")]
    Host {
        /// The host that was asked for.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The port is in use, or not allowed.
    #[error("cannot serve on port {port}: {reason}{}", if *.in_use { "; name another with --port, or none to take the next free one" } else { "" })]
    Port {
        /// The port that was asked for.
        port: u16,
        /// What the operating system said.
        reason: String,
        /// Whether another program listens there.
        in_use: bool,
    },
    /// The server stopped.
    #[error("the server stopped: {0}")]
    Stopped(io::Error),
}

/// Serves `dir` on `host` until the process ends, and prints where.
///
/// Without a `port` the first free one from [`DEFAULT_PORT`] on is taken; a port that is named is taken or is an error
/// (0 lets the operating system choose).
///
/// # Errors
/// If `dir` is no folder or the address cannot be had.
pub fn serve(dir: &Path, host: &str, port: Option<u16>) -> Result<(), ServeError> {
    let server = FileServer::bind(dir, host, port)?;
    // Whoever closed standard output does not want to read it; the server serves all the same.
    let _ = writeln!(io::stdout(), "{}", server.announcement(dir));
    server.run()
}

/// A bound server that does not answer yet.
struct FileServer {
    root: PathBuf,
    server: Arc<Server>,
    address: SocketAddr,
}

impl FileServer {
    fn bind(dir: &Path, host: &str, port: Option<u16>) -> Result<Self, ServeError> {
        let folder = |reason: String| ServeError::Folder {
            path: dir.into(),
            reason,
        };
        let root = dir
            .canonicalize()
            .map_err(|error| folder(error.to_string()))?;
        if !root.is_dir() {
            return Err(folder("it is a file, not a folder".into()));
        }
        let listener = listen(host, port)?;
        let address = listener.local_addr().map_err(ServeError::Stopped)?;
        let server = Server::from_listener(listener, None)
            .map_err(|error| ServeError::Stopped(io::Error::other(error)))?;
        Ok(Self {
            root,
            server: Arc::new(server),
            address,
        })
    }

    /// Answers requests until the process ends.
    fn run(&self) -> Result<(), ServeError> {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let (server, root) = (Arc::clone(&self.server), self.root.clone());
                thread::spawn(move || -> io::Result<()> {
                    loop {
                        let request = server.recv()?;
                        let response = response::answer(
                            &root,
                            request.method(),
                            request.url(),
                            request.headers(),
                        );
                        // A visitor who goes away in the middle of a file is no error of the server.
                        let _ = request.respond(response);
                    }
                })
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(result) => result.map_err(ServeError::Stopped)?,
                Err(_) => return Err(ServeError::Stopped(io::Error::other("a worker panicked"))),
            }
        }
        Ok(())
    }

    /// The address to open in a browser.
    fn url(&self) -> String {
        match self.address.ip() {
            // "All addresses" is nothing that a browser can open.
            ip if ip.is_unspecified() => format!("http://localhost:{}/", self.address.port()),
            IpAddr::V4(ip) => format!("http://{ip}:{}/", self.address.port()),
            IpAddr::V6(ip) => format!("http://[{ip}]:{}/", self.address.port()),
        }
    }

    /// What is said at the start: the address, and what to do with it.
    fn announcement(&self, dir: &Path) -> String {
        let (url, dir) = (self.url(), dir.display());
        let mut text = format!("serving {dir} at {url} (stop with Ctrl-C)");
        if !self.address.ip().is_loopback() {
            text += "\nother machines can reach this address; on those a browser offers WebGPU only over https";
        }
        let has = |name: &str| self.root.join(name).is_file();
        match (has("index.html"), has("config.json")) {
            (true, _) => {}
            (false, true) => {
                text += &format!(
                    "\nthis folder is a model bundle, not a page; load it from a page with\n    \
                     const model = await loadModel(\"{url}\");\nor draw from it here with\n    \
                     freeguide sample --model {dir} --out grid.png"
                );
            }
            (false, false) => text += "\nthis folder has no index.html: name a file in the address",
        }
        text
    }
}

/// Opens a socket for connections.
fn listen(host: &str, port: Option<u16>) -> Result<TcpListener, ServeError> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let resolve = |port: u16| -> Result<Vec<SocketAddr>, ServeError> {
        let host_error = |reason: String| ServeError::Host {
            host: host.into(),
            reason,
        };
        let found: Vec<_> = (bare, port)
            .to_socket_addrs()
            .map_err(|error| host_error(error.to_string()))?
            .collect();
        if found.is_empty() {
            Err(host_error("it has no address".into()))
        } else {
            Ok(found)
        }
    };
    let first = port.unwrap_or(DEFAULT_PORT);
    let mut attempt = first;
    loop {
        let error = match TcpListener::bind(&resolve(attempt)?[..]) {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::AddrInUse if port.is_none() && attempt < first + MORE_PORTS => {
                attempt += 1
            }
            io::ErrorKind::AddrNotAvailable => {
                return Err(ServeError::Host {
                    host: host.into(),
                    reason: "it is no address of this machine".into(),
                });
            }
            kind => {
                let (in_use, reason) = (kind == io::ErrorKind::AddrInUse, reason(&error));
                return Err(ServeError::Port {
                    port: attempt,
                    reason,
                    in_use,
                });
            }
        }
    }
}

/// An error of the operating system without its number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program uses it".into(),
        io::ErrorKind::PermissionDenied => {
            "the system does not allow it (ports below 1024 often need more rights)".into()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
