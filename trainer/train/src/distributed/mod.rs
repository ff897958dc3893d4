//! Distributed work over MPI: data-parallel training, and sampling in shares.
//!
//! `mpirun -n 4 freeguide train …` starts the program four times. Each process is a rank that computes a share of every
//! batch. The gradients are summed over all ranks, and every rank takes the same step. Only rank 0 writes files.

mod gradients;
mod launcher;
#[cfg(feature = "mpi")]
mod mpi;
mod sampling;
#[cfg(not(feature = "mpi"))]
mod without;

pub use sampling::draw_in_shares;

use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use sha2::{Digest, Sha256};

use freeguide_native::tell;
use freeguide_native::usage::exit_code;
#[cfg(feature = "mpi")]
use mpi::World;
#[cfg(not(feature = "mpi"))]
use without::World;

/// The processes that work together, of which this is one. Without a launcher, it is the only one.
pub struct Ranks {
    world: Option<World>,
    rank: usize,
    size: usize,
}

impl Ranks {
    /// This process alone.
    pub fn alone() -> Self {
        Self {
            world: None,
            rank: 0,
            size: 1,
        }
    }

    /// Joins the processes that `mpirun` or another launcher started with this one.
    ///
    /// # Errors
    /// If there are others but this program was built without MPI, or if MPI cannot be started.
    pub fn join() -> Result<Self> {
        if !launcher::is_launched() {
            return Ok(Self::alone());
        }
        let world = World::start().context("cannot join the other processes")?;
        let (rank, size) = (world.rank(), world.size());
        Ok(Self {
            world: Some(world),
            rank,
            size,
        })
    }

    /// The number of processes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this is the process that writes files and messages.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// This process's share of `count` items. The shares are contiguous and differ in size by at most one.
    pub fn share(&self, count: usize) -> Range<usize> {
        share(count, self.rank, self.size)
    }

    /// Replaces every value by its sum over all processes.
    ///
    /// # Errors
    /// If a process is lost.
    pub fn sum(&self, values: &mut [f32]) -> Result<()> {
        match &self.world {
            Some(world) => world.sum(values),
            None => Ok(()),
        }
    }

    /// Concatenates the bytes of all processes in the order of the ranks. Every process gets all of them.
    ///
    /// # Errors
    /// If a process is lost.
    pub fn gather(&self, part: Vec<u8>) -> Result<Vec<u8>> {
        match &self.world {
            Some(world) => world.gather(&part),
            None => Ok(part),
        }
    }

    /// Checks that all processes have the same bytes. `what` names what they describe.
    ///
    /// # Errors
    /// If they differ.
    pub fn agree(&self, what: &str, digest: [u8; 32]) -> Result<()> {
        let all = self.gather(digest.to_vec())?;
        let other = all.chunks(32).position(|theirs| theirs != digest);
        match other {
            Some(other) => bail!(
                "{what} of rank {} and of rank {other} are not the same: do all processes run the same program on the \
                 same files?",
                self.rank
            ),
            None => Ok(()),
        }
    }

    /// Runs a command. A failure ends all processes, because the others would wait for this one forever.
    pub fn run(self, work: impl FnOnce(&Self) -> Result<ExitCode>) -> Result<ExitCode> {
        let result = work(&self);
        let (Err(error), Some(world)) = (&result, &self.world) else {
            return result;
        };
        let code = i32::from(exit_code(error));
        if self.rank > 0 {
            // Wrong arguments are wrong on every rank. Rank 0 reports them, and its end ends all processes, so wait for
            // it as long as a busy machine may take. Any other error may concern this rank only.
            let usage = code == 2;
            std::thread::sleep(Duration::from_millis(if usage { 20_000 } else { 500 }));
            tell!("error on rank {}: {error:#}", self.rank);
        } else {
            tell!("error: {error:#}");
        }
        world.abort(code)
    }
}

/// A SHA-256, which [`Ranks::agree`] compares.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn share(count: usize, rank: usize, size: usize) -> Range<usize> {
    let at = |rank: usize| (count as u128 * rank as u128 / size as u128) as usize;
    at(rank)..at(rank + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_each_other_and_are_even() {
        for (count, size) in [(10, 3), (2, 4), (0, 2), (64, 8)] {
            let shares: Vec<_> = (0..size).map(|rank| share(count, rank, size)).collect();
            assert_eq!((shares[0].start, shares[size - 1].end), (0, count));
            assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
            let sizes = shares.iter().map(ExactSizeIterator::len);
            let (least, most) = (sizes.clone().min().unwrap(), sizes.max().unwrap());
            assert!(most - least <= 1, "{shares:?}");
        }
    }

    #[test]
    fn alone_everything_is_ones_own() {
        let ranks = Ranks::alone();
        let mut values = [1.0, 2.0];
        ranks.sum(&mut values).unwrap();
        assert_eq!(values, [1.0, 2.0]);
        assert_eq!(ranks.gather(vec![7]).unwrap(), [7]);
        assert_eq!(ranks.share(5), 0..5);
        ranks.agree("nothing", [1; 32]).unwrap();
    }
}
