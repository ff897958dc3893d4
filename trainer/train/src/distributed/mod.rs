//! Many processes that work as one: data-parallel training, and sampling in shares, over MPI.
//!
//! `mpirun -n 4 freeguide train …` starts the program four times. Each process is a rank that computes a share of every
//! batch; the gradients are added up over all of them, and every rank takes the same step. Rank 0 alone writes.

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

/// The processes that work together, of which this is one. Without a launcher it is the only one.
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

    /// Meets the processes that `mpirun`, or another launcher, started with this one.
    ///
    /// # Errors
    /// If there are others and this program was built without MPI, or MPI cannot be started.
    pub fn join() -> Result<Self> {
        if !launcher::is_launched() {
            return Ok(Self::alone());
        }
        let world = World::start().context("cannot work together with the other processes")?;
        let (rank, size) = (world.rank(), world.size());
        Ok(Self {
            world: Some(world),
            rank,
            size,
        })
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this is the process that writes and talks.
    pub fn is_first(&self) -> bool {
        self.rank == 0
    }

    /// This process's share of `count` things: the shares follow each other, and differ by one at most.
    pub fn share(&self, count: usize) -> Range<usize> {
        share(count, self.rank, self.size)
    }

    /// Replaces every value by the sum of it over all processes.
    ///
    /// # Errors
    /// If a process is lost.
    pub fn sum(&self, values: &mut [f32]) -> Result<()> {
        match &self.world {
            Some(world) => world.sum(values),
            None => Ok(()),
        }
    }

    /// What all processes have, one after another in the order of the ranks, to every one of them.
    ///
    /// # Errors
    /// If a process is lost.
    pub fn gather(&self, part: Vec<u8>) -> Result<Vec<u8>> {
        match &self.world {
            Some(world) => world.gather(&part),
            None => Ok(part),
        }
    }

    /// Whether all processes have the same bytes. What `what` names has to be the same everywhere for the work to mean
    /// anything.
    ///
    /// # Errors
    /// If not.
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

    /// Does the work of a command. A failure ends all processes: the others would wait for this one for ever.
    pub fn run(self, work: impl FnOnce(&Self) -> Result<ExitCode>) -> Result<ExitCode> {
        let result = work(&self);
        let (Err(error), Some(world)) = (&result, &self.world) else {
            return result;
        };
        let code = i32::from(exit_code(error));
        if self.rank > 0 {
            // What is wrong with the arguments is wrong on every rank, and rank 0, whose end is the end of all, says it: so
            // wait until it has, as long as a busy machine takes. Anything else may be this rank's alone.
            let usage = code == 2;
            std::thread::sleep(Duration::from_millis(if usage { 20_000 } else { 500 }));
            tell!("error on rank {}: {error:#}", self.rank);
        } else {
            tell!("error: {error:#}");
        }
        world.abort(code)
    }
}

/// What [`Ranks::agree`] compares: SHA-256.
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
