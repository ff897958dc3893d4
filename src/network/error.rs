//! Why a network cannot be built.

use thiserror::Error;

/// Why a network cannot be built.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum NetworkError {
    /// A field has an invalid value.
    #[error("network.{field} is {value}: {expected}")]
    Field {
        /// The field of [`UNetConfig`](super::UNetConfig).
        field: &'static str,
        /// Its value.
        value: String,
        /// The valid values.
        expected: String,
    },
    /// The image cannot be halved as often as the network has stages.
    #[error(
        "network.channel_multipliers has {stages} stages{}, so the image size must be a multiple of {multiple}, and {size} is not", of_patches(.patch)
    )]
    ImageSize {
        /// The image's height and width in pixels.
        size: usize,
        /// The number of stages.
        stages: usize,
        /// The side of the patches.
        patch: usize,
        /// patch · 2^(stages − 1).
        multiple: usize,
    },
}

fn of_patches(patch: &usize) -> String {
    match patch {
        1 => String::new(),
        side => format!(" and network.patch is {side}"),
    }
}
