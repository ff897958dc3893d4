//! Checks whether the disk has room for the checkpoints.

use std::path::Path;

use anyhow::{Result, bail};
use indicatif::DecimalBytes;

use crate::checkpoint::{self, KEEP};
use freeguide_native::tell;

/// The size of everything else in a run folder, in bytes: metrics, curves, grids and events for TensorBoard.
const REST: u64 = 32 << 20;

/// Refuses to train if the disk has no room for the checkpoints of a network with this number of parameters and
/// averages, of which `kept` stay beside the last. `checkpoints` is the folder of the checkpoints, below `out`.
pub fn check(
    out: &Path,
    checkpoints: &Path,
    parameters: u64,
    averages: usize,
    kept: usize,
) -> Result<()> {
    let size = checkpoint_bytes(parameters, averages);
    // A new checkpoint is written before the oldest is removed.
    let most = KEEP + 1 + kept;
    let there = checkpoint::list(checkpoints)?.len().min(most);
    let needed = size.saturating_mul((most - there) as u64) + REST;
    match fs4::available_space(out) {
        Ok(free) if free < needed => bail!(
            "the disk of {} has {} free, but the checkpoints take {} (up to {} of {} each): free some space, or choose another --out",
            out.display(),
            DecimalBytes(free),
            DecimalBytes(needed),
            most,
            DecimalBytes(size),
        ),
        Ok(_) => Ok(()),
        Err(error) => {
            tell!(
                "warning: cannot determine the free space on the disk of {}: {error}",
                out.display()
            );
            Ok(())
        }
    }
}

/// What a whole run takes on the disk at most, in bytes.
pub fn run_bytes(parameters: u64, averages: usize, kept: usize) -> u64 {
    checkpoint_bytes(parameters, averages).saturating_mul((KEEP + 1 + kept) as u64) + REST
}

/// The weights, their averages and AdamW's two moments, in f32.
fn checkpoint_bytes(parameters: u64, averages: usize) -> u64 {
    parameters.saturating_mul(4 * (3 + averages as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_fills_any_disk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        check(place, &place.join("checkpoints"), 53_000, 2, 1).unwrap();
        let error = check(place, &place.join("checkpoints"), u64::MAX / 100, 2, 0).unwrap_err();
        let error = error.to_string();
        for word in ["free", "the checkpoints take", "another --out"] {
            assert!(error.contains(word), "{error}");
        }
    }
}
