//! Bad usage, which leaves with exit code 2 where a failure leaves with 1.

use thiserror::Error;

/// Arguments that can be understood but make no sense.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Usage(pub String);
