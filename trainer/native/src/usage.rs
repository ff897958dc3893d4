//! Bad usage, which exits with code 2; other failures exit with code 1.

use freeguide::settings::RequestError;
use thiserror::Error;

/// Arguments that parse but make no sense.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The exit code of a failure.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    // A request that can never succeed is bad usage.
    let usage = error.is::<RequestError>() || error.is::<Usage>();
    if usage { 2 } else { 1 }
}
