//! Opening a socket.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use crate::ServeError;

/// How many ports after the first are tried.
const MORE_PORTS: u16 = 20;

/// Which port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This port. 0 lets the operating system choose one.
    Exactly(u16),
    /// The first free port from this one on.
    FirstFreeFrom(u16),
}

/// Opens a socket for connections.
pub(crate) fn listen(host: &str, port: Port) -> Result<TcpListener, ServeError> {
    let (first, last) = match port {
        Port::Exactly(port) => (port, port),
        Port::FirstFreeFrom(port) => (port, port.saturating_add(MORE_PORTS)),
    };
    let mut attempt = first;
    loop {
        let error = match TcpListener::bind(&resolve(host, attempt)?[..]) {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::AddrInUse if attempt < last => attempt += 1,
            io::ErrorKind::AddrNotAvailable => {
                return Err(host_error(host, "it is not an address of this machine"));
            }
            kind => {
                return Err(ServeError::Port {
                    port: attempt,
                    reason: reason(&error),
                    in_use: kind == io::ErrorKind::AddrInUse,
                });
            }
        }
    }
}

/// The addresses of a host, which may be a name, an address, or an IPv6 address in brackets.
fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ServeError> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let addresses: Vec<_> = (bare, port)
        .to_socket_addrs()
        .map_err(|error| host_error(host, &error.to_string()))?
        .collect();
    match addresses.is_empty() {
        true => Err(host_error(host, "it has no address")),
        false => Ok(addresses),
    }
}

fn host_error(host: &str, reason: &str) -> ServeError {
    ServeError::Host {
        host: host.into(),
        reason: reason.into(),
    }
}

/// An error of the operating system in words, without its number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program uses it".into(),
        io::ErrorKind::PermissionDenied => {
            "the system does not allow it (ports below 1024 often need more privileges)".into()
        }
        _ => error.to_string(),
    }
}
