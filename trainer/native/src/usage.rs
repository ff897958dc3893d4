//! Bad usage, which leaves with exit code 2 where a failure leaves with 1.

use freeguide::settings::RequestError;
use thiserror::Error;

/// Arguments that can be understood but make no sense.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The exit code of a failure.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    // What was asked for cannot be had, however often one tries: bad usage.
    let usage = error.is::<RequestError>() || error.is::<Usage>();
    if usage { 2 } else { 1 }
}
