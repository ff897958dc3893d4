//! In place of MPI, where the program was built without it.

use anyhow::{Result, bail};

/// No world: there is none of these.
pub enum World {}

impl World {
    /// Fails: processes that know nothing of each other would all write into one run folder.
    pub fn start() -> Result<Self> {
        bail!(
            "this freeguide was built without MPI; build it with `cargo build --release --features \
             freeguide-trainer/mpi`, or start it without a launcher"
        )
    }

    pub fn rank(&self) -> usize {
        match *self {}
    }

    pub fn size(&self) -> usize {
        match *self {}
    }

    pub fn sum(&self, _: &mut [f32]) -> Result<()> {
        match *self {}
    }

    pub fn gather(&self, _: &[u8]) -> Result<Vec<u8>> {
        match *self {}
    }

    pub fn abort(&self, _: i32) -> ! {
        match *self {}
    }
}
