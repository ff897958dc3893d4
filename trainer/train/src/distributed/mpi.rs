//! The processes of an MPI job.

use std::ffi::{c_char, c_int};
use std::mem::ManuallyDrop;

use anyhow::{Context, Result, bail};
use mpi::environment::Universe;
use mpi::ffi;
use mpi::topology::Communicator;
use mpi::{Threading, initialize_with_threading};

/// The number of values summed at a time: 16 MiB. The start-up cost of a message is negligible at this size, and
/// holding it twice takes little memory.
const BUCKET: usize = 4 << 20;

/// All processes of the job (MPI_COMM_WORLD). Errors are returned instead of being left to MPI, which would end the
/// program without our message.
pub struct World {
    universe: ManuallyDrop<Universe>,
}

impl World {
    /// Starts MPI. All calls to MPI must be made by the thread that calls this.
    pub fn start() -> Result<Self> {
        let (universe, _) = initialize_with_threading(Threading::Funneled)
            .context("MPI was already started in this process")?;
        // SAFETY: MPI is initialised, and both constants are MPI's own.
        let code = unsafe {
            ffi::MPI_Comm_set_errhandler(ffi::RSMPI_COMM_WORLD, ffi::RSMPI_ERRORS_RETURN)
        };
        check(code)?;
        Ok(Self {
            universe: ManuallyDrop::new(universe),
        })
    }

    pub fn rank(&self) -> usize {
        usize::try_from(self.universe.world().rank()).unwrap_or(0)
    }

    pub fn size(&self) -> usize {
        usize::try_from(self.universe.world().size()).unwrap_or(1)
    }

    /// Replaces every value by its sum over all processes (MPI_Allreduce). All processes get the same bits.
    pub fn sum(&self, values: &mut [f32]) -> Result<()> {
        let mut own = Vec::with_capacity(values.len().min(BUCKET));
        for bucket in values.chunks_mut(BUCKET) {
            own.clear();
            own.extend_from_slice(bucket);
            // SAFETY: both buffers hold `count` floats, and do not overlap.
            let code = unsafe {
                ffi::MPI_Allreduce(
                    own.as_ptr().cast(),
                    bucket.as_mut_ptr().cast(),
                    bucket.len() as c_int,
                    ffi::RSMPI_FLOAT,
                    ffi::RSMPI_SUM,
                    ffi::RSMPI_COMM_WORLD,
                )
            };
            check(code)?;
        }
        Ok(())
    }

    /// Concatenates the parts of all processes (MPI_Allgatherv).
    pub fn gather(&self, part: &[u8]) -> Result<Vec<u8>> {
        let own = c_int::try_from(part.len()).context("more than 2 GiB at once")?;
        let mut counts = vec![0 as c_int; self.size()];
        // SAFETY: one int is sent, and one received from every process.
        let code = unsafe {
            ffi::MPI_Allgather(
                (&raw const own).cast(),
                1,
                ffi::RSMPI_INT32_T,
                counts.as_mut_ptr().cast(),
                1,
                ffi::RSMPI_INT32_T,
                ffi::RSMPI_COMM_WORLD,
            )
        };
        check(code)?;
        let mut begin: c_int = 0;
        let mut starts = Vec::with_capacity(counts.len());
        for &count in &counts {
            starts.push(begin);
            begin = begin
                .checked_add(count)
                .context("more than 2 GiB at once")?;
        }
        let mut all = vec![0u8; begin as usize];
        // SAFETY: `all` has room for every count at its start, and the counts are those that are sent.
        let code = unsafe {
            ffi::MPI_Allgatherv(
                part.as_ptr().cast(),
                own,
                ffi::RSMPI_UINT8_T,
                all.as_mut_ptr().cast(),
                counts.as_ptr(),
                starts.as_ptr(),
                ffi::RSMPI_UINT8_T,
                ffi::RSMPI_COMM_WORLD,
            )
        };
        check(code)?;
        Ok(all)
    }

    /// Ends all processes of the job with this exit code.
    pub fn abort(&self, code: i32) -> ! {
        self.universe.world().abort(code)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // To finish in order means to wait for the others, who wait for this one.
            self.abort(101);
        }
        // SAFETY: it is not used after this.
        unsafe { ManuallyDrop::drop(&mut self.universe) };
    }
}

/// What MPI says of a call that failed.
fn check(code: c_int) -> Result<()> {
    if code == ffi::MPI_SUCCESS as c_int {
        return Ok(());
    }
    let mut text = [0 as c_char; ffi::MPI_MAX_ERROR_STRING as usize];
    let mut len: c_int = 0;
    // SAFETY: the buffer has the size that MPI asks for.
    unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr(), &raw mut len) };
    let bytes: Vec<u8> = text
        .iter()
        .take(usize::try_from(len).unwrap_or(0))
        .map(|&c| c as u8)
        .collect();
    bail!(
        "another process of this job was lost, or the network between them: {}; the last checkpoint is good, continue with \
         --resume",
        String::from_utf8_lossy(&bytes)
    )
}
