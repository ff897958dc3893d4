//! A static file server for looking at a page or a bundle on this machine. `freeguide serve` and `cargo xtask demo` use
//! it.
//!
//! It does what a static host does and a bundle needs: correct media types, revalidation by ETag, byte ranges, and
//! access from pages of other origins. It never serves a file outside its folders.

mod files;
mod listen;
mod media_type;
mod response;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    thread,
};

use thiserror::Error;
use tiny_http::Server;

pub use listen::Port;

/// The number of requests that are answered at a time. A browser opens six connections to a host.
const WORKERS: usize = 8;

/// Why a folder cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The folder does not exist or is not a folder.
    #[error("cannot serve {}: {reason}", .path.display())]
    Folder {
        /// The path of the folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The host is not an address of this machine.
    #[error("cannot serve on host \"{host}\": {reason}")]
    Host {
        /// The name or address of the host.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The port is in use or not allowed.
    #[error("cannot serve on port {port}: {reason}{}", if *.in_use { "; choose another with --port, or leave --port out to take the next free one" } else { "" })]
    Port {
        /// The number of the port.
        port: u16,
        /// The reason that the operating system gave.
        reason: String,
        /// Whether another program uses the port.
        in_use: bool,
    },
    /// The server stopped.
    #[error("the server stopped: {0}")]
    Stopped(io::Error),
}

/// The folders that are served. A file is taken from the folder that was added last and has it, so a page that was
/// loaded before a folder was added still finds its own files.
#[derive(Clone, Debug, Default)]
pub struct Folders(Arc<RwLock<Vec<PathBuf>>>);

impl Folders {
    /// Serves this folder too, from the next request on. It comes before those that were added earlier.
    ///
    /// # Errors
    /// If `folder` is not a folder.
    pub fn add(&self, folder: &Path) -> Result<(), ServeError> {
        let error = |reason: String| ServeError::Folder {
            path: folder.into(),
            reason,
        };
        let root = folder
            .canonicalize()
            .map_err(|reason| error(reason.to_string()))?;
        if !root.is_dir() {
            return Err(error("it is a file, not a folder".into()));
        }
        let mut folders = self.0.write().unwrap_or_else(PoisonError::into_inner);
        folders.insert(0, root);
        Ok(())
    }

    /// The canonical paths of the folders, the latest first.
    fn roots(&self) -> Vec<PathBuf> {
        let folders = self.0.read().unwrap_or_else(PoisonError::into_inner);
        folders.clone()
    }
}

/// A server that listens on an address. It answers once [`run`](Self::run) is called.
pub struct FileServer {
    folders: Folders,
    server: Arc<Server>,
    address: SocketAddr,
}

impl FileServer {
    /// Listens on a port of `host`, a name or an address of this machine, without any folder yet.
    ///
    /// # Errors
    /// If `host` is not an address of this machine, or if the port is in use or not allowed.
    pub fn bind(host: &str, port: Port) -> Result<Self, ServeError> {
        let listener = listen::listen(host, port)?;
        let address = listener.local_addr().map_err(ServeError::Stopped)?;
        let server = Server::from_listener(listener, None)
            .map_err(|error| ServeError::Stopped(io::Error::other(error)))?;
        Ok(Self {
            folders: Folders::default(),
            server: Arc::new(server),
            address,
        })
    }

    /// The folders that are served. More can be added while the server runs.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to open in a browser.
    pub fn url(&self) -> String {
        match self.address.ip() {
            // A browser cannot open the address that means all addresses.
            ip if ip.is_unspecified() => format!("http://localhost:{}/", self.address.port()),
            IpAddr::V4(ip) => format!("http://{ip}:{}/", self.address.port()),
            IpAddr::V6(ip) => format!("http://[{ip}]:{}/", self.address.port()),
        }
    }

    /// Answers requests until the process ends.
    ///
    /// # Errors
    /// If the server stops.
    pub fn run(&self) -> Result<(), ServeError> {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let (server, folders) = (Arc::clone(&self.server), self.folders.clone());
                thread::spawn(move || answer_requests(&server, &folders))
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
}

/// The loop of one worker.
fn answer_requests(server: &Server, folders: &Folders) -> io::Result<()> {
    loop {
        let request = server.recv()?;
        let response = response::respond(
            &folders.roots(),
            request.method(),
            request.url(),
            request.headers(),
        );
        // A client that disconnects in the middle of a file is not an error of the server.
        let _ = request.respond(response);
    }
}

#[cfg(test)]
mod tests;
